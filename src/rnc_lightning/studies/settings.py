"""A study from its YAML, for one data set, and the bench of its runs."""

import difflib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.studies.bench import Bench, StudyRun
from rnc_lightning.studies.findings import Findings
from rnc_lightning.system.errors import UserError

_OWN = "study."


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
    folder = config_directory() / "study"
    own = [word.removeprefix(_OWN) for word in words if word.startswith(_OWN)]
    others = [word for word in words if not word.startswith(_OWN)]
    data = next((word.removeprefix("data=") for word in reversed(others) if word.startswith("data=")), "digits")
    if "," in data:
        raise UserError(f"data={data}: a study takes one data set")
    others = [word for word in others if not word.startswith("data=")]
    loaded = _read(folder / f"{name}.yaml")
    by_data = loaded.pop("by_data", None) or {}
    merged = OmegaConf.merge(loaded, by_data.get(data, {}))
    assert isinstance(merged, DictConfig)
    _change(merged, own)
    _check_settings(merged)
    if seeds is not None:
        merged["seeds"] = seeds
    if lacking := [str(key) for key in merged if OmegaConf.is_missing(merged, str(key))]:
        raise UserError(
            f"the study {name} does not know its {', '.join(lacking)} on data={data}: "
            f"say {_OWN}{lacking[0]}=..., or add by_data.{data} to {folder / name}.yaml; "
            f"there: {', '.join(by_data) or 'none'}"
        )
    try:
        study: Any = instantiate(merged, _convert_="all")
    except Exception as error:
        cause = error.__cause__ or error
        raise UserError(f"study {name}: {str(cause).splitlines()[0]}") from error
    return ChosenStudy(study, Bench(data, others, runs))


def _check_settings(settings: DictConfig) -> None:
    """Refuse settings that the study does not have."""
    known = list(inspect.signature(get_class(settings["_target_"])).parameters)
    for key in map(str, settings):
        if key not in known and key != "_target_":
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {_OWN}{near[0]}?" if near else f"there are {', '.join(known)}"
            raise UserError(f"{_OWN}{key}: no such setting; {hint}")


def _read(file: Path) -> DictConfig:
    loaded = OmegaConf.load(file)
    assert isinstance(loaded, DictConfig)
    return loaded


def _change(settings: DictConfig, words: Sequence[str]) -> None:
    """Give settings the values of words, whole: a list or mapping takes the place of the one there."""
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"{_OWN}{word}: a word is key=value")
        try:
            given = OmegaConf.create(f"value: {value}").value
            OmegaConf.update(settings, key, given, merge=False)
        except (OmegaConfBaseException, YAMLError) as error:
            raise UserError(f"{_OWN}{word}: {' '.join(str(error).split())}") from error
