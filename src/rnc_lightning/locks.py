"""Lock files: one process works, the others wait and are told why."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)


@contextmanager
def held(path: Path, work: str) -> Iterator[None]:
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
