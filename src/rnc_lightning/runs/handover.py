"""How a run is handed to another process, and how that process hands back what came of it.

A folder holds `request.yaml`, written by whoever starts the process, and `outcome.json`, written by the process.
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
    """What came of a run in another process.

    Attributes:
        value: What it returned, as plain values.
        message: Why it failed; empty where it did not.
        details: Further lines of the message.
        traceback: Where it failed.
        can_be_fixed: Whether the user can fix it; else it is a bug.
    """

    value: Any = None
    message: str = ""
    details: Sequence[str] = ()
    traceback: str = ""
    can_be_fixed: bool = False

    @property
    def failure(self) -> UserError | None:
        """The error that it failed with, its traceback as a note; None where it did not fail."""
        if not self.message:
            return None
        error = UserError(self.message, self.details)
        error.add_note(self.traceback)
        return error


class Handover:
    """The folder between two processes.

    Args:
        folder: Made where it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._request = folder / "request.yaml"
        self._outcome = folder / "outcome.json"

    def write_request(self, request: RunRequest) -> None:
        """Hand a run over."""
        content = {"config": dict(request.config), "options": list(request.options)}
        write_text(self._request, yaml.safe_dump(content, sort_keys=False))

    def read_request(self) -> RunRequest:
        """The run that was handed over."""
        found = yaml.safe_load(self._request.read_text(encoding="utf-8"))
        return RunRequest.read(found["config"], found["options"])

    def succeed(self, value: Any) -> None:
        """Hand back what came of the run."""
        self._write(Outcome(value))

    def fail(self, error: Exception, where: str = "") -> None:
        """Hand back why the run failed.

        Of several processes the first failure counts, since the others only miss the one that failed, and before it
        one that the user can fix.
        """
        can_be_fixed = isinstance(error, UserError)
        if self._outcome.exists() and not can_be_fixed:
            return
        message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        details = error.details if isinstance(error, UserError) else ()
        text = "".join(traceback.format_exception(error))
        self._write(Outcome(None, message, details, f"{where}:\n{text}" if where else text, can_be_fixed))

    def outcome(self) -> Outcome | None:
        """What came of the run; None where the process ended before it could say."""
        if not self._outcome.is_file():
            return None
        return Outcome(**json.loads(self._outcome.read_text(encoding="utf-8")))

    def _write(self, outcome: Outcome) -> None:
        write_text(self._outcome, json.dumps(asdict(outcome)))
