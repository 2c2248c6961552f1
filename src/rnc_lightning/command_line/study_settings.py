"""The settings of a study: its YAML in `conf/study/`, its values for a data set, and options that change them."""

import inspect
from collections.abc import Sequence
from typing import Any

from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.system.errors import UserError, suggest

PREFIX = "study."


def build_study(name: str, data: str, options: Sequence[str], seeds: int | None = None) -> Any:
    """Build the study of `conf/study/<name>.yaml` for one data set.

    Args:
        name: Name of the study.
        data: Name of the data set.
        options: Settings as `key=value`, without `study.`.
        seeds: Number of seeds; None: as in the YAML.

    Raises:
        UserError: If the study needs a setting for this data set, or a setting is unknown or invalid.
    """
    file = config_directory() / "study" / f"{name}.yaml"
    loaded = OmegaConf.load(file)
    assert isinstance(loaded, DictConfig)
    by_data = loaded.pop("by_data", None) or {}
    settings = OmegaConf.merge(loaded, by_data.get(data, {}))
    assert isinstance(settings, DictConfig)
    _apply_options(settings, options)
    _check_settings(settings)
    if seeds is not None:
        settings["seeds"] = seeds
    if missing := [str(key) for key in settings if OmegaConf.is_missing(settings, str(key))]:
        raise UserError(
            f"the study {name} has no value of {', '.join(missing)} for data={data}: "
            f"set {PREFIX}{missing[0]}=..., or add by_data.{data} to {file}; it has {', '.join(by_data) or 'none'}"
        )
    try:
        return instantiate(settings, _convert_="all")
    except Exception as error:
        cause = error.__cause__ or error
        raise UserError(f"study {name}: {str(cause).splitlines()[0]}") from error


def _check_settings(settings: DictConfig) -> None:
    """Refuse unknown settings."""
    known = list(inspect.signature(get_class(settings["_target_"])).parameters)
    for key in map(str, settings):
        if key not in known and key != "_target_":
            raise UserError(f"{PREFIX}{key}: unknown option; {suggest(key, known, PREFIX)}")


def _apply_options(settings: DictConfig, options: Sequence[str]) -> None:
    """Change settings in place; a list or mapping replaces the old one completely."""
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise UserError(f"{PREFIX}{option}: an option is key=value")
        try:
            OmegaConf.update(settings, key, OmegaConf.create(f"value: {value}").value, merge=False)
        except (OmegaConfBaseException, YAMLError) as error:
            raise UserError(f"{PREFIX}{option}: {' '.join(str(error).split())}") from error
