"""SIGTERM: what a cluster, a container or `kill` sends before it makes a process end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """The process was asked to end; as an exit code, 143 (128 + SIGTERM)."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Within the block SIGTERM raises `Terminated` wherever the program is, so that clean-up code runs.

    Nothing needs to be saved then: an epoch's checkpoint is whole before the next epoch begins. A handler that is there
    already, such as that of a job of Slurm, stays.
    """
    here = threading.current_thread() is threading.main_thread()  # only that one may set handlers
    if not here or signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN):
        yield
        return
    before = signal.signal(signal.SIGTERM, raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def raise_terminated(number: int, frame: FrameType | None) -> None:
    """The handler: raises once, then lets the clean-up be.

    Raises:
        Terminated: Always.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
