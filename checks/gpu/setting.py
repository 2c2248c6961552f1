"""What a section is given, and where it notes what it finds."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Setting:
    """A section's device, folder and time.

    Attributes:
        device: `cuda` or `cpu`.
        folder: Where files go that nobody needs afterwards, the same for all sections.
        deadline: When the section is ended, on the clock `time.monotonic`, which all processes share.
    """

    device: str
    folder: Path
    deadline: float

    @property
    def on_gpu(self) -> bool:
        """Whether to measure; else everything is only tried, at tiny sizes."""
        return self.device == "cuda"

    @property
    def left(self) -> float:
        """Seconds until the section is ended."""
        return self.deadline - time.monotonic()


class Notes:
    """What a section finds: tables, failures, remarks; on disk as soon as it is known.

    Args:
        path: The JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, Any] = {"tables": {}, "failures": [], "remarks": []}

    def row(self, table: str, **cells: Any) -> None:
        """Add a row to a table; a cell's name is its heading, with `_` for a space."""
        named = {heading.replace("_", " "): cell for heading, cell in cells.items()}
        self.found["tables"].setdefault(table, []).append(named)
        self._write()

    def fail(self, what: str) -> None:
        """Note something that is not as it should be."""
        self.found["failures"].append(what)
        self._write()

    def remark(self, what: str) -> None:
        """Note something that a reader should know."""
        self.found["remarks"].append(what)
        self._write()

    def _write(self) -> None:
        write_json(self.path, self.found)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is whole at any moment."""
    beside = path.with_name(f".{path.name}")
    beside.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read what was written; empty where nothing was."""
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
