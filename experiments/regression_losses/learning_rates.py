"""Which learning rate each head gets on digits: the lowest mean validation MAE of a small grid.

    python experiments/regression_losses/learning_rates.py runs/learning_rates

Reads the result.json files of `make tune-losses`, whose seeds are not those of the study. Writes learning_rates.csv
(one row per run) next to this file and prints the table; test errors are not read.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

KEYS = {"end_to_end": "recipe.end_to_end.lr", "linear_probe": "recipe.linear_probe.lr"}


def collect(runs: Path) -> pd.DataFrame:
    """Return one row per run: scheme, head, epochs, learning rate, seed, best validation MAE (None if it failed)."""
    rows = []
    for path in sorted(runs.glob("*/*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        key = KEYS.get(result["scheme"])
        if key not in result["overrides"]:
            continue
        finished = result["status"] == "finished"
        rows.append(
            {
                "scheme": result["scheme"],
                "head": result["head"],
                "epochs": result["stages"]["regress"]["epochs"] if finished else None,
                "lr": float(result["overrides"][key]),
                "seed": result["seed"],
                "validation_mae": result["stages"]["regress"]["metrics"]["val/mae"] if finished else None,
                "status": result["status"] if finished else f"{result['status']}: {result.get('reason', '')[:60]}",
            }
        )
    if not rows:
        raise SystemExit(f"error: no runs with a learning rate in {runs}; run `make tune-losses`")
    return pd.DataFrame(rows).sort_values(["scheme", "head", "epochs", "lr", "seed"], ignore_index=True)


def summary(table: pd.DataFrame) -> str:
    """Return the grid in Markdown; settings without a finished run of every seed are not chosen."""
    lines = ["| scheme | head | epochs | learning rate | seeds | validation MAE |", "|---|---|---|---|---|---|"]
    for (scheme, head), group in table.groupby(["scheme", "head"]):
        tried = group.groupby(["epochs", "lr"])["validation_mae"].agg(["mean", "count"])
        best = tried[tried["count"] == group["seed"].nunique()]["mean"].idxmin()
        for setting, rows in group.groupby(["epochs", "lr"]):
            epochs, lr = setting
            mean = rows["validation_mae"].mean(skipna=False)
            shown = "failed" if pd.isna(mean) else f"{mean:.2f}"
            chosen = " (chosen)" if setting == best else ""
            lines.append(f"| {scheme} | {head} | {epochs} | {lr:g}{chosen} | {len(rows)} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Read, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="the output directory of `make tune-losses`")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()
    table = collect(arguments.runs)
    print(summary(table))
    table.round(4).to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
