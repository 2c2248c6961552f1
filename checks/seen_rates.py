"""A callback that records the learning rate of each process: in a search all processes of a run must use the same."""

import json
import uuid
from pathlib import Path

from lightning import Callback, LightningModule, Trainer

from rnc_lightning.numerics import distributed
from rnc_lightning.stages import Pretrain


class RecordLearningRates(Callback):
    """Writes one small file per process and run.

    Args:
        folder: Folder of the files.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the learning rate of stage one."""
        if isinstance(pl_module, Pretrain):
            self.folder.mkdir(parents=True, exist_ok=True)
            rate = trainer.optimizers[0].param_groups[0]["initial_lr"]
            text = json.dumps({"rank": distributed.rank(), "lr": rate})
            (self.folder / uuid.uuid4().hex).write_text(text, encoding="utf-8")
