"""Lock files: one process works, the others wait and are told why."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rnc_lightning.system.errors import RunInUseError

log = logging.getLogger(__name__)


@contextmanager
def wait_for_lock(path: Path, work: str) -> Iterator[None]:
    """Hold a lock file; a process that ends, however it ends, lets go of it.

    Args:
        path: The file, in a folder that is there.
        work: What the process that has it does, for those that wait: "builds the cache".
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process %s: waiting for it", work)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Have a folder to oneself, or be refused; a process that ends, however it ends, lets go of it.

    The folder is made, and taken away again where nothing was written into it.

    Raises:
        RunInUseError: Where another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunInUseError(f"{folder}: another process is at work on this run; wait for it, or stop it") from None
    try:
        yield
    finally:
        if [file.name for file in folder.iterdir()] == [path.name]:
            path.unlink()
            with suppress(OSError):
                folder.rmdir()
        lock.release()
