"""A training step of stage one as `agedb_rnc` has it: ResNet-18, 224 pixels, 256 samples of two views."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from rnc_loss import one_step
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from gpu.setting import Notes, Setting
from rnc_lightning.command_line.compose import compose_config, resolve_config
from rnc_lightning.runs.parts import Parts
from rnc_lightning.stages import Pretrain

VIEWS = 2
SAMPLES = {True: 256, False: 4}
SMALL = ("encoder=small_resnet", "encoder.width=4", "encoder.stages=2", "input.size=32")
_REPEATS = {True: 20, False: 2}
_TABLE = "One step"
VARIANTS: dict[str, tuple[tuple[str, ...], torch.dtype | None]] = {
    "float32": ((), None),
    "bf16": ((), torch.bfloat16),
    "bf16, channels last": (("compute.channels_last=true",), torch.bfloat16),
}


class Step:
    """Stage one of `agedb_rnc` on the device, one optimiser's step at a time.

    Args:
        setting: The section's.
        options: Options of the configuration beside the experiment.
        dtype: Of autocast; None for float32.
    """

    def __init__(self, setting: Setting, options: Sequence[str], dtype: torch.dtype | None) -> None:
        small = () if setting.on_gpu else SMALL
        parts = Parts(resolve_config(compose_config(["+experiment=agedb_rnc", *small, *options])))
        module = parts.stage("pretrain", parts.target(torch.tensor([[20.0], [60.0]])))
        assert isinstance(module, Pretrain)
        self.module = module.to(setting.device).train()
        self.optimizer: Any = module.configure_optimizers()["optimizer"]
        self.device, self.dtype = setting.device, dtype
        torch.backends.cudnn.benchmark = True  # as conf/trainer/auto.yaml has it

    def precision(self) -> AbstractContextManager[Any]:
        """Autocast, or nothing."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device, dtype=self.dtype)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Views (B, V, C, H, W) and labels (B, 1): forward, backward, step."""
        with self.precision():
            loss: Tensor = self.module.objective(self.module(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


def random_batch(setting: Setting) -> tuple[Tensor, Tensor]:
    """Random images and ages on the device."""
    samples, side = SAMPLES[setting.on_gpu], 224 if setting.on_gpu else 32
    x = torch.randn(samples, VIEWS, 3, side, side, device=setting.device)
    ages = (45 + 15.8 * torch.randn(samples, 1)).round().clamp(1, 101)
    return x, ages.to(setting.device)


def measure(setting: Setting, notes: Notes) -> None:
    """The variants that need no compiler."""
    notes.remark(
        f"`agedb_rnc`'s own stage, SGD's step included; {SAMPLES[setting.on_gpu]} samples of {VIEWS} views a step, "
        "random pixels that are on the device already. float32 is PyTorch's: convolutions may use TF32. Medians of "
        "the wall clock, the device waited for. Loss: RnC forward and backward on these features; floor: the least "
        "loss that the labels allow, which each step logs, computed on the CPU."
    )
    for name, (options, dtype) in VARIANTS.items():
        if setting.left < 8:
            notes.remark(f"no time was left for {name}")
            return
        measure_one(setting, notes, name, options, dtype)
        if setting.on_gpu:
            torch.cuda.empty_cache()


def measure_one(setting: Setting, notes: Notes, name: str, options: Sequence[str], dtype: torch.dtype | None) -> None:
    """A row of the table."""
    x, y = random_batch(setting)
    step = Step(setting, options, dtype)
    began = time.perf_counter()
    first = float(step(x, y))
    first_seconds = time.perf_counter() - began
    if setting.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    ms = median_ms(lambda: step(x, y), setting)
    peak = torch.cuda.max_memory_allocated() / 1e9 if setting.on_gpu else None
    with torch.no_grad(), step.precision():
        features = step.module(x)
    objective: Any = step.module.objective
    loss_ms = median_ms(lambda: one_step(objective, features, y), setting)
    floor_ms = median_ms(lambda: objective.floor(y, views=VIEWS).to(x.device), setting)
    operations = _operations(step, x)
    last = float(step(x, y))
    notes.row(
        _TABLE, variant=name, ms=ms, **{"samples/s": len(x) / ms * 1e3, "views/s": VIEWS * len(x) / ms * 1e3},
        loss_ms=loss_ms, loss_share=f"{loss_ms / ms:.1%}", floor_ms=floor_ms, peak_GB=peak,
        first_step_s=first_seconds, **{"TFLOP/s": operations and operations / ms / 1e9},
        loss_first=first, loss_last=last,
    )  # fmt: skip
    if not torch.isfinite(torch.tensor([first, last])).all():
        notes.fail(f"{name}: the loss is {first}, then {last}")
    if features.device.type != setting.device:
        notes.fail(f"{name}: features are on {features.device}")


def median_ms(work: Callable[[], object], setting: Setting, warm_up: int = 3) -> float:
    """Median milliseconds, the device waited for."""
    times = []
    for turn in range(warm_up + _REPEATS[setting.on_gpu]):
        began = time.perf_counter()
        work()
        if setting.on_gpu:
            torch.cuda.synchronize()
        if turn >= warm_up:
            times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def _operations(step: Step, x: Tensor) -> float | None:
    """Floating-point operations of a step: three times those of the encoder forward, as is usual."""
    encoder: Any = step.module.encoder
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder.forward(x[:1, 0])  # not through torch.compile
    found = counter.get_total_flops()
    return 3.0 * found * x.shape[0] * x.shape[1] if found else None
