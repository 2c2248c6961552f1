"""A study of the paper: `python -m rnc_lightning.study robustness data=agedb`; `--help` lists the studies.

Trains the missing runs, reuses finished ones, measures, and writes tables and a figure next to the published numbers.
"""

import logging
import sys
from typing import Any

from rnc_lightning.command_line.messages import show_log
from rnc_lightning.command_line.options import run_command


def _work(options: dict[str, Any], training_options: list[str]) -> None:
    from rnc_lightning.studies.study import run_study

    if not run_study(options.pop("study"), training_options, **options):
        sys.exit(1)


def main() -> None:
    """Entry point."""
    show_log(logging.WARNING)
    run_command("study", _work, resumes=True)


if __name__ == "__main__":
    main()
