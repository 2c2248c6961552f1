"""How a run is handed to another process, and how that process returns the outcome.

Both go through a folder: `request.yaml` is written by the starter of the process, `outcome.json` by the process.
"""

import json
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from rnc_lightning.runs.request import RunRequest
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run in another process.

    Attributes:
        value: Its return value, as plain values.
        message: Why it failed; empty if it did not fail.
        details: Further lines of the message.
        traceback: Traceback of the failure.
        can_be_fixed: Whether the user can fix the failure; otherwise it is a bug.
    """

    value: Any = None
    message: str = ""
    details: Sequence[str] = ()
    traceback: str = ""
    can_be_fixed: bool = False

    @property
    def failure(self) -> UserError | None:
        """The error that it failed with, its traceback as a note; None if it did not fail."""
        if not self.message:
            return None
        error = UserError(self.message, self.details)
        error.add_note(self.traceback)
        return error


class Handover:
    """The folder through which two processes exchange a run and its outcome.

    Args:
        folder: Created if needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._request = folder / "request.yaml"
        self._outcome = folder / "outcome.json"

    def write_request(self, request: RunRequest) -> None:
        """Write the run that the other process is to execute."""
        content = {"config": dict(request.config), "options": list(request.options)}
        write_text(self._request, yaml.safe_dump(content, sort_keys=False))

    def read_request(self) -> RunRequest:
        """The run that the other process has written."""
        content = yaml.safe_load(self._request.read_text(encoding="utf-8"))
        return RunRequest.read(content["config"], content["options"])

    def succeed(self, value: Any) -> None:
        """Return the result of the run."""
        self._write(Outcome(value))

    def fail(self, error: Exception, where: str = "") -> None:
        """Report why the run failed.

        If several processes fail, the first failure is kept: the others usually fail only because that process is
        gone. A failure that the user can fix replaces an earlier one.

        Args:
            error: The failure.
            where: Which process failed, for the traceback.
        """
        can_be_fixed = isinstance(error, UserError)
        if self._outcome.exists() and not can_be_fixed:
            return
        message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        details = error.details if isinstance(error, UserError) else ()
        text = "".join(traceback.format_exception(error))
        self._write(Outcome(None, message, details, f"{where}:\n{text}" if where else text, can_be_fixed))

    def outcome(self) -> Outcome | None:
        """The outcome of the run; None if the process ended before it could write one."""
        if not self._outcome.is_file():
            return None
        return Outcome(**json.loads(self._outcome.read_text(encoding="utf-8")))

    def _write(self, outcome: Outcome) -> None:
        write_text(self._outcome, json.dumps(asdict(outcome)))
