"""What the check runs on: card, versions, cores, memory; and how fast the card copies and multiplies."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gpu.setting import Notes, Setting

MACHINE = "Hardware"
_PACKAGES = (
    "torch", "triton", "torchvision", "lightning", "hydra-core", "torchmetrics", "timm", "numpy",
    "opencv-python-headless",
)  # fmt: skip
_SIDE, _BYTES = 8192, 1 << 32  # of a matrix product and a copy


def measure(setting: Setting, notes: Notes) -> None:
    """Look around."""
    import torch

    from rnc_lightning.system.environment import git_revision, machine

    found = machine()
    notes.row(
        MACHINE,
        GPU=found.get("gpu"),
        driver=_driver() if setting.on_gpu else None,
        GPU_memory_GB=torch.cuda.get_device_properties(0).total_memory / 1e9 if setting.on_gpu else None,
        processor=found["processor"],
        cores=len(os.sched_getaffinity(0)),
        memory_GB=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        shared_memory_GB=_shared_memory(),
        kernel=platform.release(),
    )
    notes.row(
        "Software",
        Python=platform.python_version(),
        CUDA=torch.version.cuda,
        cuDNN=torch.backends.cudnn.version() if setting.on_gpu else None,  # type: ignore[no-untyped-call]
        **{name: _version(name) for name in _PACKAGES},
        revision=git_revision(),
    )
    if not _version("rnc-lightning"):
        notes.remark("rnc-lightning is not installed: its modules come from PYTHONPATH")
    if has_gpu() and not setting.on_gpu:
        notes.fail("nvidia-smi lists a GPU, but PyTorch cannot use it")
    if setting.on_gpu:
        notes.row("What the card can do", **_ceilings())


def has_gpu() -> bool:
    """Whether there is a GPU that this process may see, without asking PyTorch."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True)
        return "GPU" in listed.stdout
    return False


def _ceilings() -> dict[str, float]:
    """Rates of a large copy and of large matrix products on random numbers."""
    import torch

    source = torch.empty(_BYTES, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    copied = 2 * _BYTES / _seconds(partial(target.copy_, source)) / 1e12
    rates = {"copy_TB/s,_bytes_read_and_written": copied}
    for name, dtype in (("bf16", torch.bfloat16), ("float32", torch.float32)):
        a, b = (torch.randn(_SIDE, _SIDE, device="cuda", dtype=dtype) for _ in range(2))
        rates[f"{name}_products_TFLOP/s"] = 2 * _SIDE**3 / _seconds(partial(torch.matmul, a, b)) / 1e12
    return rates


def _seconds(work: Callable[[], object], repeats: int = 10) -> float:
    import torch

    for _ in range(3):
        work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / repeats


def _driver() -> str | None:
    with suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip() or None
    return None


def _shared_memory() -> float | None:
    with suppress(OSError):
        return shutil.disk_usage("/dev/shm").total / 1e9
    return None


def _version(package: str) -> str | None:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None
