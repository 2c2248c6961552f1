"""What a run reports: test metrics, the constant predictor beside them, versions, and the printed table."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import rnc_lightning
from rnc_lightning.metrics import regression_metrics
from rnc_lightning.targets import TargetSpec

_PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "hydra-core",
    "torchmetrics",
    "timm",
    "numpy",
)


def constant_predictor(train: Tensor, test: Tensor, target: TargetSpec) -> dict[str, float]:
    """Test metrics of always predicting the median training label.

    Args:
        train: (N, D) training labels.
        test: (M, D) test labels.
        target: What the columns are.
    """
    metrics = regression_metrics(len(target), target.angular_unit)
    metrics.update(train.median(dim=0).values.expand_as(test).contiguous(), test)
    return {name: float(value) for name, value in metrics.compute().items()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version(), "rnc-lightning": rnc_lightning.__version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What the run was computed on."""
    found: dict[str, Any] = {
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def git_revision() -> str | None:
    """Revision of the checkout that the package runs from, with `-dirty` for uncommitted changes; None without one."""
    here = Path(__file__).parent
    try:
        called = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return called.stdout.strip() or None


def print_result(result: Mapping[str, Any], directory: Path, console: Console) -> None:
    """The test metrics beside the constant predictor's, and where everything lies."""
    made = " (made data)" if result.get("made_data") else ""
    table = Table(
        title=f"{result['dataset']}{made}, {result['method']} ({result['scheme']}), seed {result['seed']}: test set"
    )
    table.add_column("metric")
    table.add_column("this run", justify="right")
    table.add_column("constant predictor", justify="right")
    parts = result.get("targets", {})
    for part, metrics in parts.items():
        table.add_column(f"{part} targets ({metrics['count']})", justify="right")
    unit = ", ".join(unit for unit in result["units"] if unit)
    for name, value in result["test"].items():
        constant = result["constant"].get(name)
        label = f"{name} ({unit})" if unit and name in ("mae", "rmse", "gmean") else name
        numbers = (value, constant, *(metrics.get(name) for metrics in parts.values()))
        table.add_row(label, *("-" if number is None else f"{number:.3f}" for number in numbers))
    console.print(table)
    for name, stage in result["stages"].items():
        console.print(
            f"{name}: {stage['epochs']} epochs, {stage['seconds']:.1f} s, weights of epoch {stage['chosen_epoch']}"
        )
    for kind, count in result.get("skipped", {}).items():
        console.print(f"left out: {count} x {kind}")
    console.print(f"plots: {directory / 'plots'}", soft_wrap=True)
    console.print(f"run directory: {directory}", soft_wrap=True)


def finite(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Metrics as plain numbers; what is undefined becomes None, since JSON has no NaN."""
    values = {name: float(value) for name, value in metrics.items()}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
