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


_ELSEWHERE = "put runs elsewhere (paths.output_dir=... or RNC_RUNS)"


_STORAGE = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "the quota is used up: make room",
    errno.EROFS: f"the file system is read-only: {_ELSEWHERE}",
    errno.EACCES: f"writing is not allowed: mend the permissions, or {_ELSEWHERE}",
    errno.EIO: "the disk reports an error",
}


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """What an unknown name may have been meant to be, for the end of a message.

    Args:
        name: What was written.
        known: Names that there are.
        prefix: What stands before a name where a person writes it, such as `head=` or `data.`.

    >>> nearest("crn", ["l1", "corn"], "head="), nearest("zzz", ["l1", "corn"])
    ('did you mean head=corn?', 'known here: l1, corn')
    """
    names = [str(one) for one in known]
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(names) or 'none'}"


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
