"""The errors that a user can mend: shown as one line, without a traceback."""


class UserError(Exception):
    """Something in the input or the configuration is wrong; the message says what, where and how to mend it."""


class NonFiniteLossError(UserError):
    """A training loss became NaN or infinite."""
