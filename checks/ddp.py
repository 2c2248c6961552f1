"""Compare several processes with one: gradients of every objective and head, and the results of whole runs.

`make check-ddp`, or `python checks/ddp.py [--out FILE]`. Gradients: synthetic features and labels, 12 samples with two
views, divided evenly, unevenly, and so that one process has none. Runs: rotated digits at tiny size (real handwritten
digits, a synthetic target) and an encoder without batch normalisation, on the CPU.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

TESTS = Path(__file__).parents[1] / "tests/helpers"
sys.path.insert(0, str(TESTS))

import gathering  # noqa: E402

from rnc_lightning.system.environment import machine, versions  # noqa: E402

WORLDS = (2, 4)
RUNS = (1, 2, 3)
OPTIONS = [
    "+experiment=digits_rnc", "data.digits=[3]", "data.size=16", "data.eval_angles=1", "data.val_fraction=0.19",
    "encoder._target_=plain_encoder.PlainEncoder", "~encoder.in_channels", "~encoder.width", "~encoder.stages",
    "data.batch_size=12", "recipe.pretrain.epochs=3", "recipe.pretrain.lr=0.05", "recipe.linear_probe.epochs=3",
    "recipe.linear_probe.batch_size=12", "trainer.enable_progress_bar=false", "callbacks.model_summary=null",
    "print_config=false", "paths.encoder_dir=null",
]  # fmt: skip


def gradients(folder: Path) -> list[str]:
    """A row for each objective or head: the largest difference from one process, by processes and precision."""
    found = {world: _run_processes(world, folder) for world in track(WORLDS, description="gradients")}
    x, y = gathering.samples()
    rows = []
    for name, make in gathering.OBJECTIVES.items():
        differences = []
        for world in WORLDS:
            for precision, dtype in gathering.PRECISIONS.items():
                _, expected = gathering.step(make(), gathering.encoder(), x, y, dtype)
                keys = [(division, name, precision) for division in gathering.DIVISIONS]
                differences.append(_largest([steps[key] for steps in found[world] for key in keys], expected))
                if precision == "float64":
                    keys = [(division, name, "cached") for division in gathering.DIVISIONS]
                    differences.append(_largest([steps[key] for steps in found[world] for key in keys], expected))
        rows.append(f"| {name} | {' | '.join(f'{value:.0e}' for value in differences)} |")
    for name in gathering.HEADS:
        _, expected = gathering.head_step(name, x, y)
        differences = []
        for world in WORLDS:
            keys = [(division, name) for division in gathering.DIVISIONS if (division, name) in found[world][0]]
            value = _largest([steps[key] for steps in found[world] for key in keys], expected)
            differences += [f"{value:.0e}", "", "", ""]
        rows.append(f"| {name} (head) | {' | '.join(differences)} |")
    return rows


def _run_processes(world: int, folder: Path) -> list[dict[Any, Any]]:
    last = [str(world), str(folder / f"rendezvous{world}"), str(folder / f"found{world}")]
    running = [subprocess.Popen([sys.executable, gathering.__file__, str(rank), *last]) for rank in range(world)]
    if any(process.wait(timeout=600) for process in running):
        raise RuntimeError(f"one of {world} processes failed")
    return [torch.load(folder / f"found{world}.{rank}")["steps"] for rank in range(world)]


def _largest(steps: list[tuple[torch.Tensor, torch.Tensor]], expected: torch.Tensor) -> float:
    """The largest difference over all entries, processes and divisions, relative to the largest entry."""
    return max(float((gradient - expected).abs().max() / expected.abs().max()) for _, gradient in steps)


def whole_runs(folder: Path) -> list[str]:
    """A row for each number of processes: test metrics, and how often each test sample was predicted."""
    rows, first = [], None
    for count in track(RUNS, description="whole runs"):
        place = folder / f"run{count}"
        trainer = ["trainer=cpu"] if count == 1 else ["trainer=ddp_cpu", f"trainer.devices={count}"]
        command = [sys.executable, "-m", "rnc_lightning.train", *OPTIONS, *trainer, f"paths.run_dir={place}"]
        paths = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": paths})
        result = json.loads((place / "result.json").read_text(encoding="utf-8"))
        mae, loss = result["test"]["mae"], result["stages"]["pretrain"]["metrics"]["train/loss"]
        first = first or (mae, loss)
        predicted = (place / "predictions.csv").read_text(encoding="utf-8").count("\n") - 1
        rows.append(
            f"| {count} | {loss:.6f} | {loss - first[1]:+.0e} | {mae:.6f} | {mae - first[0]:+.0e} | "
            f"{predicted} of {result['counts']['test']} |"
        )
    return rows


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file for the tables, as Markdown")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = _page(gradients(Path(folder)), whole_runs(Path(folder)))
    Console().print(text, soft_wrap=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text, encoding="utf-8")


def _page(gradient_rows: list[str], run_rows: list[str]) -> str:
    installed, computer = versions(), machine()
    packages = ", ".join(f"{name} {installed[name]}" for name in ("python", "torch", "lightning") if name in installed)
    precisions = ["float64", "float64, gradient cache", *list(gathering.PRECISIONS)[1:]]
    columns = [f"{world} processes, {precision}" for world in WORLDS for precision in precisions]
    return "\n".join([
        "# Several processes compared with one",
        "",
        f"`make check-ddp`, {date.today()}, {computer['processor']}, {computer['cores']} cores, no GPU; {packages}.",
        "",
        "## Gradients",
        "",
        "Largest difference of any parameter's gradient from that of one process with the whole batch, relative to the "
        "largest entry; over all processes and the divisions even, uneven, and (objectives) one process without "
        "samples. If the first process has three samples, their labels are equal. Synthetic features and labels.",
        "",
        f"| objective or head | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
        *gradient_rows,
        "",
        "## Whole runs",
        "",
        "Rotated digits at tiny size (real handwritten digits, a synthetic target), seed 0, RnC and a linear probe, an "
        "encoder without batch normalisation, three epochs per stage, uneven last batches; float32, so sums in another "
        "order differ in the last digits, and training amplifies the difference.",
        "",
        "| processes | last loss of stage one | difference | test MAE (degrees) | difference | test samples |",
        "|---|---|---|---|---|---|",
        *run_rows,
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
