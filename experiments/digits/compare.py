"""RnC + linear probe against L1 end to end on rotated digits: tables and a figure from finished runs.

    python experiments/digits/compare.py runs/

Each method's learning rate is the one with the lowest mean validation MAE over the seeds; test errors are used
only afterwards. Writes results.md, results.csv and maps.png next to this file (or to --out).
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

METHODS = {
    "L1, end to end": ("digits_l1", "recipe.end_to_end.lr", "regress"),
    "RnC, linear probe": ("digits_rnc", "recipe.pretrain.lr", "pretrain"),
}

PROBE = ("recipe.linear_probe.epochs", "recipe.linear_probe.lr")  # the same in every run of the study


def collect(runs: Path) -> pd.DataFrame:
    """Return one row per finished run: method, learning rate, seed, validation and test metrics, time, epochs."""
    rows = []
    for method, (experiment, key, _stage) in METHODS.items():
        for path in sorted((runs / experiment).glob("*/result.json")):
            result = json.loads(path.read_text(encoding="utf-8"))
            overrides = result["overrides"]
            if result["status"] != "finished" or set(overrides) - {*PROBE} != {key, "seed"}:
                continue
            stages = result["stages"]
            rows.append(
                {
                    "method": method,
                    "lr": float(overrides[key]),
                    "seed": result["seed"],
                    "val_mae": stages["regress"]["metrics"]["val/mae"],
                    **{f"test_{name}": value for name, value in result["test"].items()},
                    "constant_mae": result["constant"]["mae"],
                    "epochs": sum(stage["epochs"] for stage in stages.values()),
                    "seconds": sum(stage["seconds"] for stage in stages.values()),
                    "data_fingerprint": result["data_fingerprint"],
                    "processor": result["machine"]["processor"],
                    "threads": result["machine"]["threads"],
                    "torch": result["versions"]["torch"],
                    "path": str(path.parent),
                }
            )
    if not rows:
        raise SystemExit(f"error: no finished runs of digits_l1 and digits_rnc with their learning rates in {runs}")
    table = pd.DataFrame(rows)
    if table["data_fingerprint"].nunique() > 1:
        raise SystemExit(f"error: the runs in {runs} used different data: {sorted(table['data_fingerprint'].unique())}")
    return table


def choose(table: pd.DataFrame) -> dict[str, float]:
    """Return each method's learning rate with the lowest mean validation MAE."""
    means = table.groupby(["method", "lr"])["val_mae"].mean()
    return {method: float(means[method].idxmin()) for method in METHODS}


def paired(first: pd.Series, second: pd.Series, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of `first - second` over their common seeds, with its t interval."""
    difference = (first - second).dropna().to_numpy()
    n = len(difference)
    half = float(stats.t.ppf(0.5 + level / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    mean = float(difference.mean())
    return mean, mean - half, mean + half


def report(table: pd.DataFrame) -> str:
    """Return the two tables in Markdown."""
    best = choose(table)
    grid = ["| method | learning rate | seeds | validation MAE | test MAE |", "|---|---|---|---|---|"]
    for (method, lr), rows in table.groupby(["method", "lr"]):
        mark = " (chosen)" if best[method] == lr else ""
        cells = (method, f"{lr:g}{mark}", str(len(rows)), _spread(rows["val_mae"]), _spread(rows["test_mae"]))
        grid.append("| " + " | ".join(cells) + " |")

    chosen = {method: table[(table["method"] == method) & (table["lr"] == lr)] for method, lr in best.items()}
    lines = [
        "| method | learning rate | test MAE | test R2 | Spearman | Kendall | epochs | training time |",
        "|---|---|---|---|---|---|---|---|",
        f"| constant (median) | - | {table['constant_mae'].iloc[0]:.2f} | - | - | - | - | - |",
    ]
    for method, rows in chosen.items():
        metrics = [_spread(rows["test_mae"]), *(_spread(rows[f"test_{m}"], 3) for m in ("r2", "spearman", "kendall"))]
        times = [str(rows["epochs"].iloc[0]), f"{rows['seconds'].mean():.0f} s"]
        lines.append("| " + " | ".join([method, f"{best[method]:g}", *metrics, *times]) + " |")
    first, second = (rows.set_index("seed") for rows in chosen.values())
    mean, low, high = paired(first["test_mae"], second["test_mae"])
    share = 100 * mean / first["test_mae"].mean()
    wins = int((first["test_mae"] > second["test_mae"]).sum())
    seeds = len(first.index.intersection(second.index))
    lines += [
        "",
        f"Paired over {seeds} seeds, L1 minus RnC: {mean:.2f} degrees ({share:.0f} percent), "
        f"95% interval {low:.2f} to {high:.2f}; RnC is better in {wins} of {seeds}.",
    ]
    machine = table.iloc[0]
    where = f"{machine['processor']}, {machine['threads']} thread(s), PyTorch {machine['torch']}"
    data = f"data fingerprint {machine['data_fingerprint']}"
    return "\n".join(
        [*lines, "", "The grid, mean and standard deviation over seeds:", "", *grid, "", f"{where}; {data}."]
    )


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the test features of the first seed of both methods side by side."""
    from rnc_lightning.plots.maps import save_projection_comparison

    panels, subtitles = {}, {}
    for method, lr in choose(table).items():
        row = table[(table["method"] == method) & (table["lr"] == lr)].sort_values("seed").iloc[0]
        with np.load(Path(row["path"]) / "features.npz") as kept:
            panels[method] = (kept["features"], kept["targets"])
        subtitles[method] = f"test MAE {row['test_mae']:.1f} degrees (seed {row['seed']})"
    save_projection_comparison(panels, path, "angle (degrees)", subtitles)


def _spread(values: pd.Series, digits: int = 2) -> str:
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


def main() -> None:
    """Read, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="the folder with digits_l1/ and digits_rnc/")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    table = collect(arguments.runs)
    text = report(table)
    print(text)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.md").write_text(text + "\n", encoding="utf-8")
    table.drop(columns="path").round(4).to_csv(arguments.out / "results.csv", index=False)
    draw(table, arguments.out / "maps.png")


if __name__ == "__main__":
    main()
