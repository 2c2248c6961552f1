"""A finished run, loaded from its directory: configuration, data, target, regressor with its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnc_lightning.command_line.compose import check_keys, compose_config, resolve_config
from rnc_lightning.command_line.trust import check_targets
from rnc_lightning.finished_runs.config_for_tests import check_kind, config_for_tests, errors_of, with_data_options
from rnc_lightning.finished_runs.inherited_options import inherited_options, transform_of_run
from rnc_lightning.numerics.finite import find_non_finite
from rnc_lightning.numerics.seeding import preserve_generators
from rnc_lightning.runs.directory import RESULT, RunDirectory
from rnc_lightning.runs.parts import Parts
from rnc_lightning.runs.stored_values import STATUSES, check_config, check_finished, shown
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import sha256
from rnc_lightning.targets import TargetSpec

if TYPE_CHECKING:
    from lightning import Trainer

    from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
    from rnc_lightning.stages import Regress


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
        datamodule = self._unread_data(self._config_for_tests())
        datamodule.preparation = self.result["preparation"]
        return datamodule

    def _unread_data(self, config: Mapping[str, Any]) -> "RegressionDataModule":
        from rnc_lightning.datasets.loading.datamodule import RegressionDataModule

        with errors_of(self.path):
            datamodule = Parts(config).unread_data()
            check_kind(datamodule, "data", RegressionDataModule)
        return datamodule

    def data_at(self, options: Sequence[str]) -> "RegressionDataModule":
        """The data that the run was trained on, read from where options such as `data.root=...` say they are now.

        Raises:
            UserError: For an option that would change the data, and if the data are missing or have changed.
        """
        config = with_data_options(self._config_for_tests(), options)
        self._unread_data(config)
        datamodule = Parts(config).data()
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
                f"{own.dataset} has {channels} input channels, and the encoder of {self.path} takes "
                f"{shape['channels']}: set input.channels={shape['channels']} if its images can be read so"
            )
        chosen = {key.lstrip("+"): value for key, _, value in (option.partition("=") for option in options)}
        sizes = [f"input.{key}={value}" for key, value in shape.items() if key in own.input]
        added = [size for size in sizes if size.partition("=")[0] not in chosen]
        added += inherited_options(own.data.keys(), chosen, self.config["data"], self.result["preparation"], self.path)
        cfg = compose_config([*options, *added])
        if cfg.data.get("standardize"):
            raise UserError(
                f"{cfg.dataset}: its inputs would be standardised by its own training rows, unlike those the encoder "
                "was trained on; standardise them yourself as in training and set data.standardize=false"
            )
        if cfg.data.get("missing", "error") != "error":
            raise UserError(
                f"{cfg.dataset}: its missing inputs would be replaced by averages of its own training rows, unlike "
                "those in training; fill them yourself as in training and set data.missing=error"
            )
        parts = Parts(transform_of_run(resolve_config(cfg), self.config, chosen))
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
        try:
            return TargetSpec(self.result["target"], self.config["target"]["distance"])
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.path / RESULT}: target: {error}") from error

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
        with preserve_generators(), errors_of(self.path):
            module = Parts(self._config_for_tests()).stage(self.stage, self.target)
            assert isinstance(module, Regress), f"stages.{self.stage} is no regressor"
        try:
            load_weights(module, self.checkpoint)
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{self.checkpoint} does not fit the model of {self.path}/config.yaml: {reason}") from error
        if (name := find_non_finite(module)) is not None:
            raise UserError(
                f"{self.checkpoint} has weights that are not finite numbers, the first in {name}: train the run again"
            )
        return module.eval()

    def tester(self) -> "Trainer":
        """A Trainer for one process, on the device and in the precision of the run where this machine has them."""
        from lightning import Trainer

        with errors_of(self.path):
            trainer = Parts(self._config_for_tests()).trainer()(
                logger=False, enable_checkpointing=False, enable_model_summary=False, num_sanity_val_steps=0
            )
            check_kind(trainer, "trainer", Trainer)
        return trainer

    def _config_for_tests(self) -> dict[str, Any]:
        return config_for_tests(self.config, self.stage)

    def identity(self) -> dict[str, Any]:
        """The values that identify the run in tables."""
        keys = ("experiment", "overrides", "dataset", "method", "scheme", "head", "seed", "with", "setting")
        return {key: self.result[key] for key in keys}

    def check_inside(self, folder: Path) -> None:
        """Refuse to write into a folder of the run that leads elsewhere by a link.

        Raises:
            UserError: With where it leads.
        """
        if not (there := folder.resolve()).is_relative_to(self.path.resolve()):
            raise UserError(f"{folder} leads out of the run, to {there}: remove the link")


def open_run(path: Path, trust: Sequence[str] = ()) -> FinishedRun:
    """Load a finished run, which may be anybody's.

    Args:
        path: Directory of the run.
        trust: Packages, modules or objects, as dotted names, that its configuration may name besides those of
            `command_line.trust`.

    Raises:
        UserError: If there is no run in the directory, or one that did not finish; if a file of it was altered; if its
            configuration names what is not allowed.
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
        status = status if status in STATUSES else shown(status)
        raise UserError(f"run={path} is {status}: start its training command again to finish it")
    config = directory.config()
    for name, check, content in (("config.yaml", check_config, config), (RESULT, check_finished, result)):
        try:
            check(content)
        except ValueError as error:
            raise UserError(f"{path / name} was altered or is incomplete: {error}") from error
    check_keys(config)
    check_targets(config, trust, path / "config.yaml")
    stage = list(config["stages"])[-1]
    try:
        summary = StageSummary.read(directory.stage(stage))
    except ValueError as error:
        raise UserError(
            f"{directory.stage(stage).path / 'stage.json'} was altered or is incomplete ({error}); the command of the "
            "run trains that stage again"
        ) from error
    if summary is None:
        raise UserError(
            f"{directory.stage(stage).path} has no stage.json; the command of the run trains that stage again"
        )
    return FinishedRun(path, config, result, stage, directory.stage(stage).path / summary.checkpoint)


def describe_target(target: TargetSpec) -> str:
    """Names and units of a target, as in `pitch (radians) and yaw (radians)`."""
    named = zip(target.names, target.units, strict=True)
    return " and ".join(f"{name} ({unit})" if unit else name for name, unit in named)
