"""A frozen encoder encodes an input that never changes once, not in every epoch."""

from collections.abc import Sequence

import torch
from lightning import Callback, LightningModule, Trainer
from rich.progress import track
from torch import Tensor

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.splits import SplitName
from rnc_lightning.stages.regress import Regress


class FeaturesOnce(Callback):
    """Compute the features of some splits before the first epoch; the data module then returns them.

    They are computed in evaluation mode on the trainer's device and in its precision, in batches of
    `eval_batch_size`, and kept in main memory: N x F numbers per split.

    Args:
        splits: Splits whose inputs are not augmented.
    """

    def __init__(self, splits: Sequence[SplitName]) -> None:
        self.splits = splits

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the features and give them to the data module."""
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, Regress)
        assert isinstance(datamodule, RegressionDataModule)
        quiet = trainer.progress_bar_callback is None
        for name in self.splits:
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                datamodule.use_features(name, _features(pl_module, datamodule, name, quiet))


def _features(module: Regress, datamodule: RegressionDataModule, name: SplitName, quiet: bool) -> Tensor:
    module.encoder.eval()
    loader = datamodule.plain_loader(name)
    batches = track(loader, description=f"features of {name}", total=len(loader), transient=True, disable=quiet)
    inputs = (datamodule.on_after_batch_transfer({"x": batch["x"].to(module.device)})["x"] for batch in batches)
    return torch.cat([module.features(x).float().cpu() for x in inputs])
