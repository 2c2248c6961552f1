"""Lock files: one process works; others wait, or stop with the reason.

The operating system releases a lock when its process ends, however it ends.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rnc_lightning.system.errors import RunInUseError

log = logging.getLogger(__name__)


@contextmanager
def wait_for_lock(path: Path, work: str) -> Iterator[None]:
    """Hold a lock file within the block; wait until it is free.

    Args:
        path: The file, in an existing folder.
        work: What the process that holds the lock does, logged by those that wait: "builds the cache".
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
def lock_folder(folder: Path) -> Iterator[Callable[[], bool]]:
    """Lock a folder within the block.

    The folder is created, and deleted again if nothing was written into it.

    Yields:
        A function that returns whether the folder is still the one that was locked, not removed, moved or replaced.

    Raises:
        RunInUseError: If another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunInUseError(f"{folder}: another process is working on this run; wait for it, or stop it") from None
    locked = _file_id(path)
    try:
        yield lambda: _file_id(path) == locked
    finally:
        with suppress(OSError):
            if [file.name for file in folder.iterdir()] == [path.name] and _file_id(path) == locked:
                path.unlink()
                folder.rmdir()
        lock.release()


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
