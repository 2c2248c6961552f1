"""Compose, resolve and check the configuration of a command."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnc_lightning.command_line.identity import path_part
from rnc_lightning.system.errors import UserError, suggest

ComposedConfig = DictConfig  # for type annotations in rooms that do not import OmegaConf

ROOT_KEYS = {
    "calibration", "calibration_name", "callbacks", "compare_data", "compute", "data", "dataset", "encoder",
    "encoder_from", "head", "head_name", "input", "logger", "method", "objective", "objective_name",
    "optimized_metric", "paths", "plots", "print_config", "recipe", "regularizers", "scheme", "seed", "stage_one",
    "stages", "target", "trainer", "weighting", "weighting_name",
}  # fmt: skip

STAGE_KEYS = {
    "module", "epochs", "batch_size", "views", "local_views", "drop_last", "augment", "checkpoint", "monitor",
    "optimizer", "schedule", "features_once",
}  # fmt: skip


def config_directory() -> Path:
    """Folder of the configuration groups: in the package if installed from a wheel, else the repository's `conf/`."""
    in_package = Path(__file__).parents[1] / "conf"
    return in_package if in_package.is_dir() else Path(__file__).parents[3] / "conf"


def compose_config(options: Sequence[str]) -> DictConfig:
    """The configuration that options of training compose, for programs that are not a Hydra application."""
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", list(options))


def resolve_config(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as dicts and lists with every interpolation resolved.

    Raises:
        UserError: If a value is missing or an interpolation refers to nothing.
    """
    if cfg.get("head_name") is None:
        raise UserError("head_name: the head has no name; add one to its YAML, such as head_name: my_head")
    try:
        container = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        if cfg.get("objective") is None and "'objective' not found" in str(error):
            raise UserError(
                f"scheme={cfg.get('scheme')} needs an objective, but method={cfg.get('method')} has none; "
                "add one, such as objective=rnc"
            ) from error
        key = f"{error.full_key}: " if error.full_key else ""
        raise UserError(f"{key}{str(error).splitlines()[0]}") from error
    return _as_dict(_without_tilde(container))


def with_option(config: Mapping[str, Any], key: str, value: str) -> dict[str, Any]:
    """A resolved configuration with one value changed; the value is read as on the command line.

    >>> with_option({"data": {"root": None}}, "data.num_workers", "2")
    {'data': {'root': None, 'num_workers': 2}}
    """
    changed = OmegaConf.create(dict(config))
    OmegaConf.update(changed, key, OmegaConf.from_dotlist([f"value={value}"]).value, force_add=True)
    return _as_dict(OmegaConf.to_container(changed))


def check_keys(config: Mapping[str, Any]) -> None:
    """Refuse unknown keys at the top level and in the stages, and an invalid seed.

    Raises:
        UserError: For an unknown key, with the most similar known one; if there is no stage; for an invalid seed.
    """
    check_known(config, ROOT_KEYS, "")
    if not config.get("stages"):
        raise UserError("stages: there are none to run; choose a scheme, such as scheme=linear_probe")
    for name, stage in config["stages"].items():
        path_part("stages", name)  # the name of its folder
        check_known(stage, STAGE_KEYS, f"stages.{name}.")
    if isinstance(config["seed"], bool) or not isinstance(config["seed"], int) or config["seed"] < 0:
        raise UserError(f"seed: must be a whole number from 0 up, got {config['seed']}")


def check_known(config: Mapping[str, Any], known: set[str], prefix: str) -> None:
    """Refuse keys of a mapping that are not known.

    Raises:
        UserError: For an unknown key, with the most similar known one.
    """
    for key in config:
        if key not in known:
            raise UserError(f"{prefix}{key}: unknown option; {suggest(key, sorted(known), prefix)}")


def _without_tilde(value: Any) -> Any:
    """A configuration with `~/` at the start of a text as the home directory: shells replace it only in some places."""
    if isinstance(value, dict):
        return {key: _without_tilde(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_tilde(inner) for inner in value]
    return str(Path(value).expanduser()) if isinstance(value, str) and value.startswith("~/") else value


def _as_dict(container: object) -> dict[str, Any]:
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
