"""The RnC loss, forward and backward: time, memory, launches; beside the floor and the loop of its definition."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from rnc_loss import LABEL_KINDS, TEMPERATURE, floor_loss, make_batch, median_times, naive_loss, one_step
from rnc_loss import peak_megabytes as measured_peak
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from gpu.setting import Notes, Setting
from rnc_lightning import RnCLoss

VIEWS, WIDTH = 2, 512
SIZES = {True: (256, 512, 1024, 2048, 4096, 8192, 16384), False: (64, 128)}
_SECONDS = {True: 0.4, False: 0.05}  # for the repeats of a case
_MOST_REPEATS = 50
_NAIVE_UP_TO = {True: 2048, False: 64}
_EXACT_UP_TO = 4096  # rows up to which float64 is compared with
_CLOSE = 1e-4  # relative
_TIMES, _LAUNCHES = "Forward and backward", "What one step asks of the device"
Loss = Callable[[Tensor, Tensor], Tensor]


def measure(setting: Setting, notes: Notes) -> None:
    """Every size with both kinds of labels."""
    device = torch.device(setting.device)
    notes.remark(
        f"n rows: n / {VIEWS} samples, {VIEWS} views each, {WIDTH} features. Floor: `torch.cdist`, exp, sum and their "
        "backward in float32, which rank nothing. Naive: the loop of the definition. bf16: features in bfloat16 under "
        "autocast, as an encoder leaves them; the loss itself computes in float32. Medians of the wall clock, the "
        "device waited for; peaks above what is held before the step. Error: of the gradient, from float64's."
    )
    for n in SIZES[setting.on_gpu]:
        for kind in LABEL_KINDS:
            if setting.left < 6:
                notes.remark(f"no time was left for n = {n}, {kind}")
                return
            features, targets = make_batch(n, VIEWS, WIDTH, kind, device)
            notes.row(_TIMES, labels=kind, n=n, **_times(setting, features, targets))
            notes.row(_LAUNCHES, labels=kind, n=n, **_asked(RnCLoss(temperature=TEMPERATURE), features, targets))
            _compare(notes, f"{kind}, n = {n}", features, targets)
            if setting.on_gpu:
                torch.cuda.empty_cache()


def _times(setting: Setting, features: Tensor, targets: Tensor) -> dict[str, Any]:
    ours, half = RnCLoss(temperature=TEMPERATURE), features.bfloat16()
    limits = (_SECONDS[setting.on_gpu], _MOST_REPEATS)
    ours_ms, floor_ms = median_times([ours, floor_loss], features, targets, *limits)
    (half_ms,) = median_times([under_autocast(ours)], half, targets, *limits)
    naive = None
    if features.shape[0] * VIEWS <= _NAIVE_UP_TO[setting.on_gpu]:
        with suppress(torch.OutOfMemoryError):  # it keeps n matrices of n x n
            (naive,) = median_times([naive_loss], features, targets, *limits, warm_up=1)
    return {
        "float32_ms": ours_ms,
        "bf16_ms": half_ms,
        "floor_ms": floor_ms,
        "float32_/_floor": ours_ms / floor_ms,
        "bf16_/_floor": half_ms / floor_ms,
        "naive_ms": naive,
        "naive_/_float32": naive and naive / ours_ms,
        "float32_MB": _peak(ours, features, targets),
        "bf16_MB": _peak(under_autocast(ours), half, targets),
        "floor_MB": _peak(floor_loss, features, targets),
    }


def under_autocast(loss: Loss) -> Loss:
    """The loss as training in bf16-mixed calls it."""

    def call(features: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(features.device.type, dtype=torch.bfloat16):
            return loss(features, targets)

    return call


def _peak(loss: Loss, features: Tensor, targets: Tensor) -> float | None:
    try:
        return measured_peak(loss, features, targets)
    except OSError:  # a kernel that lets nobody set the mark back
        return None


def _asked(loss: Loss, features: Tensor, targets: Tensor) -> dict[str, int]:
    """Kernels, copies and waits of one step on a GPU; on a CPU the operations of PyTorch."""
    one_step(loss, features, targets)
    on_gpu = features.is_cuda
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as seen:
        one_step(loss, features, targets)
    events = seen.events() or []
    if not on_gpu:
        return {"operations": sum(event.name.startswith("aten::") and event.cpu_parent is None for event in events)}
    there = [event.name for event in events if "CUDA" in str(event.device_type)]
    names = [event.name for event in events if "CPU" in str(event.device_type)]
    moved = [name for name in there if name.startswith(("Memcpy", "Memset"))]
    return {
        "kernels": len(there) - len(moved),
        "launches_by_the_host": sum("LaunchKernel" in name for name in names),
        "copies_and_fills": len(moved),
        "waits_of_the_host": names.count("cudaStreamSynchronize"),
    }


def _compare(notes: Notes, case: str, features: Tensor, targets: Tensor) -> None:
    """Float32 against float64 on the same device, and bf16 against float32 on the same rounded features."""
    n = features.shape[0] * VIEWS
    if n > _EXACT_UP_TO:
        return
    loss = RnCLoss(temperature=TEMPERATURE)
    value, gradient = value_and_gradient(loss, features, targets)
    exact, exact_gradient = value_and_gradient(loss, features.double(), targets)
    errors = {
        "loss": float((value - exact).abs() / exact.abs()),
        "gradient": float((gradient - exact_gradient).norm() / exact_gradient.norm()),
    }
    if n <= _NAIVE_UP_TO[features.is_cuda]:
        known = naive_loss(features.double(), targets)
        errors["loss against the naive loop"] = float((value - known).abs() / known.abs())
    rounded = features.bfloat16()
    half, _ = value_and_gradient(under_autocast(loss), rounded, targets)
    wide, _ = value_and_gradient(loss, rounded.float(), targets)
    errors["bf16 loss against float32"] = float((half - wide).abs() / wide.abs())
    notes.row("Relative errors", case=case, **errors)
    for what, error in errors.items():
        if not error < _CLOSE:
            notes.fail(f"{case}: {what} is off by {error:.1e}, relative")


def value_and_gradient(loss: Loss, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The loss and its gradient, in float64."""
    leaf = features.detach().requires_grad_()
    value = loss(leaf, targets)
    value.backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    return value.detach().double(), leaf.grad.double()
