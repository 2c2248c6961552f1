"""How long the GPU waits for batches: the suite's loader before a training step, from files of synthetic faces."""

import time
from pathlib import Path

import torch
from torch import Tensor

from gpu.face_files import faces_when_drawn
from gpu.setting import Notes, Setting
from gpu.step import SMALL, VIEWS, Step
from rnc_lightning.command_line.compose import compose_config, resolve_config
from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.splits import subset_of
from rnc_lightning.runs.parts import Parts

WORKERS = {True: (8, 16), False: (1, 2)}
BATCH = {True: 256, False: 8}
STEPS = {True: 47, False: 3}  # as many as an epoch of AgeDB has
_FILLING = 2  # steps that are left out: workers start, cuDNN chooses
_MOST_SECONDS = 13.0  # of a row


def measure(setting: Setting, notes: Notes) -> None:
    """With few and many workers, colours changed by the loader and by the device."""
    folder = faces_when_drawn(setting)
    files = sum(1 for _ in (folder / "AgeDB").iterdir())
    size = sum(file.stat().st_size for file in (folder / "AgeDB").iterdir()) / files / 1e3
    notes.remark(
        f"{files} synthetic faces as JPEG files of {size:.0f} kB, in the page cache; batches of "
        f"{BATCH[setting.on_gpu]} samples of {VIEWS} views; step in bf16 with channels last. Waiting: from the end of "
        f"a step on the device until the next batch is in main memory; the first {_FILLING} steps are left out. Moving "
        "the batch and changing colours on the device belong to the step. The last row takes one batch that is on the "
        "device already."
    )
    step = Step(setting, ("compute.channels_last=true",), torch.bfloat16)
    batch = None
    for workers in WORKERS[setting.on_gpu]:
        for on_device in (True, False):
            if setting.left < _MOST_SECONDS / 2 + 4:
                notes.remark(f"no time was left for {workers} workers, colours on device: {on_device}")
                continue
            data = _data(setting, folder, workers, on_device)
            row, batch = _fed(setting, step, data)
            notes.row("One epoch's steps", workers=workers, colours_on_device=on_device, **row)
    if batch is not None:
        notes.row("One epoch's steps", workers=0, colours_on_device=None, **_unfed(setting, step, batch))


def _data(setting: Setting, folder: Path, workers: int, on_device: bool) -> RegressionDataModule:
    """AgeDB's data module with an epoch as long as AgeDB's: each training image comes several times."""
    small = () if setting.on_gpu else SMALL
    options = [
        "+experiment=agedb_rnc", *small, f"paths.data_dir={folder}", f"paths.output_dir={setting.folder}",
        f"data.num_workers={workers}", f"data.colour_on_device={str(on_device).lower()}",
    ]  # fmt: skip
    data = Parts(resolve_config(compose_config(options))).data()
    batch_size = BATCH[setting.on_gpu]
    train = data.splits["train"]
    wanted = (STEPS[setting.on_gpu] + _FILLING) * batch_size
    data.splits["train"] = subset_of(train, torch.arange(wanted) % len(train))
    return data.for_stage(seed=0, batch_size=batch_size, views=VIEWS, drop_last=True)


def _fed(setting: Setting, step: Step, data: RegressionDataModule) -> tuple[dict[str, object], tuple[Tensor, Tensor]]:
    loader = data.train_dataloader()
    waits: list[float] = []
    steps: list[float] = []
    first = 0.0
    began = before = time.perf_counter()
    for batch in loader:
        came = time.perf_counter()
        there = {key: value.to(setting.device, non_blocking=True) for key, value in batch.items()}
        there = data.on_after_batch_transfer(there)
        step(there["x"], there["y"])
        if setting.on_gpu:
            torch.cuda.synchronize()
        now = time.perf_counter()
        if not steps:
            first = came - began
        waits.append(came - before)
        steps.append(now - came)
        before = now
        if now - began > min(_MOST_SECONDS, setting.left - 4):
            break
    waited, worked = sum(waits[_FILLING:]), sum(steps[_FILLING:])
    counted = len(steps[_FILLING:])
    row: dict[str, object] = {
        "steps": counted,
        "s": waited + worked,
        "s_waiting": waited,
        "share_waiting": f"{waited / (waited + worked):.0%}" if counted else None,
        "ms_a_step": worked / counted * 1e3 if counted else None,
        "samples/s": counted * data.batch_size / (waited + worked) if counted else None,
        "first_batch_after_s": first,
    }
    return row, (there["x"], there["y"])


def _unfed(setting: Setting, step: Step, batch: tuple[Tensor, Tensor]) -> dict[str, object]:
    count = STEPS[setting.on_gpu]
    began = time.perf_counter()
    for _ in range(count):
        step(*batch)
    if setting.on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    samples = count * len(batch[0])
    return {"steps": count, "s": seconds, "s_waiting": 0.0, "ms_a_step": seconds / count * 1e3,
            "samples/s": samples / seconds}  # fmt: skip
