"""Errors that a user can mend."""

from collections.abc import Sequence


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
