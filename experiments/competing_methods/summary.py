"""What the report does not contain: the ranks of methods here and in the paper, and a comparison of two FDS variants.

    python experiments/competing_methods/summary.py runs/competing_methods/five_seeds RESULTS

RESULTS is the folder with the report of these runs. Reads the runs and its report.csv, writes summary.md there and
prints it.
"""

import argparse
import json
from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr

from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.system.files import write_text

CHEAP = "calibration.second_pass"


def ranking(report: pd.DataFrame) -> str:
    """List the methods in both tables by published error, with their ranks and the correlation of the two rankings."""
    rows = report[(report.metric == "mae") & report.published_agedb.notna() & report["mean"].notna()]
    rows = rows[~rows.variant.fillna("").str.contains(CHEAP)].sort_values("published_agedb")
    here, there = rows["mean"].rank(), rows.published_agedb.rank()
    lines = ["| method | digits: MAE (degrees) | rank | AgeDB, published (years) | rank |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {row.label} | {row.mean:.2f} ± {row.sd:.2f} | {mine:g} | {row.published_agedb:.2f} | {theirs:g} |"
        for row, mine, theirs in zip(rows.itertuples(), here, there, strict=True)
    ]
    rho = spearmanr(here, there).statistic
    return "\n".join([*lines, "", f"Spearman's correlation over these {len(rows)} methods: {rho:.2f}."])


def compare_fds_variants(runs: Path) -> str:
    """Compare LDS + FDS with statistics from a second pass and from the training features: paired difference, time."""
    errors: dict[bool, dict[int, float]] = {True: {}, False: {}}
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for path in sorted(runs.glob("digits_lds_fds/*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        second_pass = CHEAP not in result["overrides"]
        errors[second_pass][result["seed"]] = result["test"]["mae"]
        seconds[second_pass].append(result["stages"]["regress"]["seconds"])
    gain = paired_gain(errors[True], errors[False], higher_is_better=False)
    if gain is None or gain.low is None:
        return "FDS: fewer than two seeds with both variants."
    times = [f"{sum(seconds[way]) / len(seconds[way]):.0f} s" for way in (True, False)]
    return (
        f"FDS' statistics from the features trained on instead of a second pass: the error is lower by {gain.mean:.2f} "
        f"degrees (95 percent paired interval {gain.low:.2f} to {gain.high:.2f}, {gain.pairs} seeds); training takes "
        f"{times[1]} instead of {times[0]}."
    )


def main() -> None:
    """Read, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of the five-seed runs")
    parser.add_argument("results", type=Path, help="folder with their report.csv")
    arguments = parser.parse_args()
    report = pd.read_csv(arguments.results / "report.csv")
    text = f"{ranking(report)}\n\n{compare_fds_variants(arguments.runs)}\n"
    print(text, end="")
    write_text(arguments.results / "summary.md", text)


if __name__ == "__main__":
    main()
