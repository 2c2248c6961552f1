"""Predictions of a finished run from inputs without labels."""

from collections.abc import Sequence

import torch
from rich.progress import Progress
from torch import Tensor

from rnc_lightning.datasets.unlabelled import Unlabelled
from rnc_lightning.finished_runs.finished_run import FinishedRun
from rnc_lightning.system.errors import UserError
from rnc_lightning.targets.groups import group_means


def predict_unlabelled(
    run: FinishedRun,
    inputs: Unlabelled,
    bar: Progress,
    batch_size: int | None = None,
    num_workers: int | None = None,
) -> Tensor:
    """Predictions (N, D) for the N rows of `inputs`, in label units; the mean over the inputs of each row.

    Args:
        run: The run.
        inputs: The inputs that its data set has found.
        bar: Progress bar.
        batch_size: Number of inputs in a batch; None: as in the run's test.
        num_workers: Number of processes that prepare batches; None: as in the run.

    Raises:
        UserError: If the data set gives more or fewer predictions than rows.
    """
    datamodule = run.unread_data()
    datamodule.eval_batch_size = batch_size or datamodule.eval_batch_size
    if num_workers is not None:
        datamodule.num_workers = num_workers
    trainer = run.tester()
    module = run.regressor().to(trainer.strategy.root_device)
    rows = len(inputs.columns)
    task = bar.add_task("predicting", total=rows)
    predictions = []
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        for split in inputs.splits:
            outputs = []
            for batch in datamodule.loader_over(split):
                x = datamodule.on_after_batch_transfer({"x": batch["x"].to(module.device)})["x"]
                outputs.append(module(x).float().cpu())
                bar.advance(task, len(x) if split.groups is None else 0)
            values = torch.cat(outputs)
            if split.groups is not None:
                values = group_means(values, split.groups)
                bar.advance(task, len(values))
            predictions.append(values)
    if (count := sum(map(len, predictions))) != rows:
        raise UserError(f"{datamodule.title}.unlabelled gave {rows} rows but inputs for {count}; the two must be equal")
    return torch.cat(predictions)


def check_finite(predictions: Tensor, names: Sequence[str], what: str) -> None:
    """Refuse predictions (N, D) that are NaN or infinite.

    Args:
        predictions: The predictions.
        names: N names of the inputs.
        what: What predicted them, for the message.

    Raises:
        UserError: With their number and the first names.
    """
    bad = torch.nonzero(~torch.isfinite(predictions).all(dim=1))[:, 0].tolist()
    if bad:
        first = ", ".join(names[i] for i in bad[:3])
        raise UserError(
            f"{what}: {len(bad)} of {len(predictions)} predictions are not finite numbers, for example of {first}: "
            "these inputs are far from those of training, or the weights are damaged; nothing was written"
        )
