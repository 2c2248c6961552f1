"""Predictions of a finished run from inputs without labels, by the kind of data that it was trained on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from rich.progress import Progress
from torch import Tensor

from rnc_lightning.datasets.feature_table import ArrayDataModule
from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.datasets.images.source import decoded_fast
from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.reading.file_check import CheckedFiles, unreadable
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.signal_table import SignalFiles, SignalsDataModule
from rnc_lightning.datasets.signals.recordings import LabelledRecording, RecordingsDataModule
from rnc_lightning.datasets.signals.store import Recording
from rnc_lightning.datasets.splits import Inputs, Split
from rnc_lightning.datasets.transform import ImageTransform
from rnc_lightning.datasets.unlabelled import IMAGES, SIGNALS, GreyPictures, UserFiles, list_files, read_rows
from rnc_lightning.finished_runs.finished_run import FinishedRun
from rnc_lightning.targets.groups import group_means

_RECORDINGS_AT_ONCE = 8  # held in memory


class Predictor:
    """The regressor of a run, applied to inputs without labels.

    Args:
        run: The run.
        bar: Shows how far it has come.
        batch_size: Inputs at once; None: as in the run's test.
        num_workers: Processes that prepare batches; None: as in the run.
    """

    def __init__(
        self, run: FinishedRun, bar: Progress, batch_size: int | None = None, num_workers: int | None = None
    ) -> None:
        self.run = run
        self.bar = bar
        self.datamodule = run.unread_data()
        self.datamodule.eval_batch_size = batch_size or self.datamodule.eval_batch_size
        if num_workers is not None:
            self.datamodule.num_workers = num_workers
        trainer = run.tester()
        self._forward = trainer.precision_plugin.forward_context
        self._module = run.regressor().to(trainer.strategy.root_device)

    def blank(self, count: int) -> Tensor:
        """Labels (count, D) that nobody looks at."""
        return torch.zeros(count, len(self.run.target))

    def all_of(self, inputs: Inputs) -> Tensor:
        """Predictions (N, D) from N inputs."""
        count = len(inputs)
        split = decoded_fast({"test": Split(inputs, self.blank(count), [str(i) for i in range(count)])})["test"]
        task = self.bar.add_task("predicting", total=count)
        return self.of(split, lambda done: self.bar.advance(task, done))

    def of(self, split: Split, told: Callable[[int], Any]) -> Tensor:
        """Predictions (N, D) from the inputs of a split; `told` hears how many more there are after each batch."""
        found = []
        with torch.inference_mode(), self._forward():
            for batch in self.datamodule.loader_over(split):
                x = self.datamodule.on_after_batch_transfer({"x": batch["x"].to(self._module.device)})["x"]
                found.append(self._module(x).float().cpu())
                told(len(x))
        return torch.cat(found)


class Inspected:
    """Inputs that can be used, found before anything is predicted.

    Args:
        columns: What a person knows each of them by: N rows.
        predict: Predictions (N, D) from them.
    """

    def __init__(self, columns: pd.DataFrame, predict: Callable[[Predictor], Tensor]) -> None:
        self.columns = columns
        self.predict = predict


def inspected(run: FinishedRun, inputs: Path, column: str | None, root: Path | None, problems: Problems) -> Inspected:
    """Look at all inputs; what cannot be used becomes a problem.

    Args:
        run: A finished run, whose data say what kind of inputs it takes.
        inputs: A folder, a file, or a table.
        column: The table's column of paths; None: that of the run's own table, else `path`.
        root: Folder that its paths are relative to; None: that of the table.
        problems: Gets what cannot be used.

    Raises:
        UserError: Where there is nothing to predict from.
    """
    datamodule = run.unread_data()
    if isinstance(datamodule, ArrayDataModule):
        preparation = run.preparation
        assert preparation is not None
        rows, columns = read_rows(inputs, preparation, problems)
        return Inspected(columns, lambda predictor: predictor.all_of(rows))
    named = str(column or run.config["data"].get("input") or "path")
    if isinstance(datamodule, RecordingsDataModule):
        files = list_files(inputs, SIGNALS, named, root, problems)
        return _inspected_recordings(datamodule, files, problems)
    files = list_files(inputs, IMAGES, named, root, problems)
    bad = unreadable(cast(CheckedFiles, ImageFiles(files.paths)), what="images")
    for i, reason in bad.items():
        problems.add("unreadable file", files.where[i], _beside(files, i, reason))
    files = files.without(bad)
    pictures = _pictures(datamodule, files, run.config)
    return Inspected(files.columns, lambda predictor: predictor.all_of(pictures))


def _pictures(datamodule: RegressionDataModule, files: UserFiles, config: Mapping[str, Any]) -> Inputs:
    """The images as the run's evaluation transform takes them."""
    if isinstance(datamodule.eval_transform, ImageTransform):
        return ImageFiles(files.paths)
    return GreyPictures(files.paths, int(config["data"]["size"]))


def _inspected_recordings(datamodule: RecordingsDataModule, files: UserFiles, problems: Problems) -> Inspected:
    rate_column = datamodule.rate_column if isinstance(datamodule, SignalsDataModule) else None
    rates: list[Any] = [None] * len(files)
    if rate_column is not None and rate_column in files.columns:
        rates = pd.to_numeric(files.columns[rate_column], errors="coerce").tolist()
    found: dict[int, Recording] = {}
    bad: dict[int, str] = {}
    for i, (path, rate) in enumerate(zip(files.paths, rates, strict=True)):
        try:
            recording = datamodule.recording(path, rate)
        except ValueError as error:
            bad[i] = str(error)
            continue
        reason = _refusal(datamodule, recording)
        if reason is None:
            found[i] = recording
        else:
            bad[i] = reason
    places = list(found)
    checked = unreadable(SignalFiles([found[i] for i in places]), what="recordings")
    bad |= {places[position]: reason for position, reason in checked.items()}
    for i, reason in sorted(bad.items()):
        problems.add("unusable recording", files.where[i], _beside(files, i, reason))
    recordings = [found[i] for i in places if i not in bad]
    return Inspected(files.without(bad).columns, lambda predictor: _means(datamodule, recordings, predictor))


def _refusal(datamodule: RecordingsDataModule, recording: Recording) -> str | None:
    if isinstance(datamodule, SignalsDataModule) and recording.channels != datamodule.in_channels:
        return f"{recording.channels} channels, where the run was trained on {datamodule.in_channels}"
    reason = datamodule.refusal(recording)
    return None if reason is None else f"{reason[0]}: {reason[1]}"


def _means(datamodule: RecordingsDataModule, recordings: list[Recording], predictor: Predictor) -> Tensor:
    """The mean over each recording's windows, a few recordings at a time."""
    found = []
    task = predictor.bar.add_task("predicting", total=len(recordings))
    for first in range(0, len(recordings), _RECORDINGS_AT_ONCE):
        chunk = recordings[first : first + _RECORDINGS_AT_ONCE]
        blank = predictor.blank(1)[0].tolist()
        split = datamodule.windows_of([LabelledRecording(str(i), one, blank) for i, one in enumerate(chunk)])
        assert split.groups is not None
        found.append(group_means(predictor.of(split, lambda _: None), split.groups))
        predictor.bar.advance(task, len(chunk))
    return torch.cat(found)


def _beside(files: UserFiles, i: int, reason: str) -> str:
    """The reason, after the file's name where a table's row is what stands before it."""
    return reason if files.where[i] == str(files.paths[i]) else f"{files.paths[i]}: {reason}"
