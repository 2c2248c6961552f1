"""Measure the cost of the Rank-N-Contrast loss, compared with its definition as a loop and with a lower bound.

One step is the loss and its gradient for the features. Three versions alternate in one process:

- naive: the definition as a loop over positives, n float masks of n x n, through autograd; O(n^3)
- ours: `rnc_lightning.RnCLoss`
- floor: torch.cdist, exp, sum and autograd's backward; the cost of a loss over all pairs without any ranking

A second table compares the loss with only the K nearest labels as positives with the full loss, again alternating.
"""

import argparse
import ctypes
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from rnc_lightning import RnCLoss

TEMPERATURE = 2.0
LABEL_KINDS = ("ages", "continuous")


def naive_loss(features: Tensor, targets: Tensor) -> Tensor:
    """The definition, one column of positives at a time."""
    rows = features.flatten(0, 1)
    labels = targets.repeat_interleave(features.shape[1])
    n = len(rows)
    off_diagonal = ~torch.eye(n, dtype=torch.bool, device=rows.device)
    logits = (-torch.cdist(rows, rows) / TEMPERATURE)[off_diagonal].view(n, n - 1)
    distances = (labels[:, None] - labels).abs()[off_diagonal].view(n, n - 1)
    exps = logits.exp()
    total = logits.new_zeros(())
    for j in range(n - 1):
        mask = (distances >= distances[:, j : j + 1]).float()
        denominator = (mask * exps).sum(1)
        total = total - (logits[:, j] - denominator.log()).sum()
    return total / (n * (n - 1))


def floor_loss(features: Tensor, targets: Tensor) -> Tensor:
    """All pairwise distances, exp and sum, which every loss over pairs needs. The targets are not used."""
    rows = features.flatten(0, 1)
    return (-torch.cdist(rows, rows) / TEMPERATURE).exp().sum()


def make_batch(n: int, views: int, width: int, kind: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Normal features (n / views, views, width), and ages with AgeDB's mean and spread or continuous labels."""
    generator = torch.Generator().manual_seed(n)
    features = torch.randn(n // views, views, width, generator=generator)
    targets = torch.randn(n // views, generator=generator)
    if kind == "ages":
        targets = (45 + 15.8 * targets).round().clamp(1, 101)
    return features.to(device), targets.to(device)


def one_step(loss: Callable[[Tensor, Tensor], Tensor], features: Tensor, targets: Tensor) -> None:
    leaf = features.detach().requires_grad_()
    loss(leaf, targets).backward()  # type: ignore[no-untyped-call]
    if leaf.is_cuda:
        torch.cuda.synchronize()


def median_times(
    losses: list[Callable[[Tensor, Tensor], Tensor]],
    features: Tensor,
    targets: Tensor,
    seconds: float,
    most: int,
    warm_up: int = 2,
) -> list[float]:
    """Median milliseconds of each loss. They alternate, so that a busy machine slows all of them equally."""
    for loss in losses * warm_up:
        one_step(loss, features, targets)
    times: list[list[float]] = [[] for _ in losses]
    begin = time.perf_counter()
    while len(times[0]) < 3 or (len(times[0]) < most and time.perf_counter() - begin < seconds):
        for spent, loss in zip(times, losses, strict=True):
            start = time.perf_counter()
            one_step(loss, features, targets)
            spent.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(spent) for spent in times]


def peak_megabytes(loss: Callable[[Tensor, Tensor], Tensor], features: Tensor, targets: Tensor) -> float | None:
    """How much one step raises memory above what was allocated before it.

    On CUDA by the allocator's own count; on Linux by the kernel's high-water mark of resident memory, set back before
    the step; elsewhere None.
    """
    if features.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        one_step(loss, features, targets)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # otherwise freed pages still count and hide the memory of the step
    reset.write_text("5")
    before = _status_kilobytes(status, "VmRSS")
    one_step(loss, features, targets)
    return (_status_kilobytes(status, "VmHWM") - before) / 1024


def _status_kilobytes(status: Path, key: str) -> int:
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1])


def measure(args: argparse.Namespace, device: torch.device) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for kind in args.labels:
        before = None
        for n in args.sizes:
            features, targets = make_batch(n, args.views, args.width, kind, device)
            ours = RnCLoss(temperature=TEMPERATURE)
            with_naive = n <= args.naive_up_to
            ours_ms, floor_ms = median_times([ours, floor_loss], features, targets, args.seconds, args.repeats)
            naive_ms = (
                median_times([naive_loss], features, targets, args.seconds, args.repeats, warm_up=1)[0]
                if with_naive
                else None
            )
            rows.append(
                {
                    "device": device.type,
                    "labels": kind,
                    "n": n,
                    "naive_ms": naive_ms,
                    "ours_ms": ours_ms,
                    "floor_ms": floor_ms,
                    "ours_over_floor": ours_ms / floor_ms,
                    "naive_over_ours": naive_ms / ours_ms if naive_ms else None,
                    "growth": ours_ms / before if before else None,
                    "naive_mb": peak_megabytes(naive_loss, features, targets) if with_naive else None,
                    "ours_mb": peak_megabytes(ours, features, targets),
                    "floor_mb": peak_megabytes(floor_loss, features, targets),
                }
            )
            before = ours_ms
    return rows


def measure_positives(args: argparse.Namespace, device: torch.device) -> list[dict[str, object]]:
    """The loss with K positives against the full loss, for each share of the candidates."""
    rows: list[dict[str, object]] = []
    for kind in args.labels if args.positives else ():
        for n in args.sizes:
            features, targets = make_batch(n, args.views, args.width, kind, device)
            counts = [max(1, round(share * n)) for share in args.positives]
            losses = [RnCLoss(temperature=TEMPERATURE, positives=count) for count in (None, *counts)]
            full_ms, *limited_ms = median_times([*losses], features, targets, args.seconds, args.repeats)
            rows += [
                {
                    "device": device.type,
                    "labels": kind,
                    "n": n,
                    "positives": count,
                    "limited_ms": spent,
                    "full_ms": full_ms,
                    "limited_over_full": spent / full_ms,
                }
                for count, spent in zip(counts, limited_ms, strict=True)
            ]
    return rows


HEADINGS = {
    "labels": "labels",
    "n": "n",
    "naive_ms": "naive ms",
    "ours_ms": "ours ms",
    "floor_ms": "floor ms",
    "ours_over_floor": "ours / floor",
    "naive_over_ours": "naive / ours",
    "growth": "growth",
    "naive_mb": "naive MB",
    "ours_mb": "ours MB",
    "floor_mb": "floor MB",
}
POSITIVES_HEADINGS = {
    "labels": "labels",
    "n": "n",
    "positives": "K",
    "limited_ms": "K ms",
    "full_ms": "full ms",
    "limited_over_full": "K / full",
}


def make_table(rows: list[dict[str, object]], title: str, headings: dict[str, str]) -> Table:
    table = Table(title=title)
    for heading in headings.values():
        table.add_column(heading, justify="left" if heading == "labels" else "right")
    for row in rows:
        table.add_row(*(_cell(row[key]) for key in headings))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [128, 256, 512, 1024, 2048, 4096, 8192]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="rows n = samples x views")
    parser.add_argument("--views", type=int, default=2, help="views of each sample (default: 2)")
    parser.add_argument("--width", type=int, default=512, help="feature dimension (default: 512)")
    parser.add_argument("--labels", nargs="+", choices=LABEL_KINDS, default=list(LABEL_KINDS))
    parser.add_argument("--naive-up-to", type=int, default=1024, help="largest n for the naive loop (default: 1024)")
    parser.add_argument(
        "--positives",
        type=float,
        nargs="*",
        default=[0.25, 0.75],
        metavar="SHARE",
        help="K as shares of n (default: 0.25 0.75; without values, the second table is skipped)",
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="time for the repeats of a case (default: 5)")
    parser.add_argument("--repeats", type=int, default=50, help="most repeats of a case (default: 50)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    console = Console()
    if args.threads:
        torch.set_num_threads(args.threads)
    devices = [torch.device("cpu")]
    if torch.cuda.is_available():
        devices.append(torch.device("cuda"))
    rows: list[dict[str, object]] = []
    for device in devices:
        name = (
            torch.cuda.get_device_name()
            if device.type == "cuda"
            else f"{processor()}, {torch.get_num_threads()} threads"
        )
        measured = measure(args, device)
        title = f"{name}; torch {torch.__version__}; F = {args.width}, {args.views} views, float32; medians"
        console.print(make_table(measured, title, HEADINGS), soft_wrap=True)
        limited = measure_positives(args, device)
        if limited:
            console.print(make_table(limited, "K nearest as positives", POSITIVES_HEADINGS), soft_wrap=True)
        rows += [{"device_name": name, **row} for row in (*measured, *limited)]
    if len(devices) == 1:
        console.print("No CUDA device here: measured on the CPU alone.")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
