"""A callback that writes down with which learning rate each process trains: a search must give all of them the same."""

import json
import uuid
from pathlib import Path

from lightning import Callback, LightningModule, Trainer

from rnc_lightning.numerics import distributed
from rnc_lightning.stages import Pretrain


class RecordLearningRates(Callback):
    """Leaves one small file a process and run.

    Args:
        folder: Where.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write down the rate of stage one."""
        if isinstance(pl_module, Pretrain):
            self.folder.mkdir(parents=True, exist_ok=True)
            rate = trainer.optimizers[0].param_groups[0]["initial_lr"]
            text = json.dumps({"rank": distributed.rank(), "lr": rate})
            (self.folder / uuid.uuid4().hex).write_text(text, encoding="utf-8")
