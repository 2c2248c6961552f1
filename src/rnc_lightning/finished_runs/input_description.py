"""What the encoder of a finished run takes: its shape, and how a raw input becomes it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from rnc_lightning.datasets.feature_table import ArrayDataModule
from rnc_lightning.datasets.signals.recordings import RecordingsDataModule
from rnc_lightning.datasets.transform import ImageTransform
from rnc_lightning.finished_runs.finished_run import FinishedRun


@dataclass(frozen=True)
class PreparedInput:
    """What goes into the encoder.

    Attributes:
        shape: Of one input.
        facts: How it is made of a raw one, as plain values.
        words: The same in a sentence.
    """

    shape: tuple[int, ...]
    facts: dict[str, Any]
    words: str


def prepared_input(run: FinishedRun) -> PreparedInput:
    """What the encoder of a run takes."""
    datamodule = run.unread_data()
    given = dict(run.config["data"].get("eval_transform") or {})
    given.pop("_target_", None)
    if isinstance(datamodule, ArrayDataModule):
        preparation = run.preparation
        assert preparation is not None
        count = len(preparation["inputs"])
        words = (
            f"{count} numbers in the order of `input.inputs` in config.json, each less its `centre` and divided by its "
            "`scale`, which are those of the training rows."
        )
        return PreparedInput((count,), {"kind": "numbers", **preparation}, words)
    if isinstance(datamodule, RecordingsDataModule):
        channels = int(run.config["input"]["channels"])
        signal = datamodule.eval_transform(np.zeros((channels, datamodule.window), dtype=np.float32))
        made = datamodule.preprocessing
        facts = {
            "kind": "signal", "sampling_rate": made.sampling_rate, "low": made.low, "high": made.high,
            "channels": run.config["data"].get("channels"), **given,
        }  # fmt: skip
        words = (
            f"Windows of {channels} channels and {datamodule.window} samples at {made.sampling_rate:g} Hz, float32, "
            f"divided by {given.get('scale', 1.0):g}. Predictions of a recording's windows are averaged."
        )
        return PreparedInput(tuple(signal.shape), facts, words)
    if isinstance(datamodule.eval_transform, ImageTransform):
        shape = tuple(datamodule.eval_transform(Image.new("RGB", (64, 64))).shape)
        side = shape[-1]
        resize = given.get("resize") or round(side * 8 / 7)
        facts = {"kind": "image", "resize": resize, "crop": side, "mean": [0.5] * 3, "std": [0.5] * 3}
        words = (
            f"RGB images: the shorter side resized to {resize} pixels (bilinear, with antialiasing), the central "
            f"square of {side} cut out, pixels from 0 to 1, then less 0.5 and divided by 0.5 in each channel."
        )
        return PreparedInput(shape, facts, words)
    size = int(run.config["data"]["size"])
    shape = tuple(datamodule.eval_transform(torch.zeros(1, size, size, dtype=torch.uint8)).shape)
    facts = {"kind": "grey image", "resize": size, "crop": size, "mean": [0.5], "std": [0.5]}
    words = (
        f"Grey images of {size} x {size} pixels, light strokes on black, pixels from 0 to 1, then less 0.5 and divided "
        "by 0.5."
    )
    return PreparedInput(shape, facts, words)
