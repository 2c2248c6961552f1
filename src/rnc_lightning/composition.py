"""From a composed configuration to checked, built parts. Only entry points use this."""

import difflib
import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnc_lightning.errors import UserError
from rnc_lightning.run_directory import VOLATILE

if TYPE_CHECKING:  # heavy, and not needed before the configuration has been looked at
    from lightning import Callback, Trainer
    from lightning.pytorch.loggers import Logger
    from torch import Tensor

    from rnc_lightning.data.datamodule import RegressionDataModule
    from rnc_lightning.data.inspection import Inspection
    from rnc_lightning.stages import Stage
    from rnc_lightning.stages.fit import StagePlan
    from rnc_lightning.targets import TargetSpec

log = logging.getLogger(__name__)

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
    inside = Path(__file__).parent / "conf"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "conf"


def composed(words: Sequence[str]) -> DictConfig:
    """The configuration that the command line's words compose, for programs that are no Hydra application."""
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", list(words))


def plain(cfg: DictConfig) -> dict[str, Any]:
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


def check_keys(config: Mapping[str, Any]) -> None:
    """Refuse keys that nothing would read, at the top and in the stages.

    Raises:
        UserError: With the nearest key that exists.
    """
    _known(config, ROOT_KEYS, "")
    if not config.get("stages"):
        raise UserError("stages: there is none to run; choose a scheme, such as scheme=linear_probe")
    for name, stage in config["stages"].items():
        _known(stage, STAGE_KEYS, f"stages.{name}.")
    if isinstance(config["seed"], bool) or not isinstance(config["seed"], int) or config["seed"] < 0:
        raise UserError(f"seed: must be a whole number from 0 up, got {config['seed']}")


def run_identity(config: Mapping[str, Any], overrides: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The experiment's name, and the overrides that tell its runs apart, sorted, with the seed.

    Overrides that change no result are left out.
    """
    values = dict(_split_override(override) for override in overrides)
    experiment = values.pop("experiment", None)
    if experiment is None:
        experiment = f"{config['dataset']}_{config['method']}"
        values.pop("data", None)
        values.pop("method", None)
    values["seed"] = str(config["seed"])
    return experiment, {key: values[key] for key in sorted(values) if not _volatile(key)}


def run_name(config: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """`<experiment>/<overrides>`: the same command gives the same name.

    A name too long for a file system ends in a hash.
    """
    experiment, kept = run_identity(config, overrides)
    exact = ",".join(f"{key}={value}" for key, value in kept.items())
    name = re.sub(r"[^\w.=,+\-\[\]]", "_", exact)
    if name != exact or len(name) > 120:
        name = f"{name[:120]}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"
    return f"{experiment}/{name}"


def run_path(config: Mapping[str, Any], overrides: Sequence[str]) -> Path:
    """Where this run lies: `paths.run_dir`, or its name within `paths.output_dir`."""
    paths = config["paths"]
    return Path(paths["run_dir"] or Path(paths["output_dir"]) / run_name(config, overrides))


class Parts:
    """Builds what a run is made of, turning every complaint of a constructor into one line with its key.

    Args:
        cfg: The composed configuration.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg

    def target(self, labels: "Tensor", names: Sequence[str] | None = None) -> "TargetSpec":
        """What is regressed; ranges that the configuration leaves open are those of the training labels (N, D).

        Args:
            labels: The training labels.
            names: Names of their columns, where the user chose them; the configuration then adds units and ranges.
        """
        target = self.open_target(names)
        with _blaming("target"):
            for name, count in target.outside(labels).items():
                where = f"{target.dimensions[name].low} to {target.dimensions[name].high}"
                log.warning(
                    "target.dimensions.%s: %d of %d training labels lie outside %s; a head with bins takes its ends",
                    *(name, count, len(labels), where),
                )
            return target.fitted(labels)

    def open_target(self, names: Sequence[str] | None = None) -> "TargetSpec":
        """What is regressed, its ranges as far as the configuration gives them."""
        from rnc_lightning.targets import TargetSpec

        config = _container(self.cfg.target)
        if names is not None:
            _known(config["dimensions"], set(names), "target.dimensions.")
            config["dimensions"] = {name: {"step": None, **config["dimensions"].get(name, {})} for name in names}
        with _blaming("target"):
            return TargetSpec(**config)

    def data(self) -> "RegressionDataModule":
        """The data set, read."""
        datamodule = self.unread_data()
        with _blaming("data"):
            datamodule.setup()
        return datamodule

    def unread_data(self) -> "RegressionDataModule":
        """The data set before anything of it is read."""
        with _blaming("data"):
            datamodule: RegressionDataModule = instantiate(self.cfg.data, _convert_="all")
        return datamodule

    def inspection(self) -> "Inspection":
        """What there is to know of the data set without training."""
        from rnc_lightning.data.inspection import inspect

        datamodule = self.unread_data()
        target = self.open_target(datamodule.target_names)
        with _blaming("data"):
            return inspect(datamodule, target)

    def plan(self, name: str) -> "StagePlan":
        """Length and batches of a stage."""
        from rnc_lightning.stages.fit import StagePlan

        stage = _container(self.cfg.stages[name])
        with _blaming(f"stages.{name}"):
            return StagePlan(**{f.name: stage[f.name] for f in fields(StagePlan) if f.name in stage})

    def stage(self, name: str, target: "TargetSpec") -> "Stage":
        """A stage with fresh weights, drawn from (seed, stage)."""
        import torch

        from rnc_lightning.seeding import derive_seed, seed_all

        stage = self.cfg.stages[name]
        seed_all(derive_seed(self.cfg.seed, name, "weights"))
        with _blaming("encoder"):
            encoder = instantiate(self.cfg.encoder, _convert_="all")
        with _blaming(f"stages.{name}.module"):
            make = instantiate(stage.module, _convert_="all")
        with _blaming(f"stages.{name}.optimizer"):
            optimizer = instantiate(stage.optimizer, _convert_="all")
            optimizer([torch.nn.Parameter(torch.zeros(1))])  # a bad learning rate is told now, not after stage one
        with _blaming(f"stages.{name}.schedule"):
            schedule = instantiate(stage.schedule, _convert_="all")
            schedule(optimizer([torch.nn.Parameter(torch.zeros(1))]), epochs=stage.epochs)
        settings = {"encoder": encoder, "target": target, "optimizer": optimizer, "schedule": schedule}
        if "head" in make.keywords:
            settings["head"] = _blamed("head", make.keywords["head"])
        with _blaming(f"stages.{name}"):
            module: Stage = make(**settings, epochs=stage.epochs)
        return module

    def trainer(self) -> "Callable[..., Trainer]":
        """Makes a Trainer; what belongs to a stage is added to it."""
        from rnc_lightning.trainers import as_the_suite_runs

        with _blaming("trainer"):
            return as_the_suite_runs(instantiate(self.cfg.trainer, _partial_=True, _convert_="all"))

    def callbacks(self) -> "list[Callback]":
        """Optional callbacks, those set to null left out."""
        with _blaming("callbacks"):
            return [instantiate(c, _convert_="all") for c in self.cfg.callbacks.values() if c]

    def loggers(self, **context: Any) -> "list[Logger]":
        """Loggers for one stage; of several processes only the first one has real ones."""
        from rnc_lightning import distributed, loggers

        chosen = [config for config in self.cfg.logger.values() if config]
        if not distributed.is_first():
            return [loggers.silent() for _ in chosen]
        with _blaming("logger"):
            return [instantiate(config, _convert_="all")(**context) for config in chosen]


@contextmanager
def _blaming(key: str) -> Iterator[None]:
    """Show what a constructor says of its arguments as one line that begins with the configuration key."""
    try:
        yield
    except UserError:
        raise
    except HydraException as error:
        cause = error.__cause__ or error
        lines = [line for line in str(error).splitlines() if line.strip()]
        where = re.search(r"full_key: (\S+)", lines[-1]) if lines else None
        if isinstance(cause, UserError):
            raise cause from None
        reason = str(cause).splitlines()[0] if cause is not error else " ".join(lines)
        place = where.group(1) if where else key
        raise UserError(f"{place if place.startswith(key) else f'{key}.{place}'}: {reason}") from error
    except (ValueError, TypeError, OmegaConfBaseException, ImportError) as error:
        raise UserError(f"{key}: {str(error).splitlines()[0]}") from error


def _blamed(key: str, make: Callable[..., Any]) -> Callable[..., Any]:
    """A factory whose complaints begin with the configuration key."""

    def made(*arguments: Any, **keywords: Any) -> Any:
        with _blaming(key):
            return make(*arguments, **keywords)

    return made


def _known(config: Mapping[str, Any], known: set[str], prefix: str) -> None:
    for key in config:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
            raise UserError(f"{prefix}{key}: no such key; {hint}")


def _split_override(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value


def _volatile(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in VOLATILE) or key.startswith("hydra")


def _container(cfg: Any) -> dict[str, Any]:
    found = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}
