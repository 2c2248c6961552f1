"""Report: `python -m rnc_lightning.report runs` prints the paper's tables and writes them to `runs/report`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from rnc_lightning.cli import run_plain
from rnc_lightning.errors import UserError
from rnc_lightning.files import write_text
from rnc_lightning.report.html import page
from rnc_lightning.report.latex import latex
from rnc_lightning.report.markdown import markdown
from rnc_lightning.report.runs import read_runs
from rnc_lightning.report.table import Report, build_report
from rnc_lightning.report.terminal import print_report
from rnc_lightning.report.tidy import tidy_csv

_PIPE_WIDTH = 100  # columns where the output is no terminal


def report(runs_dir: Path, out: Path | None = None) -> Report:
    """Read every run below a folder, print its tables and write them in every format.

    Args:
        runs_dir: The folder with the runs.
        out: Where the files go; `runs_dir/report` by default.

    Raises:
        UserError: Where there is no such folder, or no run in it.
    """
    if not runs_dir.is_dir():
        raise UserError(f"{runs_dir}: no such folder; name the one that holds the runs, such as runs")
    runs, problems = read_runs(runs_dir)
    if not runs and not problems:
        raise UserError(
            f"{runs_dir}: no result.json below it; train something first: "
            f"python -m rnc_lightning.train +experiment=digits_rnc paths.output_dir={runs_dir}"
        )
    made = build_report(runs, problems)
    written = write_report(made, out or runs_dir / "report")  # before the tables, which a closed pipe may cut short
    print_report(made, Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH))
    print(written)
    return made


def write_report(made: Report, out: Path) -> str:
    """Write `report.md`, `.csv`, `.tex`, `.png` and `.html` into a folder.

    Returns:
        One line that says what was written.

    Raises:
        UserError: Where the folder cannot be written.
    """
    from rnc_lightning.report.figure import draw  # matplotlib takes a moment

    try:
        picture = draw(made.tables, out / "report.png")
        write_text(out / "report.md", markdown(made, picture))
        write_text(out / "report.csv", tidy_csv(made))
        write_text(out / "report.tex", latex(made))
        write_text(out / "report.html", page(made, picture))
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); choose another folder with --out") from error
    return f"written: {out}/report.html, .md, .csv, .tex" + (", .png" if picture else "")


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rnc_lightning.report",
        description="The paper's tables of regression and of competing methods, from the runs below a folder, "
        "beside the published numbers.",
    )
    parser.add_argument("runs_dir", type=Path, metavar="RUNS_DIR", help="folder that holds the runs, such as runs")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files go (default: RUNS_DIR/report)")
    arguments = parser.parse_args()
    report(arguments.runs_dir, arguments.out)


def main() -> None:
    """Entry point."""
    run_plain(_main, resumes=False)


if __name__ == "__main__":
    main()
