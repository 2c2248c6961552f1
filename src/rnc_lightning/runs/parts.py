"""From a configuration to checked, built parts."""

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
from rnc_lightning.system.errors import UserError

if TYPE_CHECKING:
    from lightning import Callback, Trainer
    from lightning.pytorch.loggers import Logger
    from torch import Tensor

    from rnc_lightning.datasets.inspection import Inspection
    from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
    from rnc_lightning.runs.fitting.fit import StagePlan
    from rnc_lightning.stages import Stage
    from rnc_lightning.targets import TargetSpec

log = logging.getLogger(__name__)


class Parts:
    """Builds what a run is made of, turning every complaint of a constructor into one line with its key.

    Args:
        config: The resolved configuration, as plain values.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def target(self, labels: "Tensor", names: Sequence[str] | None = None) -> "TargetSpec":
        """What is regressed; ranges that the configuration leaves open are those of the training labels (N, D).

        Args:
            labels: The training labels.
            names: Names of their columns, where the user chose them; the configuration then adds units and ranges.
        """
        target = self.open_target(names)
        with _blaming("target"):
            for name, count in target.count_outside(labels).items():
                where = f"{target.dimensions[name].low} to {target.dimensions[name].high}"
                log.warning(
                    "target.dimensions.%s: %d of %d training labels lie outside %s; a head with bins takes its ends",
                    *(name, count, len(labels), where),
                )
            return target.fitted(labels)

    def open_target(self, names: Sequence[str] | None = None) -> "TargetSpec":
        """What is regressed, its ranges as far as the configuration gives them."""
        from rnc_lightning.targets import TargetSpec

        given = dict(self.config["target"])
        if names is not None:
            known = given["dimensions"]
            check_known(known, set(names), "target.dimensions.")
            given["dimensions"] = {name: {"step": None, **known.get(name, {})} for name in names}
        with _blaming("target"):
            return TargetSpec(**given)

    def data(self) -> "RegressionDataModule":
        """The data set, read."""
        datamodule = self.unread_data()
        with _blaming("data"):
            datamodule.setup()
        return datamodule

    def unread_data(self) -> "RegressionDataModule":
        """The data set before anything of it is read."""
        with _blaming("data"):
            datamodule: RegressionDataModule = instantiate(self.config["data"], _convert_="all")
        return datamodule

    def inspection(self) -> "Inspection":
        """What there is to know of the data set without training."""
        from rnc_lightning.datasets.inspection import inspect

        datamodule = self.unread_data()
        target = self.open_target(datamodule.target_names)
        with _blaming("data"):
            return inspect(datamodule, target)

    def plan(self, name: str) -> "StagePlan":
        """Length and batches of a stage."""
        from rnc_lightning.runs.fitting.fit import StagePlan

        stage = self.config["stages"][name]
        with _blaming(f"stages.{name}"):
            return StagePlan(**{f.name: stage[f.name] for f in fields(StagePlan) if f.name in stage})

    def stage(self, name: str, target: "TargetSpec") -> "Stage":
        """A stage with fresh weights, drawn from (seed, stage)."""
        import torch

        from rnc_lightning.numerics.seeding import derive_seed, seed_all

        stage = self.config["stages"][name]
        seed_all(derive_seed(self.config["seed"], name, "weights"))
        with _blaming("encoder"):
            encoder = instantiate(self.config["encoder"], _convert_="all")
        with _blaming(f"stages.{name}.module"):
            make = instantiate(stage["module"], _convert_="all")
        with _blaming(f"stages.{name}.optimizer"):
            optimizer = instantiate(stage["optimizer"], _convert_="all")
            optimizer([torch.nn.Parameter(torch.zeros(1))])  # a bad learning rate is told now, not after stage one
        with _blaming(f"stages.{name}.schedule"):
            schedule = instantiate(stage["schedule"], _convert_="all")
            schedule(optimizer([torch.nn.Parameter(torch.zeros(1))]), epochs=stage["epochs"])
        settings = {"encoder": encoder, "target": target, "optimizer": optimizer, "schedule": schedule}
        if "head" in make.keywords:
            settings["head"] = _blamed("head", make.keywords["head"])
        with _blaming(f"stages.{name}"):
            module: Stage = make(**settings, epochs=stage["epochs"])
        return module

    def trainer(self) -> "Callable[..., Trainer]":
        """Makes a Trainer; what belongs to a stage is added to it."""
        from rnc_lightning.runs.fitting.trainers import trainer_factory

        with _blaming("trainer"):
            return trainer_factory(instantiate(self.config["trainer"], _partial_=True, _convert_="all"))

    def callbacks(self) -> "list[Callback]":
        """Optional callbacks, those set to null left out."""
        with _blaming("callbacks"):
            return [instantiate(c, _convert_="all") for c in self.config["callbacks"].values() if c]

    def loggers(self, **context: Any) -> "list[Logger]":
        """Loggers for one stage; of several processes only the first one has real ones."""
        from rnc_lightning.numerics import distributed
        from rnc_lightning.tracking import loggers

        chosen = [config for config in self.config["logger"].values() if config]
        if not distributed.is_first():
            return [loggers.dummy_logger() for _ in chosen]
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
