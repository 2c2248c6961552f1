"""Fit one stage, from its last checkpoint if there is one, and write the files that the next stage needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.encoders.handoff import save_encoder
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.runs.directory import StageDirectory
from rnc_lightning.runs.fitting.callbacks import EpochHistory, EpochSeed, NonFiniteLossGuard, StopOnSigterm
from rnc_lightning.runs.fitting.checkpoints import BEFORE, read_checkpoint, resume_point
from rnc_lightning.runs.fitting.features_once import FeaturesOnce
from rnc_lightning.runs.fitting.label_statistics import LabelStatistics
from rnc_lightning.runs.stored_values import check_summary
from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.regress import Regress
from rnc_lightning.system.errors import UserError, first_line

ONE_VALUE = "Expected more than 1 value per channel"  # how PyTorch's batch normalisation refuses a single row


@dataclass(frozen=True)
class StagePlan:
    """The length of a stage, its batches, and which of its weights are used.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Samples per batch.
        views: Views per sample; None for a single one without a view axis.
        local_views: Additional small crops per sample.
        drop_last: Whether an incomplete last batch is skipped.
        augment: Whether training samples are augmented.
        checkpoint: `last`, or `best` by `monitor` (the lowest value).
        monitor: Name of the metric that chooses the `best` epoch; None for the stage's own choice.
        features_once: Whether a frozen encoder's features are computed only once for inputs that are not augmented.
        join_single: Whether a last batch with a single sample for a process joins the batch before.
    """

    epochs: int
    batch_size: int
    views: int | None = None
    local_views: int = 0
    drop_last: bool = False
    augment: bool = True
    checkpoint: Literal["last", "best"] = "last"
    monitor: str | None = None
    features_once: bool = False
    join_single: bool = False

    def __post_init__(self) -> None:
        check_whole_number("epochs", self.epochs, least=1)
        check_whole_number("batch_size", self.batch_size, least=1)
        if self.views is not None:
            check_whole_number("views", self.views, least=1)
        check_whole_number("local_views", self.local_views, least=0)
        if self.checkpoint not in ("last", "best"):
            raise ValueError(f"checkpoint must be last or best, got {self.checkpoint}")


@dataclass(frozen=True)
class StageSummary:
    """The content of `stage.json`, written when a stage is finished."""

    epochs: int
    seconds: float
    chosen_epoch: int
    checkpoint: str  # file name within the stage's directory
    metrics: dict[str, float]  # of the chosen epoch
    files: dict[str, str]  # SHA-256 of the stage's files, by name

    @classmethod
    def read(cls, directory: StageDirectory) -> "StageSummary | None":
        """The summary in a stage's directory, or None if the stage is not finished.

        Raises:
            ValueError: If the file was altered, with the key.
        """
        summary = directory.summary()
        if summary is None:
            return None
        check_summary(summary)
        return cls(**{field.name: summary[field.name] for field in fields(cls)})


def fit_stage(
    module: Stage,
    datamodule: RegressionDataModule,
    plan: StagePlan,
    directory: StageDirectory,
    *,
    seed: int,
    origin: Mapping[str, Any],
    make_trainer: Callable[..., Trainer],
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
) -> StageSummary:
    """Train a stage, from its last checkpoint if there is one, and export its encoder.

    Args:
        module: The stage; afterwards it holds the chosen weights.
        datamodule: Source of the batches.
        plan: Length, batches and choice of weights.
        directory: The stage's directory.
        seed: Seed of the run and the stage.
        origin: Entries of the encoder's JSON in addition to stage and epoch, as plain values.
        make_trainer: Creates the Trainer from `max_epochs`, `callbacks`, `logger` and `default_root_dir`.
        callbacks: Callbacks in addition to those that every stage has.
        loggers: Loggers in addition to the history in `metrics.csv`.

    Raises:
        NonFiniteLossError: If the loss became NaN or infinite.
    """
    datamodule.for_stage(
        seed=derive_seed(seed, "data"),
        batch_size=plan.batch_size,
        views=plan.views,
        local_views=plan.local_views,
        drop_last=plan.drop_last,
        augment=plan.augment,
        join_single=plan.join_single,
    )
    history = EpochHistory(directory.history)
    trainer = make_trainer(
        max_epochs=plan.epochs,
        callbacks=[
            *_regressor_callbacks(module, plan, seed),
            StopOnSigterm(),
            EpochSeed(seed),
            NonFiniteLossGuard(directory.non_finite_loss),
            history,
            *callbacks,
            *_checkpoints(directory.path, plan, plan.monitor or module.monitor),
        ],
        logger=list(loggers) or False,
        default_root_dir=directory.path,
        use_distributed_sampler=False,  # the data module divides the batches itself, exactly
    )
    start = resume_point(directory.path, plan.checkpoint == "best")
    with _explain_lightning():
        trainer.fit(module, datamodule=datamodule, ckpt_path=start)
    distributed.wait_for_all()

    chosen = directory.path / f"{plan.checkpoint}.ckpt"
    load_weights(module, chosen)
    epoch = int(read_checkpoint(chosen)["epoch"]) + 1
    row = history.rows[epoch - 1]
    files: dict[str, str] = {}
    if distributed.is_first():
        card = {**origin, "stage": directory.path.name, "epoch": epoch}
        save_encoder(module.exported_encoder, directory.encoder, card)
        history.write(directory.history)  # again: it may have been damaged since its last epoch
        files = directory.checksums(chosen.name)
    summary = StageSummary(
        epochs=plan.epochs,
        seconds=history.seconds,
        chosen_epoch=epoch,
        checkpoint=chosen.name,
        metrics={name: value for name, value in row.items() if name.startswith(("train/", "val/"))},
        files=files,
    )
    if distributed.is_first():
        directory.write_summary(asdict(summary))
        (directory.path / BEFORE).unlink(missing_ok=True)
    distributed.wait_for_all()
    return summary


@contextmanager
def _explain_lightning() -> Iterator[None]:
    """Say in one line what Lightning finds wrong with the trainer, and batch normalisation with a single row.

    Raises:
        UserError: In their place.
    """
    try:
        yield
    except MisconfigurationException as error:
        raise UserError(f"trainer: {first_line(error)}") from error
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        raise UserError(
            "batch normalisation in training needs two rows, but got a batch or chunk of one: use larger batches "
            "(recipe.*.batch_size) or a larger recipe.*.gradient_cache"
        ) from error


def check_local_views(module: Stage, datamodule: RegressionDataModule, plan: StagePlan) -> None:
    """Refuse local views that the stage does not use, or that the data set cannot create.

    Raises:
        UserError: With what to change.
    """
    if plan.local_views and not module.takes_local_views:
        raise UserError(
            f"recipe.pretrain.local_views: {plan.local_views}, but {type(module).__name__} does not use local views; "
            "only DINO does (objective=dino)"
        )
    datamodule.check_local_views(plan.local_views)


def load_weights(module: Stage, checkpoint: Path) -> None:
    """Load the weights of a Lightning checkpoint into a stage, without executing anything in the file."""
    module.load_state_dict(read_checkpoint(checkpoint)["state_dict"])


def _regressor_callbacks(module: Stage, plan: StagePlan, seed: int) -> Iterator[Callback]:
    if not isinstance(module, Regress):
        return
    if plan.features_once and module.freeze_encoder:
        yield FeaturesOnce(["val"] if plan.augment else ["train", "val"])
    if module.calibration is not None:
        yield LabelStatistics(seed)


def _checkpoints(directory: Path, plan: StagePlan, monitor: str | None) -> list[ModelCheckpoint]:
    """One callback for the best epoch if `plan` asks for it, and one for the last, which is written after it.

    So the state of `best` is saved in `last`, and a stop between the two repeats at most one epoch.
    """
    settings: dict[str, Any] = {"dirpath": directory, "save_on_train_epoch_end": True, "enable_version_counter": False}
    last = ModelCheckpoint(filename="last", **settings)
    if plan.checkpoint == "last":
        return [last]
    if monitor is None:
        raise UserError(f"stages.{directory.name}: checkpoint=best needs a monitor, the name of a metric of this stage")
    return [ModelCheckpoint(filename="best", monitor=monitor, mode="min", **settings), last]
