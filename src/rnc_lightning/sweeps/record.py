"""What became of each job of a sweep: one small file a job, written by whichever process ran it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rnc_lightning.system.files import write_text

RUNNING, FINISHED, READ, FAILED, STOPPED = "running", "finished", "finished before", "failed", "stopped"


@dataclass(frozen=True)
class JobRecord:
    """One job.

    Attributes:
        number: Its place in the sweep.
        overrides: Its words, as the command line would have them.
        status: One of the words above; `finished before` for a run that was only read.
        value: What it returned to the sweeper.
        seconds: How long it took.
        reason: Why it failed, in one line.
        log: Where more is written about the failure.
        run: The run's directory, where it is known.
    """

    number: int
    overrides: tuple[str, ...]
    status: str = RUNNING
    value: float | None = None
    seconds: float | None = None
    reason: str = ""
    log: str = ""
    run: str = ""

    def write(self, folder: Path) -> None:
        """Write it into the sweep's directory."""
        write_text(folder / "jobs" / f"{self.number}.json", json.dumps(asdict(self), indent=1))


def read_records(folder: Path) -> list[JobRecord]:
    """All jobs that a sweep began, in their order."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "jobs").glob("[0-9]*.json")]
    records = [JobRecord(**{**values, "overrides": tuple(values["overrides"])}) for values in found]
    return sorted(records, key=lambda record: record.number)


def delete_records(folder: Path) -> None:
    """Remove those of an earlier sweep in the same directory."""
    for path in (folder / "jobs").glob("[0-9]*.json"):
        path.unlink(missing_ok=True)


def close_records(records: Sequence[JobRecord], stopped: bool = False) -> list[JobRecord]:
    """The records of a sweep that is over: what still seems to run was stopped with it, or had been killed."""
    status, reason = (STOPPED, "") if stopped else (FAILED, "its process ended without a word (killed?)")
    return [
        replace(record, status=status, reason=reason, log=record.run) if record.status == RUNNING else record
        for record in records
    ]


def differing_options(records: Sequence[JobRecord]) -> dict[int, tuple[str, ...]]:
    """For each job the words that not all jobs have.

    >>> differing_options([JobRecord(0, ("head=l1", "seed=0")), JobRecord(1, ("head=l1", "seed=1"))])
    {0: ('seed=0',), 1: ('seed=1',)}
    """
    if len(records) < 2:
        return {record.number: record.overrides for record in records}
    common = set.intersection(*(set(record.overrides) for record in records))
    return {record.number: tuple(word for word in record.overrides if word not in common) for record in records}


def swept_options(overrides: Sequence[str], words: Sequence[str]) -> list[str]:
    """A job's words that the sweep's command does not have as they are: what the sweep varies.

    >>> swept_options(["head=l1", "print_config=False", "seed=1"], ["head=l1", "print_config=false", "seed=0,1"])
    ['seed=1']
    """
    common = {word.casefold() for word in words}
    return [word for word in overrides if word.casefold() not in common]
