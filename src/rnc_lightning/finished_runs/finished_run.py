"""A finished run, loaded from its directory: configuration, data, target, regressor with its weights."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnc_lightning.command_line.compose import check_keys, compose_config, resolve_config, with_option
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

# One process on one device, no progress bar, all batches, however the run was trained.
_SINGLE_DEVICE = {
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
    "sync_batchnorm": False,
    "limit_test_batches": 1.0,
    "enable_progress_bar": False,
}


@dataclass(frozen=True)
class FinishedRun:
    """A run that finished without an error.

    Attributes:
        path: Directory of the run.
        config: Resolved configuration.
        result: Content of its `result.json`.
        stage: Name of the last stage, which trained the regressor.
        checkpoint: File with the chosen weights of the regressor.
    """

    path: Path
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    stage: str
    checkpoint: Path

    @cached_property
    def checkpoint_sha256(self) -> str:
        """SHA-256 of the file of weights."""
        return sha256(self.checkpoint)

    @cached_property
    def data_of_run(self) -> "RegressionDataModule":
        """The data that the run was trained on, read.

        Raises:
            UserError: If they are missing or have changed.
        """
        return self.data_at([])

    def unread_data(self) -> "RegressionDataModule":
        """The data module of the run before any file is read; it knows how inputs become batches."""
        datamodule = Parts(self._single_device_config()).unread_data()
        datamodule.preparation = self.result["preparation"]
        return datamodule

    def data_at(self, options: Sequence[str]) -> "RegressionDataModule":
        """The data that the run was trained on, read from where options such as `data.root=...` say they are now.

        Raises:
            UserError: For an option that would change the data, and if the data are missing or have changed.
        """
        datamodule = Parts(_with_data_options(self._single_device_config(), options)).data()
        if datamodule.fingerprint != self.result["data_fingerprint"]:
            from rnc_lightning.datasets.reading.data_identity import describe_changes

            changes = describe_changes(RunDirectory(self.path).recorded_data()[1], datamodule.identity)
            raise UserError(
                f"{self.path} was trained on other data (changed: {changes}). Restore them, set their location "
                "(data.root=...), or evaluate on another data set (data=NAME ...)"
            )
        return datamodule

    def other_data(self, options: Sequence[str]) -> "tuple[RegressionDataModule, str]":
        """Another data set, read, and its name.

        Args:
            options: Options of training, one of them `data=NAME`.

        Raises:
            UserError: If its inputs do not fit the encoder or its target is a different one.
        """
        shape = {key: value for key, value in self.config["input"].items() if value is not None}
        # Composed without the sizes of the run first, to see the data set's own number of channels.
        own = compose_config(options)
        if (channels := own.input.get("channels")) is not None and channels != shape.get("channels", channels):
            raise UserError(
                f"{own.dataset} has {channels} input channels, and the encoder of {self.path} takes {shape['channels']}"
            )
        chosen = {option.partition("=")[0].lstrip("+") for option in options}
        sizes = [f"input.{key}={value}" for key, value in shape.items() if key in own.input]
        if "size" in own.data and "size" in self.config["data"]:
            sizes.append(f"data.size={self.config['data']['size']}")
        cfg = compose_config([*options, *(size for size in sizes if size.partition("=")[0] not in chosen)])
        if cfg.data.get("standardize"):
            raise UserError(
                f"{cfg.dataset}: its inputs would be standardised by its own training rows, unlike those the encoder "
                "was trained on; standardise them yourself as in training and set data.standardize=false"
            )
        parts = Parts(resolve_config(cfg))
        datamodule = parts.unread_data()
        theirs, ours = parts.open_target(datamodule.target_names), self.target
        if theirs.names != ours.names or any(a and b and a != b for a, b in zip(theirs.units, ours.units, strict=True)):
            raise UserError(
                f"{cfg.dataset} has the target {describe_target(theirs)}, and {self.path} predicts "
                f"{describe_target(ours)}: names, order and units must be the same"
            )
        return parts.data(), str(cfg.dataset)

    @cached_property
    def target(self) -> TargetSpec:
        """The target as fitted to the training labels."""
        return TargetSpec(self.result["target"], self.config["target"]["distance"])

    def regressor(self) -> "Regress":
        """Encoder and head with the chosen weights, in evaluation mode.

        Raises:
            UserError: If the weights are damaged or do not fit the model of the configuration.
        """
        from rnc_lightning.runs.fitting.checkpoints import is_sound
        from rnc_lightning.runs.fitting.fit import load_weights
        from rnc_lightning.stages import Regress

        if not is_sound(self.checkpoint):
            raise UserError(f"{self.checkpoint} is missing or damaged; the command of the run trains that stage again")
        with preserve_generators():
            module = Parts(self._single_device_config()).stage(self.stage, self.target)
        assert isinstance(module, Regress)
        try:
            load_weights(module, self.checkpoint)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{self.checkpoint} does not fit the model of {self.path}/config.yaml: {reason}") from error
        return module.eval()

    def tester(self) -> "Trainer":
        """A Trainer for one process, on the device and in the precision of the run where this machine has them."""
        return Parts(self._single_device_config()).trainer()(
            logger=False, enable_checkpointing=False, enable_model_summary=False, num_sanity_val_steps=0
        )

    def identity(self) -> dict[str, Any]:
        """The values that identify the run in tables."""
        keys = ("experiment", "overrides", "dataset", "method", "scheme", "head", "seed", "with", "setting")
        return {key: self.result[key] for key in keys}

    def _single_device_config(self) -> dict[str, Any]:
        """The configuration for one process, without what only training needed: compilation, pretrained weights."""
        import torch

        config = copy.deepcopy(dict(self.config))
        trainer, module, encoder = config["trainer"], config["stages"][self.stage]["module"], config["encoder"]
        gpu = torch.cuda.is_available()
        accelerator = trainer.get("accelerator", "auto")
        trainer.update({**_SINGLE_DEVICE, "accelerator": accelerator if gpu or accelerator == "cpu" else "auto"})
        if not gpu and trainer.get("precision") == "16-mixed":
            trainer["precision"] = "32-true"
        if "compile" in module:
            module["compile"] = None
        if "weights" in encoder:
            encoder["weights"] = None  # the checkpoint has all of them
        return config


def open_run(path: Path) -> FinishedRun:
    """Load a finished run.

    Raises:
        UserError: If there is no run in the directory, or one that did not finish.
    """
    from rnc_lightning.runs.fitting.fit import StageSummary

    if not path.is_dir():
        raise UserError(f"run={path}: there is no such directory; training prints the directory of the run at its end")
    directory = RunDirectory(path)
    if not directory.begun():
        raise UserError(f"run={path} is not the directory of a run: it has no config.yaml")
    result = directory.finished()
    if result is None:
        status = (directory.result() or {}).get("status", "unfinished")
        raise UserError(f"run={path} is {status}: start its training command again to finish it")
    config = directory.config()
    try:
        check_keys(config)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{path / 'config.yaml'} was altered or is incomplete: {' '.join(str(error).split())}"
        ) from error
    stage = list(config["stages"])[-1]
    try:
        summary = StageSummary.read(directory.stage(stage))
    except (ValueError, TypeError):  # damaged
        summary = None
    if summary is None:
        raise UserError(
            f"{directory.stage(stage).path} has no sound stage.json; the command of the run trains that stage again"
        )
    return FinishedRun(path, config, result, stage, directory.stage(stage).path / summary.checkpoint)


def _with_data_options(config: dict[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """The configuration with options about where the data are and how they are read; other options are refused."""
    for option in options:
        key, _, value = option.partition("=")
        key = key.lstrip("+")
        if key not in VOLATILE and key != "data.eval_batch_size":
            allowed = ", ".join(name for name in VOLATILE if name.startswith("data."))
            raise UserError(
                f"{key}: would change the data of the run, for which only {allowed} can be set; "
                "to evaluate on other data, name the data set: data=NAME"
            )
        config = with_option(config, key, value)
    return config


def describe_target(target: TargetSpec) -> str:
    """Names and units of a target, as in `pitch (radians) and yaw (radians)`."""
    named = zip(target.names, target.units, strict=True)
    return " and ".join(f"{name} ({unit})" if unit else name for name, unit in named)
