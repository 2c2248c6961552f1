"""Reads what W&B's client wrote to disk: a `run-<id>.wandb` file, a log of records in blocks as LevelDB keeps it."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32768
HEADER = 7  # of the file: ":W&B", magic, version; of a piece: checksum (4), length (2), kind (1)
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4
IDENTITY: dict[str, Any] = {  # the least that a run has
    "experiment": "e", "seed": 0, "dataset": "d", "setting": "s", "synthetic_data": False, "synthetic_parts": [],
}  # fmt: skip


@dataclass
class WrittenRun:
    """The content of one file.

    Attributes:
        run: The first run record: id, group, job type, tags.
        config: Keys and values.
        history: A row for each call of `log`.
        summary: The last value of each key.
        step_metrics: Pattern of a metric -> the metric that it is shown over.
        artifacts: Name of each artifact.
        exit_code: None where the run was not closed.
    """

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    step_metrics: dict[str, str] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    exit_code: int | None = None

    def column(self, key: str) -> list[Any]:
        """All values of a key in the history."""
        return [row[key] for row in self.history if key in row]


def written_runs(directory: Path, patience: float = 30) -> list[WrittenRun]:
    """What was written below a run directory, in the order of the starts; all of it must have been closed.

    The client's service may put the end of a file on disk a moment after the run was closed.
    """
    deadline = time.monotonic() + patience
    while True:
        paths = sorted(directory.rglob("run-*.wandb"), key=lambda path: path.parent.name)
        found = [read(path) for path in paths]
        if time.monotonic() > deadline or all(run.exit_code is not None for run in found):
            return found
        time.sleep(0.05)


def read(path: Path) -> WrittenRun:
    """The content of a file."""
    found = WrittenRun()
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = found.run or record.run
            found.config.update((item.key, json.loads(item.value_json)) for item in record.run.config.update)
            _update(found.summary, record.run.summary.update)
        elif kind == "config":
            found.config.update((item.key, json.loads(item.value_json)) for item in record.config.update)
        elif kind == "history":
            row: dict[str, Any] = {}
            _update(row, record.history.item)
            found.history.append(row)
            found.summary.update(row)
        elif kind == "summary":
            _update(found.summary, record.summary.update)
        elif kind == "metric":
            found.step_metrics[record.metric.glob_name or record.metric.name] = record.metric.step_metric
        elif kind == "artifact":
            found.artifacts.append(record.artifact.name)
        elif kind == "request" and record.request.HasField("log_artifact"):
            found.artifacts.append(record.request.log_artifact.artifact.name)
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def records(path: Path) -> Iterator[Record]:
    """The records of a file; an incomplete one at its end, as a kill leaves it, is left out."""
    content = path.read_bytes()
    assert content[:4] in (b":W&B", b"")
    place, whole = HEADER, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        piece = content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind == 0 or len(piece) < length:
            return
        whole = piece if kind in (WHOLE, FIRST) else whole + piece
        if kind in (WHOLE, LAST):
            record = Record()
            record.ParseFromString(whole)
            yield record


def _update(into: dict[str, Any], items: Any) -> None:
    for item in items:
        into["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
