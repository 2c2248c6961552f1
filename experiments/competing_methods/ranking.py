"""How methods rank here and in the paper on AgeDB, from the report's table.

    python experiments/competing_methods/ranking.py experiments/competing_methods/results/report.csv

Writes ranking.md beside the table and prints it.
"""

import argparse
from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr

from rnc_lightning.files import write_text


def ranked(report: pd.DataFrame) -> pd.DataFrame:
    """Rows that both have, with their ranks: label, mean here, value there, rank here, rank there."""
    rows = report[(report.metric == "mae") & report.published_agedb.notna() & report["mean"].notna()]
    rows = rows[~rows.variant.fillna("").str.contains("second_pass=false")]
    table = rows[["label", "mean", "sd", "published_agedb"]].rename(columns={"published_agedb": "agedb"})
    return table.assign(here=table["mean"].rank(), there=table.agedb.rank()).sort_values("there")


def markdown(table: pd.DataFrame) -> str:
    """The table, and Spearman's correlation of the two rankings."""
    lines = ["| method | digits: MAE (degrees) | rank | AgeDB, published (years) | rank |", "|---|---:|---:|---:|---:|"]
    lines += [
        f"| {row.label} | {row.mean:.2f} ± {row.sd:.2f} | {row.here:g} | {row.agedb:.2f} | {row.there:g} |"
        for row in table.itertuples()
    ]
    rho = spearmanr(table["mean"], table.agedb).statistic
    return (
        "\n".join([*lines, "", f"Spearman's correlation of the two columns over {len(table)} methods: {rho:.2f}."])
        + "\n"
    )


def main() -> None:
    """Read, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.csv of the study")
    arguments = parser.parse_args()
    text = markdown(ranked(pd.read_csv(arguments.report)))
    print(text, end="")
    write_text(arguments.report.with_name("ranking.md"), text)


if __name__ == "__main__":
    main()
