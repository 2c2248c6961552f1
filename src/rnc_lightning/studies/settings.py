"""Load a study for one data set from its YAML."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rnc_lightning.command_line.study_settings import PREFIX, build_study
from rnc_lightning.studies.bench import Bench, StudyRun
from rnc_lightning.studies.findings import Findings
from rnc_lightning.system.errors import UserError


class Study(Protocol):
    """The interface of a study."""

    title: str
    question: str

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """List the runs; those of one list can be trained in parallel, and a later list needs the earlier ones."""

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Evaluate the finished runs."""


@dataclass(frozen=True)
class ChosenStudy:
    """A study, and the bench that makes its runs on a data set."""

    study: Study
    bench: Bench


def load_study(name: str, options: Sequence[str], runs: Path, seeds: int | None = None) -> ChosenStudy:
    """Read `conf/study/<name>.yaml` with its settings for the data set.

    Args:
        name: Name of the study.
        options: `data=...`, `study....=...` and options of the training command.
        runs: Folder of the runs.
        seeds: Number of seeds; None for the study's own.

    Raises:
        UserError: If the study needs settings that it does not have for the data set, or a setting is unknown or
            wrong.
    """
    settings, training, data = [], [], "digits"
    for option in options:
        if option.startswith(PREFIX):
            settings.append(option.removeprefix(PREFIX))
        elif option.startswith("data="):
            data = option.removeprefix("data=")
        else:
            training.append(option)
    if "," in data:
        raise UserError(f"data={data}: a study takes one data set")
    return ChosenStudy(build_study(name, data, settings, seeds), Bench(data, training, runs))
