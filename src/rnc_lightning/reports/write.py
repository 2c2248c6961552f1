"""From finished runs to the printed tables and the files of a report."""

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
    from rnc_lightning.reports.figure import draw  # matplotlib takes a moment

    try:
        picture = draw(made.tables, out / "report.png")
        write_text(out / "report.md", markdown(made, picture))
        write_text(out / "report.csv", tidy_csv(made))
        write_text(out / "report.tex", latex(made))
        write_text(out / "report.html", page(made, picture))
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); choose another folder with out=DIR") from error
    return f"written: {out}/report.html, .md, .csv, .tex" + (", .png" if picture else "")
