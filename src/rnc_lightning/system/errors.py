"""Errors that a user can mend."""

import difflib
import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager


class UserError(Exception):
    """What the user can mend. Entry points show its message as one line and its details below, no traceback.

    Args:
        message: What is wrong, where, and how to mend it.
        details: Further lines, where one cannot name everything: a list of bad files, say.
    """

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class NonFiniteLossError(UserError):
    """The loss became NaN or infinite; training was stopped at that step."""


class RunInUseError(UserError):
    """Another process is at work in the same run directory."""


def nearest(name: object, known: Iterable[object], prefix: str = "") -> str:
    """What to put after the message on an unknown name: the known one most like it, or else all that are known.

    >>> nearest("seeed", ["seed", "data"]), nearest("x", ["seed", "data"]), nearest("lrr", ["lr"], "optimizer.")
    ('did you mean seed?', 'known here: seed, data', 'did you mean optimizer.lr?')
    """
    names = [str(one) for one in known]
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(names)}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has no message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Put a part's name before what it complains of, as a ValueError."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error


_ELSEWHERE = "put runs elsewhere (paths.output_dir=... or RNC_RUNS)"

_STORAGE = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "the quota is used up: make room",
    errno.EROFS: f"the file system is read-only: {_ELSEWHERE}",
    errno.EACCES: f"writing is not allowed: mend the permissions, or {_ELSEWHERE}",
    errno.EIO: "the disk reports an error",
}


@contextmanager
def machine_failures_explained() -> Iterator[None]:
    """Turn the machine's troubles (a full disk, a data worker that died) into what they mean to a user.

    Raises:
        UserError: In their place; all other errors stay what they are.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _STORAGE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        raise UserError(
            f"{where}{_STORAGE[error.errno]}. What was finished before is whole; the same command then goes on"
        ) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"a data worker died ({reason}), mostly since memory ran out: fewer of them (data.num_workers=...) or "
            "smaller batches need less. The same command goes on from the last finished epoch"
        ) from error
