"""A study's settings: its YAML in `conf/study/`, what it says of a data set, and what options change of it."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.system.errors import UserError, suggest

PREFIX = "study."


def build_study(name: str, data: str, options: Sequence[str], seeds: int | None = None) -> Any:
    """The study that `conf/study/<name>.yaml` names, for one data set.

    Args:
        name: Of the study.
        data: Of the data set.
        options: `key=value` of its settings, without `study.`.
        seeds: Number of seeds; None: the study's own.

    Raises:
        UserError: Where the study cannot be done on these data as it is, or a setting is unknown or wrong.
    """
    file = config_directory() / "study" / f"{name}.yaml"
    loaded = _read(file)
    by_data = loaded.pop("by_data", None) or {}
    settings = OmegaConf.merge(loaded, by_data.get(data, {}))
    assert isinstance(settings, DictConfig)
    _change(settings, options)
    _check_settings(settings)
    if seeds is not None:
        settings["seeds"] = seeds
    if lacking := [str(key) for key in settings if OmegaConf.is_missing(settings, str(key))]:
        raise UserError(
            f"the study {name} does not know its {', '.join(lacking)} on data={data}: "
            f"say {PREFIX}{lacking[0]}=..., or add by_data.{data} to {file}; "
            f"there: {', '.join(by_data) or 'none'}"
        )
    try:
        return instantiate(settings, _convert_="all")
    except Exception as error:
        cause = error.__cause__ or error
        raise UserError(f"study {name}: {str(cause).splitlines()[0]}") from error


def _check_settings(settings: DictConfig) -> None:
    """Refuse settings that the study does not have."""
    known = list(inspect.signature(get_class(settings["_target_"])).parameters)
    for key in map(str, settings):
        if key not in known and key != "_target_":
            raise UserError(f"{PREFIX}{key}: unknown option; {suggest(key, known, PREFIX)}")


def _read(file: Path) -> DictConfig:
    loaded = OmegaConf.load(file)
    assert isinstance(loaded, DictConfig)
    return loaded


def _change(settings: DictConfig, options: Sequence[str]) -> None:
    """Give settings the values of options, whole: a list or mapping takes the place of the one there."""
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise UserError(f"{PREFIX}{option}: an option is key=value")
        try:
            given = OmegaConf.create(f"value: {value}").value
            OmegaConf.update(settings, key, given, merge=False)
        except (OmegaConfBaseException, YAMLError) as error:
            raise UserError(f"{PREFIX}{option}: {' '.join(str(error).split())}") from error
