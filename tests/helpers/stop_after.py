"""A callback that interrupts a run between two epochs of a stage."""

from lightning import Callback, LightningModule, Trainer


class StopAfter(Callback):
    """Raises as the second epoch of the named stage begins."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if type(pl_module).__name__ == self.stage and trainer.current_epoch == 1:
            raise InterruptedError(self.stage)
