"""A command with a limit of time, ended together with all that it started."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

DONE, FAILED, OUT_OF_TIME, SKIPPED, RUNNING = "done", "failed", "out of time", "skipped", "running"
_GRACE = 3.0  # seconds to end by itself
_LOOK = 1.0


def run_limited(command: Sequence[str], seconds: float, log: Path, look: Callable[[], None]) -> str:
    """Run a command, its output added to a file; how it ended.

    Args:
        command: Program and arguments.
        seconds: After which it is ended.
        log: What it prints goes here.
        look: Called about once a second meanwhile.
    """
    deadline = time.monotonic() + seconds
    with log.open("ab") as output:
        running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return DONE if running.wait(timeout=min(_LOOK, max(0.0, deadline - time.monotonic()))) == 0 else FAILED
            if time.monotonic() >= deadline:
                return OUT_OF_TIME
            look()
    finally:
        end(running)


def end(running: "subprocess.Popen[bytes]") -> None:
    """End a process and its group: asked first, then made to."""
    if running.poll() is None:
        _signal(running.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            running.wait(timeout=_GRACE)
    _signal(running.pid, signal.SIGKILL)  # also what the process left behind
    running.wait()


def last_lines(log: Path, count: int = 25, offset: int = 0) -> list[str]:
    """The last lines of a file that are not blank, from a place in it on."""
    if not log.is_file():
        return []
    text = log.read_bytes()[offset:].decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
