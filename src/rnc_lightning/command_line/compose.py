"""From options to a composed and checked configuration."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnc_lightning.system.errors import UserError, suggest

ComposedConfig = DictConfig  # what Hydra composes, for those who only pass it on

ROOT_KEYS = {
    "calibration", "calibration_name", "callbacks", "compute", "data", "dataset", "encoder", "encoder_from", "head",
    "head_name", "input", "logger", "method", "objective", "objective_name", "optimized_metric", "paths", "plots",
    "print_config", "recipe", "regularizers", "scheme", "seed", "stage_one", "stages", "target", "trainer",
    "weighting", "weighting_name",
}  # fmt: skip

STAGE_KEYS = {
    "module", "epochs", "batch_size", "views", "local_views", "drop_last", "augment", "checkpoint", "monitor",
    "optimizer", "schedule", "features_once",
}  # fmt: skip


def config_directory() -> Path:
    """The configuration groups: inside the package when installed from a wheel, else the repository's `conf/`."""
    inside = Path(__file__).parents[1] / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "conf"


def compose_config(words: Sequence[str]) -> DictConfig:
    """The configuration that the command line's words compose, for programs that are no Hydra application."""
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", list(words))


def resolve_config(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers with every interpolation resolved.

    Raises:
        UserError: Where a value is missing or an interpolation leads nowhere.
    """
    if cfg.get("head_name") is None:
        raise UserError("head_name: the head has no name; add one to its YAML, such as head_name: my_head")
    try:
        container = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        if cfg.get("objective") is None and "'objective' not found" in str(error):
            raise UserError(
                f"scheme={cfg.get('scheme')} needs an objective, and method={cfg.get('method')} has none; "
                "add one, such as objective=rnc"
            ) from error
        key = f"{error.full_key}: " if error.full_key else ""
        raise UserError(f"{key}{str(error).splitlines()[0]}") from error
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def with_option(config: Mapping[str, Any], key: str, value: str) -> dict[str, Any]:
    """A resolved configuration with one value changed, read as a command line's option.

    >>> with_option({"data": {"root": None}}, "data.num_workers", "2")
    {'data': {'root': None, 'num_workers': 2}}
    """
    changed = OmegaConf.create(dict(config))
    OmegaConf.update(changed, key, OmegaConf.from_dotlist([f"value={value}"]).value, force_add=True)
    container = OmegaConf.to_container(changed)
    assert isinstance(container, dict)
    return {str(name): found for name, found in container.items()}


def check_keys(config: Mapping[str, Any]) -> None:
    """Refuse keys that nothing would read, at the top and in the stages.

    Raises:
        UserError: With the nearest key that exists.
    """
    check_known(config, ROOT_KEYS, "")
    if not config.get("stages"):
        raise UserError("stages: there is none to run; choose a scheme, such as scheme=linear_probe")
    for name, stage in config["stages"].items():
        check_known(stage, STAGE_KEYS, f"stages.{name}.")
    if isinstance(config["seed"], bool) or not isinstance(config["seed"], int) or config["seed"] < 0:
        raise UserError(f"seed: must be a whole number from 0 up, got {config['seed']}")


def check_known(config: Mapping[str, Any], known: set[str], prefix: str) -> None:
    """Refuse keys of a mapping that are not known, with the nearest that is."""
    for key in config:
        if key not in known:
            raise UserError(f"{prefix}{key}: no such key; {suggest(key, sorted(known), prefix)}")
