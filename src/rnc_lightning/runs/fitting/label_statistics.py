"""Feature statistics for a regressor's calibration, computed at the end of each epoch before validation."""

from itertools import islice
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.stages.regress import Regress


class LabelStatistics(Callback):
    """Collect features for `Regress.calibration`: those of the training steps, or those of a separate second pass.

    The second pass runs over the augmented training set with new random draws, in training mode but without gradients,
    so it also updates the running statistics of batch normalisation, as in the released code of FDS.

    Args:
        seed: Seed of the run and the stage, for the draws of the second pass.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """After the epoch's last batch, run the second pass if there is one, and update the statistics."""
        assert isinstance(pl_module, Regress)
        if not trainer.is_last_batch:
            return
        if pl_module.calibration.second_pass:
            self._second_pass(trainer, pl_module)
        pl_module.calibration.end_epoch()

    def _second_pass(self, trainer: Trainer, module: Regress) -> None:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(datamodule, RegressionDataModule)
        loader = datamodule.training_loader(derive_seed(self.seed, "label statistics"))
        count = int(min(len(loader), trainer.num_training_batches))  # fewer if training itself is limited
        for batch in islice(loader, count):
            batch = datamodule.on_after_batch_transfer(trainer.strategy.batch_to_device(batch))
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                features = module.training_features(batch)
            labels = module.target.to_model(batch["y"])
            module.calibration.collect(features.flatten(0, 1), labels.repeat_interleave(features.shape[1], dim=0))
