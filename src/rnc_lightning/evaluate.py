"""Test a finished run again: `python -m rnc_lightning.evaluate run=PATH [words]`; `--help` tells the words.

In a program, `evaluate_run` does the same and returns a table.
"""

import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from rnc_lightning.command_line.messages import run_plain
from rnc_lightning.command_line.options import command_line
from rnc_lightning.finished_runs.evaluate import Request, _evaluated
from rnc_lightning.system.errors import machine_failures_explained
from rnc_lightning.system.signals import sigterm_raises


def _work(settings: dict[str, Any], data_words: list[str]) -> None:
    from rnc_lightning.command_line.tables import print_evaluation
    from rnc_lightning.finished_runs.evaluation_conditions import CLEAN

    request = Request(
        Path(str(settings["run"])),
        settings["corruption"] or (),
        settings["severity"],
        settings["corruption_side"],
        settings["part"],
        settings["targets"],
        tuple(data_words),
        settings["ordinality"],
        settings["features"],
    )
    with sigterm_raises(), machine_failures_explained():
        table, store = _evaluated(request, progress=True)
    clean = store.read(CLEAN)
    assert clean is not None
    console = Console()
    print_evaluation(table, clean, console)
    console.print(f"evaluation: {store.path}", soft_wrap=True)


def main() -> None:
    """Entry point."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    run_plain(partial(command_line, "evaluate", sys.argv[1:], _work), resumes=False)


if __name__ == "__main__":
    main()
