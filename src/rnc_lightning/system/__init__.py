"""The machine: errors, files, locks, signals, processes."""

from rnc_lightning.system.errors import NonFiniteLossError, RunInUseError, UserError
from rnc_lightning.system.files import write_atomically, write_text

__all__ = ["NonFiniteLossError", "RunInUseError", "UserError", "write_atomically", "write_text"]
