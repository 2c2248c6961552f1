"""Check sweeps with several launchers, sweepers and processes: each run is trained once, and no process is left.

    python checks/sweeps.py         # prints a table and writes docs/checked/sweeps.md; takes some minutes on a CPU

Uses digits at a tiny size, since it checks launching, not results. Exits with 1 if a row is not as expected.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

CHECKS = Path(__file__).parent
PACKAGES = ("torch", "lightning", "hydra-core", "hydra-optuna-sweeper", "optuna")
TINY = [
    "+experiment=digits_rnc", "data.digits=[3]", "data.size=16", "data.eval_angles=1", "data.batch_size=32",
    "encoder.width=4", "encoder.stages=2", "recipe.pretrain.epochs=2", "recipe.linear_probe.epochs=2",
    "trainer.enable_progress_bar=false", "callbacks.model_summary=null", "print_config=false",
]  # fmt: skip
GRID = ["head=l1,mse", "seed=0,1"]
SEARCH = ["+search=rnc", "hydra.sweeper.n_trials=3"]
SIDE_BY_SIDE = ["hydra/launcher=per_gpu", "hydra.launcher.slots=2"]
TWO = ["trainer=ddp_cpu", "trainer.devices=2"]


@dataclass(frozen=True)
class Case:
    """One sweep.

    Attributes:
        name: Its name in the table.
        words: Options in addition to `TINY`.
        runs: Number of runs in it.
        trained: Number of runs that it trains; the others are already finished.
        processes: Processes per run.
        place: Folder of its runs; two cases with the same folder are the same command given twice.
        as_in: The case whose numbers it must reproduce, to the last digit.
    """

    name: str
    words: Sequence[str]
    runs: int
    trained: int
    processes: int
    place: str
    as_in: str = ""


CASES = (
    Case("grid", GRID, 4, 4, 1, "grid"),
    Case("grid, per_gpu with 2 slots", [*GRID, *SIDE_BY_SIDE], 4, 4, 1, "grid_slots", "grid"),
    Case("grid, 2 processes a run", [*GRID, *TWO], 4, 4, 2, "grid_two"),
    Case(
        "the same, per_gpu with 2 slots", [*GRID, *TWO, *SIDE_BY_SIDE], 4, 4, 2, "two_slots", "grid, 2 processes a run"
    ),
    Case("Optuna, 2 processes a run", [*SEARCH, *TWO], 3, 3, 2, "search"),
    Case("the same command again", [*SEARCH, *TWO], 3, 0, 2, "search"),
)


def results(place: Path) -> dict[str, Any]:
    """The test metrics of each finished run, by the name of its directory."""
    found = {path.parent.name: json.loads(path.read_text("utf-8")) for path in place.glob("digits_rnc/*/result.json")}
    return {name: result["test"] for name, result in found.items() if result["status"] == "finished"}


def count_left(mark: str) -> int:
    """Number of processes with the mark in their environment."""
    count = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            has = mark.encode() in (path / "environ").read_bytes()
            count += has and (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            continue
    return count


def same_in_all(seen: Path, processes: int) -> bool:
    """Whether each learning rate was used equally often by all processes of a run."""
    ranks: dict[float, Counter[int]] = {}
    for path in seen.iterdir():
        found = json.loads(path.read_text("utf-8"))
        ranks.setdefault(found["lr"], Counter())[found["rank"]] += 1
    return all(len(counts) == processes and len(set(counts.values())) == 1 for counts in ranks.values())


def run(case: Case, folder: Path) -> dict[str, Any]:
    """Run a sweep and return its row of the table."""
    place, mark = folder / case.place, uuid.uuid4().hex
    seen = folder / f"seen_{case.place}"
    callback = f"+callbacks.seen={{_target_: seen_rates.RecordLearningRates, folder: {seen}}}"
    words = [*TINY, *case.words, f"paths.output_dir={place}", callback]
    path = os.pathsep.join([str(CHECKS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, "SWEEP_MARK": mark}
    before = len(list(place.glob("sweeps/*")))
    began = time.perf_counter()
    command = [sys.executable, "-m", "rnc_lightning.train", "-m", *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if ended.returncode:
        print(ended.stdout[-2000:], ended.stderr[-4000:], sep="\n", file=sys.stderr)
    sweeps = sorted(place.glob("sweeps/*"))
    records = [json.loads(path.read_text("utf-8")) for path in sweeps[-1].glob("jobs/*.json")]
    row = {
        "sweep": case.name,
        "exit code": ended.returncode,
        "runs expected": case.runs,
        "runs in it": len(records),
        "trained": sum(record["status"] == "finished" for record in records),
        "run directories": len(results(place)),
        "sweep directories": len(sweeps) - before,
        "same in all processes": "yes" if same_in_all(seen, case.processes) else "NO",
        "processes left": count_left(mark),
        "numbers": "-",
        "seconds": round(seconds),
    }
    if case.as_in:
        other = next(other for other in CASES if other.name == case.as_in)
        equal = results(place) == results(folder / other.place)
        row["numbers"] = f"{'equal to' if equal else 'NOT equal to'} {case.as_in}"
    good = row["exit code"] == 0 and row["runs in it"] == row["run directories"] == case.runs
    good = good and row["trained"] == case.trained and row["sweep directories"] == 1 and row["processes left"] == 0
    row["as expected"] = "yes" if good and "NO" not in f"{row['same in all processes']}{row['numbers']}" else "NO"
    return row


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table."""
    lines = [f"| {' | '.join(rows[0])} |", f"|{'---|' * len(rows[0])}"]
    return "\n".join([*lines, *(f"| {' | '.join(str(value) for value in row.values())} |" for row in rows)])


def page(rows: Sequence[dict[str, Any]]) -> str:
    """The content of docs/checked/sweeps.md."""
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)])
    return f"""# Sweeps, checked

Made by `python checks/sweeps.py` on {datetime.now(UTC):%Y-%m-%d}; {versions}; {platform.system()}, \
{os.cpu_count()} cores, no GPU used. Rotated digits at a tiny size: this checks launching, not results.

{markdown(rows)}

*trained*: runs that this sweep trained; the others were finished and only read. *same in all processes*: every process
of a run recorded its learning rate, and all ranks used each rate equally often. *processes left*: processes with the
sweep's mark in their environment after it has ended. *numbers*: all test metrics of all runs, to the last digit. The
grids share one encoder per seed, so two of the four runs train stage one and the other two wait for it or find it.
"""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=CHECKS.parent / "docs/checked/sweeps.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for case in CASES:
            rows.append(run(case, Path(folder)))
            print(rows[-1], flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(page(rows), encoding="utf-8")
    print(markdown(rows))
    sys.exit(any(row["as expected"] == "NO" for row in rows))


if __name__ == "__main__":
    main()
