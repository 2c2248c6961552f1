"""One fit: train a stage from where it stands, and leave what the next one needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.encoders.handoff import save_encoder
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.runs.directory import StageDirectory
from rnc_lightning.runs.fitting.callbacks import EpochHistory, EpochSeed, NonFiniteLossGuard, StopOnSigterm
from rnc_lightning.runs.fitting.checkpoints import BEFORE, read_checkpoint, resume_point
from rnc_lightning.runs.fitting.features_once import FeaturesOnce
from rnc_lightning.runs.fitting.label_statistics import LabelStatistics
from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.regress import Regress
from rnc_lightning.system.errors import UserError


@dataclass(frozen=True)
class StagePlan:
    """How long a stage runs, on what batches, and which of its weights count.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Samples a batch.
        views: Views a sample; None for one without a view axis.
        local_views: Small crops of a sample beside them.
        drop_last: Whether an incomplete last batch is left out.
        augment: Whether training samples are augmented.
        checkpoint: `last`, or `best` by `monitor` (the lowest value).
        monitor: Name of the metric that `best` goes by.
        features_once: Whether a frozen encoder's features are computed once where inputs are not augmented.
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

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "views"):
            value = getattr(self, name)
            if name == "views" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, got {value}")
        if isinstance(self.local_views, bool) or not isinstance(self.local_views, int) or self.local_views < 0:
            raise ValueError(f"local_views must be a whole number from 0 up, got {self.local_views}")
        if self.checkpoint not in ("last", "best"):
            raise ValueError(f"checkpoint must be last or best, got {self.checkpoint}")
        if self.checkpoint == "best" and not self.monitor:
            raise ValueError("checkpoint: best needs a monitor, such as val/mae")


@dataclass(frozen=True)
class StageSummary:
    """What a finished stage leaves behind, as `stage.json`."""

    epochs: int
    seconds: float
    chosen_epoch: int
    checkpoint: str  # file name within the stage's directory
    metrics: dict[str, float]  # of the chosen epoch

    @classmethod
    def read(cls, directory: StageDirectory) -> "StageSummary | None":
        """The summary in a stage's directory, or None where the stage is not finished."""
        found = directory.summary()
        return None if found is None else cls(**found)


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
    """Train a stage, from its last checkpoint where there is one, and export its encoder.

    Args:
        module: The stage; afterwards it holds the chosen weights.
        datamodule: Where batches come from.
        plan: Length, batches and choice of weights.
        directory: The stage's own directory.
        seed: Seed of the run and the stage.
        origin: What the encoder's JSON says of it beside stage and epoch, as plain values.
        make_trainer: Makes the Trainer from `max_epochs`, `callbacks`, `logger` and `default_root_dir`.
        callbacks: Callbacks beside those that every stage has.
        loggers: Loggers beside the history in `metrics.csv`.

    Raises:
        NonFiniteLossError: Where the loss became NaN or infinite.
    """
    datamodule.for_stage(
        seed=derive_seed(seed, "data"),
        batch_size=plan.batch_size,
        views=plan.views,
        local_views=plan.local_views,
        drop_last=plan.drop_last,
        augment=plan.augment,
    )
    history = EpochHistory(directory.history)
    trainer = make_trainer(
        max_epochs=plan.epochs,
        callbacks=[
            *_features_once(module, plan),
            *_label_statistics(module, seed),
            StopOnSigterm(),
            EpochSeed(seed),
            NonFiniteLossGuard(directory.non_finite_loss),
            history,
            *callbacks,
            *_checkpoints(directory.path, plan),
        ],
        logger=list(loggers) or False,
        default_root_dir=directory.path,
        use_distributed_sampler=False,  # the data module divides the batches itself, exactly
    )
    trainer.fit(module, datamodule=datamodule, ckpt_path=resume_point(directory.path, plan.checkpoint == "best"))
    distributed.wait_for_all()

    chosen = directory.path / f"{plan.checkpoint}.ckpt"
    load_weights(module, chosen)
    epoch = int(read_checkpoint(chosen)["epoch"]) + 1
    row = history.rows[epoch - 1]
    summary = StageSummary(
        epochs=plan.epochs,
        seconds=history.seconds,
        chosen_epoch=epoch,
        checkpoint=chosen.name,
        metrics={name: value for name, value in row.items() if name.startswith(("train/", "val/"))},
    )
    if distributed.is_first():
        card = {**origin, "stage": directory.path.name, "epoch": epoch}
        save_encoder(module.exported_encoder, directory.encoder, card)
        directory.write_summary(asdict(summary))
        (directory.path / BEFORE).unlink(missing_ok=True)
    distributed.wait_for_all()
    return summary


def check_local_views(module: Stage, datamodule: RegressionDataModule, plan: StagePlan) -> None:
    """Refuse local views that the stage would not look at, or that the data set cannot make.

    Raises:
        UserError: With a remedy.
    """
    if plan.local_views and not module.takes_local_views:
        raise UserError(
            f"recipe.pretrain.local_views: {plan.local_views}, but {type(module).__name__} uses none; "
            "only DINO does (objective=dino)"
        )
    datamodule.check_local_views(plan.local_views)


def load_weights(module: Stage, checkpoint: Path) -> None:
    """Put the weights of a Lightning checkpoint into a stage, without executing anything in the file."""
    module.load_state_dict(read_checkpoint(checkpoint)["state_dict"])


def _features_once(module: Stage, plan: StagePlan) -> list[Callback]:
    if not (plan.features_once and isinstance(module, Regress) and module.freeze_encoder):
        return []
    return [FeaturesOnce(["val"] if plan.augment else ["train", "val"])]


def _label_statistics(module: Stage, seed: int) -> list[Callback]:
    return [LabelStatistics(seed)] if isinstance(module, Regress) and module.calibration is not None else []


def _checkpoints(directory: Path, plan: StagePlan) -> list[ModelCheckpoint]:
    """One file for the best epoch, where asked for, and one for the last, which is written after it.

    `last` then knows of `best`, and a stop between the two repeats an epoch at worst.
    """
    keep: dict[str, Any] = {
        "dirpath": directory,
        "save_on_train_epoch_end": True,
        "enable_version_counter": False,
    }
    last = ModelCheckpoint(filename="last", **keep)
    if plan.checkpoint == "last":
        return [last]
    return [ModelCheckpoint(filename="best", monitor=plan.monitor, mode="min", **keep), last]
