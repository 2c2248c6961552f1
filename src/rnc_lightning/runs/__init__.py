"""One run: built from its configuration, fitted stage by stage, tested, and written to its directory."""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.runs.directory import RunDirectory, StageDirectory
    from rnc_lightning.runs.request import RunRequest
    from rnc_lightning.runs.run import run_request

__all__ = ["RunDirectory", "RunRequest", "StageDirectory", "run_request"]

__getattr__ = lazy_exports(
    __name__,
    {"RunDirectory": "directory", "RunRequest": "request", "StageDirectory": "directory", "run_request": "run"},
)
