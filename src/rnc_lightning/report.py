"""Report: `python -m rnc_lightning.report runs` prints the paper's tables and writes them to `runs/report`."""

import argparse
from pathlib import Path

from rnc_lightning.command_line.messages import run_plain
from rnc_lightning.reports.write import report


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
