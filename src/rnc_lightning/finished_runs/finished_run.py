"""A finished run, put together again from its directory: configuration, data, target, regressor with its weights."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnc_lightning.command_line.compose import check_keys, composed, plain, with_option
from rnc_lightning.command_line.identity import VOLATILE
from rnc_lightning.numerics.seeding import preserve_generators
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.parts import Parts
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import sha256
from rnc_lightning.targets import TargetSpec

if TYPE_CHECKING:
    from lightning import Trainer

    from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
    from rnc_lightning.stages import Regress

# One process on one device, nothing on the screen, all batches: what trained the run does not matter afterwards.
_ALONE = {
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
    "sync_batchnorm": False,
    "limit_test_batches": 1.0,
    "enable_progress_bar": False,
}


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended well.

    Attributes:
        path: Its directory.
        config: Its resolved configuration.
        result: Its `result.json`.
        stage: Name of its last stage, the regressor's.
        checkpoint: The regressor's chosen weights.
    """

    path: Path
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    stage: str
    checkpoint: Path

    @cached_property
    def checkpoint_sha256(self) -> str:
        """Checksum of the weights."""
        return sha256(self.checkpoint)

    @cached_property
    def data_of_run(self) -> "RegressionDataModule":
        """The data that it was trained on, read.

        Raises:
            UserError: Where they are missing, or are not what they were.
        """
        return self.data_at([])

    def unread_data(self) -> "RegressionDataModule":
        """The data that it was trained on, before anything of them is read: how inputs become batches."""
        datamodule = Parts(self._for_one()).unread_data()
        datamodule.preparation = self.result["preparation"]
        return datamodule

    def data_at(self, words: Sequence[str]) -> "RegressionDataModule":
        """The data that it was trained on, read from where words such as `data.root=...` say they lie now.

        Raises:
            UserError: For a word that would change the data, and where they are missing or not what they were.
        """
        datamodule = Parts(_moved(self._for_one(), words)).data()
        expected = self.result["data_fingerprint"]
        if datamodule.fingerprint != expected:
            raise UserError(
                f"{self.path} was trained on other data (fingerprint {expected}, now {datamodule.fingerprint}). Put "
                f"the data back, say where they are (data.root=...), or name them as another data set (data=NAME ...)"
            )
        return datamodule

    def other_data(self, words: Sequence[str]) -> "tuple[RegressionDataModule, str]":
        """Another data set, read, and its name; `words` are those of training, `data=NAME` among them.

        Raises:
            UserError: Where its inputs do not fit the encoder or its target is another one.
        """
        shape = {key: value for key, value in self.config["input"].items() if value is not None}
        # Its own input first: what the data set has of channels must be what the encoder takes.
        own = composed(words)
        if (channels := own.input.get("channels")) is not None and channels != shape.get("channels", channels):
            raise UserError(
                f"{own.dataset} has {channels} input channels, and the encoder of {self.path} takes {shape['channels']}"
            )
        given = {word.partition("=")[0].lstrip("+") for word in words}
        sizes = [f"input.{key}={value}" for key, value in shape.items() if key in own.input]
        if "size" in own.data and "size" in self.config["data"]:
            sizes.append(f"data.size={self.config['data']['size']}")
        cfg = composed([*words, *(word for word in sizes if word.partition("=")[0] not in given)])
        if cfg.data.get("standardize"):
            raise UserError(
                f"{cfg.dataset}: its inputs would be standardised by its own training rows, which is not what the "
                "encoder has seen; standardise them yourself as for training, and set data.standardize=false"
            )
        parts = Parts(plain(cfg))
        datamodule = parts.unread_data()
        theirs, ours = parts.open_target(datamodule.target_names), self.target
        if theirs.names != ours.names or _differ(theirs.units, ours.units):
            raise UserError(
                f"{cfg.dataset} has the target {_told(theirs)}, and {self.path} predicts {_told(ours)}: "
                "they must agree in names, order and units"
            )
        return parts.data(), str(cfg.dataset)

    @cached_property
    def target(self) -> TargetSpec:
        """The target as fitted."""
        return TargetSpec(self.result["target"], self.config["target"]["distance"])

    def regressor(self) -> "Regress":
        """Encoder and head with the chosen weights, in evaluation mode.

        Raises:
            UserError: Where the weights were damaged, or do not fit what the configuration makes.
        """
        from rnc_lightning.runs.fitting.checkpoints import is_sound
        from rnc_lightning.runs.fitting.fit import load_weights
        from rnc_lightning.stages import Regress

        if not is_sound(self.checkpoint):
            raise UserError(f"{self.checkpoint} is missing or damaged; the run's own command trains that stage again")
        with preserve_generators():
            module = Parts(self._for_one()).stage(self.stage, self.target)
        assert isinstance(module, Regress)
        try:
            load_weights(module, self.checkpoint)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{self.checkpoint} does not fit what {self.path}/config.yaml makes: {reason}") from error
        return module.eval()

    def tester(self) -> "Trainer":
        """A Trainer that tests in this process alone, on the device and in the precision of the run where they are."""
        return Parts(self._for_one()).trainer()(
            logger=False, enable_checkpointing=False, enable_model_summary=False, num_sanity_val_steps=0
        )

    def identity(self) -> dict[str, Any]:
        """What tables call the run by."""
        kept = ("experiment", "overrides", "dataset", "method", "scheme", "head", "seed", "with", "setting")
        return {key: self.result[key] for key in kept}

    def _for_one(self) -> dict[str, Any]:
        """The configuration for one process, without files and compilers that only training needed."""
        import torch

        config = copy.deepcopy(dict(self.config))
        trainer, module, encoder = config["trainer"], config["stages"][self.stage]["module"], config["encoder"]
        gpu = torch.cuda.is_available()
        accelerator = trainer.get("accelerator", "auto")
        trainer.update({**_ALONE, "accelerator": accelerator if gpu or accelerator == "cpu" else "auto"})
        if not gpu and trainer.get("precision") == "16-mixed":
            trainer["precision"] = "32-true"
        if "compile" in module:
            module["compile"] = None
        if "weights" in encoder:
            encoder["weights"] = None  # the checkpoint has all of them
        return config


def open_run(path: Path) -> FinishedRun:
    """A finished run's directory, looked at.

    Raises:
        UserError: Where there is none, or none that ended well.
    """
    from rnc_lightning.runs.fitting.fit import StageSummary

    if not path.is_dir():
        raise UserError(f"run={path}: there is no such directory; a run's is told where its training ends")
    directory = RunDirectory(path)
    if not directory.begun():
        raise UserError(f"run={path} holds no run: there is no config.yaml in it")
    result = directory.finished()
    if result is None:
        status = (directory.result() or {}).get("status", "unfinished")
        raise UserError(f"run={path} is {status}: its training command, given again, goes on with it")
    config = directory.config()
    try:
        check_keys(config)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path / 'config.yaml'} was altered or cut short: {' '.join(str(error).split())}") from error
    stage = list(config["stages"])[-1]
    summary = StageSummary.read(directory.stage(stage))
    if summary is None:
        raise UserError(
            f"{directory.stage(stage).path} lacks its stage.json; the run's own command trains that stage again"
        )
    return FinishedRun(path, config, result, stage, directory.stage(stage).path / summary.checkpoint)


def _moved(config: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The configuration with words about where the data lie and how they are read; others are refused."""
    for word in words:
        key, _, value = word.partition("=")
        key = key.lstrip("+")
        if key not in VOLATILE and key != "data.eval_batch_size":
            allowed = ", ".join(name for name in VOLATILE if name.startswith("data."))
            raise UserError(
                f"{key}: would make it other data than those of the run, where {allowed} can be given; "
                "name the data set to evaluate it on other data: data=NAME"
            )
        config = with_option(config, key, value)
    return config


def _differ(theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether units that both tell are not the same."""
    return any(a and b and a != b for a, b in zip(theirs, ours, strict=True))


def _told(target: TargetSpec) -> str:
    return ", ".join(
        f"{name} ({unit})" if unit else name for name, unit in zip(target.names, target.units, strict=True)
    )
