"""The study of competing methods on rotated digits: `tune` chooses learning rates, `run` trains five seeds with them.

    python experiments/competing_methods/study.py tune runs/competing_methods
    python experiments/competing_methods/study.py run runs/competing_methods

Both take `--methods simclr,dino` to run only a part, so that several can run in parallel, and resume after
an interruption.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).parent
RATES = HERE / "learning_rates.csv"
TUNING_SEED = 100
SEEDS = range(5)
# One budget for all: 15 epochs of stage one and then a head, or 20 epochs end to end.
COMMON = [
    "data=digits", "data.size=16", "recipe.pretrain.epochs=15", "recipe.linear_probe.epochs=30",
    "recipe.fine_tune.epochs=10", "recipe.end_to_end.epochs=20",
]  # fmt: skip
QUIET = [
    "plots=false", "print_config=false", "trainer.enable_progress_bar=false", "callbacks.model_summary=null",
    "callbacks.diagnostics=null",
]  # fmt: skip
TWO_STAGES = ["simclr", "dino", "supcon", "rnc", "supremix"]
ONE_STAGE = ["l1", "lds_fds", "l2cs_net", "lde", "ranksim", "ordinal_entropy", "conr", "balanced_mse"]
# The same number of rates for each method; end-to-end rates depend on the scale of the loss.
GRIDS = {
    "pretrain": [0.05, 0.15, 0.5, 1.5],
    "linear_probe": [0.02, 0.1, 0.5],
    "fine_tune": [0.001, 0.002, 0.005, 0.02, 0.05],
}
END_TO_END = [0.005, 0.01, 0.02, 0.05, 0.1]
END_TO_END_OF = {
    "l2cs_net": [0.0001, 0.0002, 0.0005, 0.002, 0.005],
    "lde": [0.05, 0.2, 0.5, 1.0, 2.0],
    "balanced_mse": [0.00001, 0.00003, 0.0001, 0.0003, 0.001],
}

Rates = Mapping[str, Iterable[float]]


def tune(method: str, out: Path) -> list[dict[str, Any]]:
    """Train with every rate of the grid on the tuning seed; return the rows of the grid with the best one marked."""
    if method not in TWO_STAGES:
        grid = END_TO_END_OF.get(method, END_TO_END)
        train(method, "end_to_end", {"end_to_end": grid}, [TUNING_SEED], out)
        return best(method, "end_to_end", ["end_to_end"], out)
    both = {stage: GRIDS[stage] for stage in ("pretrain", "linear_probe")}
    train(method, "linear_probe", both, [TUNING_SEED], out)
    rows = best(method, "linear_probe", list(both), out)
    chosen = next(row["pretrain"] for row in rows if row["chosen"])
    train(method, "fine_tune", {"pretrain": [chosen], "fine_tune": GRIDS["fine_tune"]}, [TUNING_SEED], out)
    return rows + best(method, "fine_tune", ["pretrain", "fine_tune"], out)


def run(method: str, out: Path) -> None:
    """Train five seeds with the chosen rates, in both schemes if there are two."""
    rates = pd.read_csv(RATES)
    for row in rates[(rates.method == method) & rates.chosen].itertuples():
        stages = ["end_to_end"] if row.scheme == "end_to_end" else ["pretrain", row.scheme]
        train(method, row.scheme, {stage: [getattr(row, stage)] for stage in stages}, SEEDS, out)
        if method == "lds_fds":  # with FDS' cheaper statistics too, in addition to those of the paper
            options = ["calibration.second_pass=false"]
            train(method, row.scheme, {stage: [getattr(row, stage)] for stage in stages}, SEEDS, out, options)


def train(method: str, scheme: str, rates: Rates, seeds: Iterable[int], out: Path, options: Iterable[str] = ()) -> None:
    """Run one sweep of the training command."""
    sweep = [f"recipe.{stage}.lr={','.join(map(str, values))}" for stage, values in rates.items()]
    seed = f"seed={','.join(map(str, seeds))}"
    command = [sys.executable, "-m", "rnc_lightning.train", "-m", *COMMON, f"method={method}", f"scheme={scheme}"]
    # If training diverges with a rate, only that run fails; the results show what is missing.
    subprocess.run([*command, *sweep, seed, *options, f"paths.output_dir={out}", *QUIET], check=False)


def best(method: str, scheme: str, stages: list[str], out: Path) -> list[dict[str, Any]]:
    """Return one row per combination of rates, the one with the lowest validation error marked."""
    rows = []
    for result in results(out):
        if (result["method"], result["scheme"], result["seed"]) != (method, scheme, TUNING_SEED):
            continue
        rates = {stage: float(result["overrides"][f"recipe.{stage}.lr"]) for stage in stages}
        error = list(result["stages"].values())[-1]["metrics"]["val/mae"]
        rows.append({"method": method, "scheme": scheme, **rates, "val_mae": error, "chosen": False})
    if not rows:
        raise SystemExit(f"error: {method}, {scheme}: no run finished in {out}")
    min(rows, key=lambda row: row["val_mae"])["chosen"] = True
    return rows


def results(out: Path) -> Iterator[dict[str, Any]]:
    """Read the results of finished runs."""
    for path in sorted(out.glob("digits_*/*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["status"] == "finished":
            yield result


def write_rates(rows: list[dict[str, Any]], methods: list[str]) -> None:
    """Replace the rows of these methods in the table of all methods."""
    columns = ["method", "scheme", "pretrain", "linear_probe", "fine_tune", "end_to_end", "val_mae", "chosen"]
    kept = pd.read_csv(RATES) if RATES.is_file() else pd.DataFrame(columns=columns)
    kept = kept[~kept.method.isin(methods)]
    merged = pd.concat([part for part in (kept, pd.DataFrame(rows)) if len(part)])
    merged.reindex(columns=columns).sort_values(columns[:6]).to_csv(RATES, index=False, float_format="%.6g")


def main() -> None:
    """Entry point."""
    everything = [*TWO_STAGES, *ONE_STAGE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["tune", "run"])
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("--methods", default=",".join(everything), help="comma-separated methods")
    arguments = parser.parse_args()
    methods = arguments.methods.split(",")
    if unknown := [method for method in methods if method not in everything]:
        parser.error(f"unknown methods: {', '.join(unknown)}; choose from {', '.join(everything)}")
    if arguments.what == "run":
        for method in methods:
            run(method, arguments.out / "five_seeds")
        return
    for method in methods:
        write_rates(tune(method, arguments.out / "learning_rates"), [method])


if __name__ == "__main__":
    main()
