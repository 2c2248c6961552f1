"""Errors, files, locks, signals, processes, the scheduler of jobs, versions."""

from rnc_lightning.system.errors import NonFiniteLossError, RunInUseError, UserError
from rnc_lightning.system.files import write_atomically, write_text

__all__ = ["NonFiniteLossError", "RunInUseError", "UserError", "write_atomically", "write_text"]
