"""Print the tables of finished runs and write the files of a report."""

import sys
from pathlib import Path

from rich.console import Console

from rnc_lightning.reports.html import page
from rnc_lightning.reports.latex import latex
from rnc_lightning.reports.markdown import markdown
from rnc_lightning.reports.read_runs import read_runs
from rnc_lightning.reports.table import Report, build_report
from rnc_lightning.reports.terminal import print_report
from rnc_lightning.reports.tidy import tidy_csv
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text

_PIPE_WIDTH = 100  # columns if the output is not a terminal


def report_runs(runs_dir: Path, out: Path | None = None, escape_formulas: bool = False) -> Report:
    """Read every run below a folder, print the tables and write them in every format.

    Args:
        runs_dir: The folder with the runs.
        out: Folder to write the files to; `runs_dir/report` by default.
        escape_formulas: Whether `'` is put before texts in report.csv that a spreadsheet program would run.

    Raises:
        UserError: If there is no such folder, or no run in it.
    """
    if not runs_dir.is_dir():
        raise UserError(f"{runs_dir}: no such folder; name the folder that contains the runs, such as runs")
    runs, problems = read_runs(runs_dir)
    if not runs and not problems:
        raise UserError(
            f"{runs_dir}: no result.json in it; train something first: "
            f"python -m rnc_lightning.train +experiment=digits_rnc paths.output_dir={runs_dir}"
        )
    report = build_report(runs, problems)
    written = write_report(
        report, out or runs_dir / "report", escape_formulas
    )  # first, since a closed pipe can stop the printing
    print_report(report, Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH))
    print(written)
    return report


def write_report(report: Report, out: Path, escape_formulas: bool = False) -> str:
    """Write `report.md`, `.csv`, `.tex`, `.png` and `.html` into a folder.

    Returns:
        One line that lists the files.

    Raises:
        UserError: If the folder cannot be written.
    """
    from rnc_lightning.reports.figure import draw_report  # importing matplotlib is slow

    try:
        picture = draw_report(report.tables, out / "report.png")
        write_text(out / "report.md", markdown(report, picture))
        write_text(out / "report.csv", tidy_csv(report, escape_formulas))
        write_text(out / "report.tex", latex(report))
        write_text(out / "report.html", page(report, picture))
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); choose another folder with out=DIR") from error
    return f"written: {out}/report.html, .md, .csv, .tex" + (", .png" if picture else "")
