"""Build the parts of a run from its configuration, and check them."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf.errors import OmegaConfBaseException

from rnc_lightning.command_line.compose import check_known
from rnc_lightning.system.errors import UserError, first_line

if TYPE_CHECKING:
    from lightning import Callback, Trainer
    from lightning.pytorch.loggers import Logger
    from torch import Tensor

    from rnc_lightning.datasets.inspection import Inspection
    from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
    from rnc_lightning.datasets.reading.data_identity import DataIdentity
    from rnc_lightning.runs.fitting.fit import StagePlan
    from rnc_lightning.stages import Stage
    from rnc_lightning.targets import TargetSpec

log = logging.getLogger(__name__)


class Parts:
    """Builds the parts of a run; every error of a constructor becomes one line with the configuration key.

    Args:
        config: The resolved configuration, as plain values.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def target(self, labels: "Tensor", names: Sequence[str] | None = None) -> "TargetSpec":
        """The target; ranges that the configuration does not give are those of the training labels.

        Args:
            labels: The training labels (N, D).
            names: Names of their columns, if the user chose them; the configuration then adds units and ranges.
        """
        target = self.open_target(names)
        with _errors_at("target"):
            for name, count in target.count_outside(labels).items():
                where = f"{target.dimensions[name].low} to {target.dimensions[name].high}"
                log.warning(
                    "target.dimensions.%s: %d of %d training labels are outside %s; a head with bins clips them",
                    *(name, count, len(labels), where),
                )
            fitted = target.fitted(labels)
            fitted.check_float32(labels)
            return fitted

    def open_target(self, names: Sequence[str] | None = None) -> "TargetSpec":
        """The target with the ranges that the configuration gives; see `target`."""
        from rnc_lightning.targets import TargetSpec

        settings = dict(self.config["target"])
        if names is not None:
            dimensions = settings["dimensions"]
            check_known(dimensions, set(names), "target.dimensions.")
            settings["dimensions"] = {name: {"step": None, **dimensions.get(name, {})} for name in names}
        with _errors_at("target"):
            return TargetSpec(**settings)

    def data(self) -> "RegressionDataModule":
        """The data set, already read."""
        datamodule = self.unread_data()
        with _errors_at("data"):
            datamodule.setup()
        return datamodule

    def identity_of_data(self) -> "DataIdentity":
        """What the data set is now, without preparing it for training."""
        datamodule = self.unread_data()
        with _errors_at("data"):
            return datamodule.read_identity()

    def unread_data(self) -> "RegressionDataModule":
        """The data set before any of its files are read."""
        return _build("data", self.config["data"])

    def inspection(self) -> "Inspection":
        """Statistics and problems of the data set, without training."""
        from rnc_lightning.datasets.inspection import inspect

        datamodule = self.unread_data()
        target = self.open_target(datamodule.target_names)
        with _errors_at("data"):
            return inspect(datamodule, target)

    def plan(self, name: str) -> "StagePlan":
        """Length and batches of a stage."""
        from rnc_lightning.runs.fitting.fit import StagePlan

        stage = self.config["stages"][name]
        with _errors_at(f"stages.{name}"):
            return StagePlan(**{f.name: stage[f.name] for f in fields(StagePlan) if f.name in stage})

    def stage(self, name: str, target: "TargetSpec") -> "Stage":
        """A stage with fresh weights, drawn from (seed, stage)."""
        import torch

        from rnc_lightning.numerics.seeding import derive_seed, seed_all

        stage = self.config["stages"][name]
        seed_all(derive_seed(self.config["seed"], name, "weights"))
        encoder = _build("encoder", self.config["encoder"])
        make = _build(f"stages.{name}.module", stage["module"])
        with _errors_at(f"stages.{name}.optimizer", called=True):
            optimizer = instantiate(stage["optimizer"], _convert_="all")
            optimizer([torch.nn.Parameter(torch.zeros(1))])  # reports a bad learning rate now, not after stage one
        with _errors_at(f"stages.{name}.schedule", called=True):
            schedule = instantiate(stage["schedule"], _convert_="all")
            schedule(optimizer([torch.nn.Parameter(torch.zeros(1))]), epochs=stage["epochs"])
        settings = {"encoder": encoder, "target": target, "optimizer": optimizer, "schedule": schedule}
        if "head" in make.keywords:
            settings["head"] = _errors_at("head", called=True)(make.keywords["head"])
        with _errors_at(f"stages.{name}", called=True):
            return make(**settings, epochs=stage["epochs"])

    def trainer(self) -> "Callable[..., Trainer]":
        """A factory of Trainers; each stage adds its own arguments."""
        from rnc_lightning.runs.fitting.trainers import trainer_factory

        with _errors_at("trainer", called=True):
            return trainer_factory(instantiate(self.config["trainer"], _partial_=True, _convert_="all"))

    def callbacks(self) -> "list[Callback]":
        """Optional callbacks, without those set to null."""
        return [_build("callbacks", config) for config in self.config["callbacks"].values() if config]

    def loggers(self, **context: Any) -> "list[Logger]":
        """Loggers for one stage; with several processes only those of the first one log anything."""
        from rnc_lightning.numerics import distributed
        from rnc_lightning.tracking import loggers

        chosen = [config for config in self.config["logger"].values() if config]
        if not distributed.is_first():
            return [loggers.dummy_logger() for _ in chosen]
        with _errors_at("logger", called=True):
            return [instantiate(config, _convert_="all")(**context) for config in chosen]


def _build(key: str, config: Mapping[str, Any]) -> Any:
    with _errors_at(key, called=True):
        return instantiate(config, _convert_="all")


@contextmanager
def _errors_at(key: str, called: bool = False) -> Iterator[None]:
    """Turn a constructor's error about its arguments into one line that begins with the configuration key.

    Args:
        key: Where in the configuration it is.
        called: Whether the block only calls what a `_target_` names: then every exception is meant, whatever its type.
    """
    try:
        yield
    except UserError:
        raise
    except HydraException as error:
        cause = error.__cause__ or error
        lines = [line for line in str(error).splitlines() if line.strip()]
        match = re.search(r"full_key: (\S+)", lines[-1]) if lines else None
        if isinstance(cause, UserError):
            raise cause from None
        reason = _reason(cause) if cause is not error else " ".join(lines)
        full_key = match[1] if match else key
        raise UserError(f"{full_key if full_key.startswith(key) else f'{key}.{full_key}'}: {reason}") from error
    except (ValueError, TypeError, OmegaConfBaseException, ImportError) as error:
        raise UserError(f"{key}: {_reason(error)}") from error
    except Exception as error:
        # Full disks and the like are explained elsewhere.
        if not called or (isinstance(error, OSError) and not isinstance(error, FileNotFoundError)):
            raise
        raise UserError(f"{key}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The first line of an error, with its type where that says more."""
    usual = isinstance(error, ValueError | TypeError | ImportError | OmegaConfBaseException) and str(error)
    return first_line(error) if usual or not str(error) else f"{type(error).__name__}: {first_line(error)}"
