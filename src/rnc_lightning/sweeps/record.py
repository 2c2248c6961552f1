"""The outcome of each job of a sweep: one small file per job, written by the process that runs or starts it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from rnc_lightning.runs.stored_values import number, text, texts, whole_number
from rnc_lightning.system.files import write_text
from rnc_lightning.system.plain_files import read_json

RUNNING, FINISHED, READ, FAILED, STOPPED = "running", "finished", "finished before", "failed", "stopped"


@dataclass(frozen=True)
class JobRecord:
    """One job.

    Attributes:
        number: Its number in the sweep.
        overrides: Its options, as on the command line.
        status: One of the constants above; `finished before` for a run that was only read.
        value: Its return value for the sweeper.
        seconds: Its duration.
        reason: Why it failed, in one line.
        log: File with the details of the failure.
        run: The run's directory, if it is known.
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
        """Write the record into the sweep's directory."""
        write_text(folder / "jobs" / f"{self.number}.json", json.dumps(asdict(self), indent=1))


def read_records(folder: Path) -> list[JobRecord]:
    """The records of all jobs that a sweep has started, in their order; a damaged one is that of a failed job."""
    records = [_read(path) for path in (folder / "jobs").glob("[0-9]*.json") if path.stem.isdecimal()]
    return sorted(records, key=lambda record: record.number)


def _read(path: Path) -> JobRecord:
    number_of_job = int(path.stem)
    try:
        content = read_json(path)
        whole_number(content, "number")
        for key in ("status", "reason", "log", "run"):
            text(content, key)
        for key in ("value", "seconds"):
            number(key, content.get(key))
        known = {field.name: content[field.name] for field in fields(JobRecord) if field.name in content}
        return JobRecord(**{**known, "number": number_of_job, "overrides": texts(content, "overrides")})
    except (ValueError, OSError) as error:
        return JobRecord(number_of_job, (), FAILED, reason=f"its record cannot be read: {error}", log=str(path))


def delete_records(folder: Path) -> None:
    """Delete the records of an earlier sweep in the same directory."""
    for path in (folder / "jobs").glob("[0-9]*.json"):
        path.unlink(missing_ok=True)


def close_records(records: Sequence[JobRecord], stopped: bool = False) -> list[JobRecord]:
    """The records of a sweep that has ended: a job that is still `running` was stopped with it, or was killed."""
    status, reason = (STOPPED, "") if stopped else (FAILED, "its process ended without a message (was it killed?)")
    return [
        replace(record, status=status, reason=reason, log=record.run) if record.status == RUNNING else record
        for record in records
    ]


def differing_options(records: Sequence[JobRecord]) -> dict[int, tuple[str, ...]]:
    """For each job the options that not all jobs have.

    >>> differing_options([JobRecord(0, ("head=l1", "seed=0")), JobRecord(1, ("head=l1", "seed=1"))])
    {0: ('seed=0',), 1: ('seed=1',)}
    """
    if len(records) < 2:
        return {record.number: record.overrides for record in records}
    common = set.intersection(*(set(record.overrides) for record in records))
    return {record.number: tuple(option for option in record.overrides if option not in common) for record in records}


def swept_options(overrides: Sequence[str], command: Sequence[str]) -> list[str]:
    """A job's options that are not options of the sweep's command: those that the sweep varies.

    >>> swept_options(["head=l1", "print_config=False", "seed=1"], ["head=l1", "print_config=false", "seed=0,1"])
    ['seed=1']
    """
    common = {option.casefold() for option in command}
    return [option for option in overrides if option.casefold() not in common]
