"""The machine: errors, files, locks, signals, processes."""

from rnc_lightning.system.errors import NonFiniteLossError, RunInUseError, UserError
from rnc_lightning.system.files import write_text, write_atomically

__all__ = ["NonFiniteLossError", "RunInUseError", "UserError", "write_text", "write_atomically"]
