"""Errors that the user can fix."""

import difflib
import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager


class UserError(Exception):
    """Anything the user can fix. Entry points print its message as one line and its details below, without traceback.

    Args:
        message: What is wrong, where, and how to fix it.
        details: Further lines, for example a list of bad files.
    """

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class NonFiniteLossError(UserError):
    """The loss became NaN or infinite; training was stopped at that step."""


class RunInUseError(UserError):
    """Another process is working in the same run directory."""


def suggest(name: object, known: Iterable[object], prefix: str = "") -> str:
    """A hint to append to the message about an unknown name: the most similar known name, or all known names.

    >>> suggest("seeed", ["seed", "data"]), suggest("x", ["seed", "data"]), suggest("lrr", ["lr"], "optimizer.")
    ('did you mean seed?', 'known here: seed, data', 'did you mean optimizer.lr?')
    """
    names = [str(one) for one in known]
    similar = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {prefix}{similar[0]}?" if similar else f"known here: {', '.join(names)}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def prefix_errors(name: str) -> Iterator[None]:
    """Raise a TypeError or ValueError of the block as a ValueError whose message begins with `name`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


_ELSEWHERE = "write runs to another folder (paths.output_dir=... or RNC_RUNS)"

_STORAGE = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the quota is used up: free some space",
    errno.EROFS: f"the file system is read-only: {_ELSEWHERE}",
    errno.EACCES: f"access is not allowed: fix the permissions, or {_ELSEWHERE}",
    errno.EPERM: f"access is not allowed: fix the permissions, or {_ELSEWHERE}",
    errno.EIO: "the disk reports an error",
    errno.ESTALE: "the network file system reports that it is gone",
    errno.EEXIST: "something that is not a folder or a regular file, or a link to nothing, is in its place: "
    "delete it or choose another path",
    errno.ENOTDIR: "a part of this path is not a folder: delete what is in its place or choose another path",
    errno.EISDIR: "it is a folder, but a file is needed: delete it or choose another path",
    errno.ELOOP: "its links go in a circle: delete them or choose another path",
    errno.ENAMETOOLONG: "a name in this path is too long: choose a shorter one (paths.run_dir=...)",
}


@contextmanager
def explain_machine_failures() -> Iterator[None]:
    """Turn failures of the machine (a full disk, a path that is a file, a dead data worker) into errors that help.

    Raises:
        UserError: In their place; all other errors are raised unchanged.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _STORAGE:
            raise
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        raise UserError(
            f"{where}{_STORAGE[error.errno]}. All files written before are complete; then repeat the same command to "
            "continue"
        ) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"a data worker died ({reason}), most often because memory ran out: use fewer workers "
            "(data.num_workers=...) or smaller batches. The same command continues from the last finished epoch"
        ) from error
