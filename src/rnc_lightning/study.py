"""A study of the paper: `python -m rnc_lightning.study robustness data=agedb`; `--help` lists the studies.

Trains what is missing, reuses what is there, measures, and writes table and figure beside the published numbers.
"""

import logging
import sys
from typing import Any

from rnc_lightning.command_line.messages import show_log
from rnc_lightning.command_line.options import run_command


def _work(options: dict[str, Any], of_training: list[str]) -> None:
    from rnc_lightning.studies.study import study

    if not study(options.pop("study"), of_training, **options):
        sys.exit(1)


def main() -> None:
    """Entry point."""
    show_log(logging.WARNING)
    run_command("study", _work, resumes=True)


if __name__ == "__main__":
    main()
