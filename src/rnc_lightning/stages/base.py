"""What every stage shares: its optimiser, its schedule, and names of what it logs."""

from collections.abc import Callable, Iterable

from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from rnc_lightning import distributed
from rnc_lightning.targets import TargetSpec

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
ScheduleFactory = Callable[..., LRScheduler]


class Stage(LightningModule):
    """One fit: an encoder and what trains it.

    Args:
        encoder: Input x to features (B, F); has `num_features`.
        target: What is regressed.
        optimizer: Makes the optimiser from the parameters that train.
        schedule: Makes the schedule from the optimiser and `epochs`; stepped once an epoch.
        epochs: Number of epochs.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        target: TargetSpec,
        optimizer: OptimizerFactory,
        schedule: ScheduleFactory,
        epochs: int,
    ) -> None:
        super().__init__()
        # Neither module nor factory goes into hparams: a checkpoint then holds tensors and plain values only.
        self.encoder = encoder
        self.target = target
        self._make_optimizer = optimizer
        self._make_schedule = schedule
        self._epochs = epochs

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Optimise all that trains; one step of the schedule an epoch."""
        optimizer = self._make_optimizer([p for p in self.parameters() if p.requires_grad])
        schedule = self._make_schedule(optimizer, epochs=self._epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def log_epoch(self, name: str, value: Tensor, batch_size: int, progress: bool = False) -> None:
        """Log the epoch's mean of a value, weighted by batch size, over all processes."""
        # Put together here: Lightning rounds the mean batch size of uneven processes down to a whole number.
        value, batch_size = distributed.mean_over_rows(value, batch_size)
        self.log(name, value, on_step=False, on_epoch=True, batch_size=batch_size, prog_bar=progress)
