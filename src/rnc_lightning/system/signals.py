"""SIGTERM: what a cluster, a container or `kill` sends to a process before killing it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """SIGTERM asked the process to end; its exit code is 143 (128 + SIGTERM)."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Within the block SIGTERM raises `Terminated` wherever the program is, so that clean-up code runs.

    Nothing needs to be saved at that moment: an epoch's checkpoint is complete before the next epoch begins. A handler
    that is already installed, such as that of a Slurm job, stays.
    """
    in_main = threading.current_thread() is threading.main_thread()  # only the main thread may set handlers
    if not in_main or signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN):
        yield
        return
    before = signal.signal(signal.SIGTERM, raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def raise_terminated(number: int, frame: FrameType | None) -> None:
    """The signal handler: raises once; later signals are ignored so that they do not interrupt the clean-up.

    Raises:
        Terminated: Always.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
