"""A study from its YAML, for one data set, and the bench of its runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rnc_lightning.command_line.study_settings import PREFIX, build_study
from rnc_lightning.studies.bench import Bench, StudyRun
from rnc_lightning.studies.findings import Findings
from rnc_lightning.system.errors import UserError


class Study(Protocol):
    """What every study can do."""

    title: str
    question: str

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Its runs; those of a list can be trained side by side, and a later list needs the earlier ones."""

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """What the finished runs show."""


@dataclass(frozen=True)
class ChosenStudy:
    """A study on a data set."""

    study: Study
    bench: Bench


def load_study(name: str, words: Sequence[str], runs: Path, seeds: int | None = None) -> ChosenStudy:
    """Read `conf/study/<name>.yaml` and what it says of the data set.

    Args:
        name: Of the study.
        words: `data=...`, `study....=...` and words of the training command.
        runs: Folder of the runs.
        seeds: Number of seeds; None: the study's own.

    Raises:
        UserError: Where the study cannot be done on these data as it is, or a setting is unknown or wrong.
    """
    own = [word.removeprefix(PREFIX) for word in words if word.startswith(PREFIX)]
    others = [word for word in words if not word.startswith(PREFIX)]
    data = next((word.removeprefix("data=") for word in reversed(others) if word.startswith("data=")), "digits")
    if "," in data:
        raise UserError(f"data={data}: a study takes one data set")
    others = [word for word in others if not word.startswith("data=")]
    return ChosenStudy(build_study(name, data, own, seeds), Bench(data, others, runs))
