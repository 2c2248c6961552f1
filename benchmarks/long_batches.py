"""Measure a gradient cache: peak memory and time of one RnC step, undivided and in chunks, as the batch grows.

    python benchmarks/long_batches.py             # two encoders, 512 ... 4096 samples of two views, a few minutes
    python benchmarks/long_batches.py --help      # encoders, sizes, rows at once, threads

One step is features, loss and the gradient of all weights, in float32. On a CPU each step runs in its own process,
after a small one. The peak is how much the step raises the kernel's high-water mark of resident memory (ru_maxrss),
including the batch itself. The time is CPU time, which other programs disturb little. On CUDA the peak is that of the
allocator and the time is wall-clock time.
"""

import argparse
import math
import multiprocessing
import resource
import time
from itertools import pairwise
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from rnc_lightning import RnCLoss
from rnc_lightning.encoders import SmallResNet
from rnc_lightning.encoders.timm import TimmEncoder
from rnc_lightning.stages.gradient_cache import encode_in_chunks
from rnc_lightning.system.environment import machine

VIEWS, SIDE = 2, 32
ENCODERS = {"small_resnet": lambda: SmallResNet(3), "resnet18": lambda: TimmEncoder("resnet18")}


def one_step(encoder: nn.Module, x: torch.Tensor, y: torch.Tensor, at_once: int | None) -> None:
    features = encoder(x) if at_once is None else encode_in_chunks(encoder, x, at_once)
    RnCLoss()(features.unflatten(0, (-1, VIEWS)), y).backward()
    encoder.zero_grad()
    if x.is_cuda:
        torch.cuda.synchronize()


def measure(name: str, samples: int, at_once: int | None, threads: int, device: str) -> dict[str, float]:
    """Seconds and MB of one step."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    clock = time.perf_counter if device == "cuda" else time.process_time
    encoder = ENCODERS[name]().to(device)
    y = torch.randn(samples, 1)
    one_step(encoder, torch.randn(16, 3, SIDE, SIDE, device=device), y[:8], at_once)
    before = peak(device)
    x = torch.randn(samples * VIEWS, 3, SIDE, SIDE, device=device)
    began = clock()
    one_step(encoder, x, y, at_once)
    return {"seconds": clock() - began, "mb": peak(device) - before}


def peak(device: str) -> float:
    """Peak memory in MB so far; on CUDA since the last call."""
    if device == "cuda":
        highest = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return highest
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def measured(*arguments: Any) -> dict[str, float] | None:
    """The result of `measure`, on a CPU in a separate process; None if memory was not enough."""
    if arguments[-1] == "cuda":
        try:
            return measure(*arguments)
        except torch.OutOfMemoryError:
            return None
    # Forked, so that libraries are loaded once; this process itself computes nothing, and so has no threads yet.
    there, here = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=lambda: here.send(measure(*arguments)))
    process.start()
    process.join()
    return there.recv() if process.exitcode == 0 else None


def exponent(samples: list[int], values: list[float | None]) -> str:
    """The exponent with which the values grow with the number of samples, over the last doubling that both have."""
    pairs = [pair for pair in pairwise(zip(samples, values, strict=True)) if pair[0][1] and pair[1][1]]
    if not pairs:
        return "-"
    (n, low), (m, high) = pairs[-1]
    assert low is not None
    assert high is not None
    return f"{math.log(high / low) / math.log(m / n):.2f}"


def report(name: str, samples: list[int], at_once: int, threads: int, device: str, limit: float) -> Table:
    """A row for each number of samples; undivided steps that would take more than `limit` MB are skipped."""
    table = Table(title=f"{name}, {SIDE} px, {VIEWS} views, {at_once} images at once, {device}")
    for column in ("samples", "undivided MB", "cached MB", "ratio", "undivided s", "cached s", "ratio"):
        table.add_column(column, justify="right")
    whole: list[dict[str, float] | None] = []
    cached: list[dict[str, float] | None] = []
    for count in samples:
        before = whole[-1]["mb"] if whole and whole[-1] else 0.0
        fits = not whole or (whole[-1] is not None and before * count / samples[len(whole) - 1] < limit)
        whole.append(measured(name, count, None, threads, device) if fits else None)
        cached.append(measured(name, count, at_once, threads, device))
        row, chunks = whole[-1], cached[-1]
        cells = [str(count)]
        for key, digits in (("mb", 0), ("seconds", 1)):
            a, b = row and row[key], chunks and chunks[key]
            cells += [f"{value:.{digits}f}" if value is not None else "-" for value in (a, b)]
            cells.append(f"{(a / b if key == 'mb' else b / a):.2f}" if a and b else "-")
        table.add_row(*cells)
    growth = [
        exponent(samples, [run and run[key] for run in runs]) for key in ("mb", "seconds") for runs in (whole, cached)
    ]
    table.add_row("growth", *growth[:2], "", *growth[2:], "")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--samples", nargs="+", type=int, default=[512, 1024, 2048, 4096])
    parser.add_argument("--at-once", type=int, default=256)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--limit", type=float, default=6000, help="MB that an undivided step may take")
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    console = Console()
    for name in given.encoder:
        console.print(report(name, given.samples, given.at_once, given.threads, device, given.limit))
    console.print(f"growth: the power of the samples over the last doubling. {machine()}")


if __name__ == "__main__":
    main()
