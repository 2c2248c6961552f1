"""Predict from files of your own: `python -m rnc_lightning.predict run=PATH inputs=DIR_OR_TABLE out=predictions.csv`.

In a program, `predict_run` does the same and returns the table.
"""

import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from rnc_lightning.command_line.messages import run_plain
from rnc_lightning.command_line.options import command_line
from rnc_lightning.finished_runs.predict import predict_run
from rnc_lightning.system.errors import UserError, machine_failures_explained
from rnc_lightning.system.signals import sigterm_raises


def _work(settings: dict[str, Any], data_words: list[str]) -> None:
    if data_words:
        raise UserError(f"{data_words[0]}: predictions take no words about data sets; inputs=... says from what")
    out = Path(str(settings["out"]))
    with sigterm_raises(), machine_failures_explained():
        table = predict_run(
            str(settings["run"]),
            str(settings["inputs"]),
            out,
            column=None if settings["input"] is None else str(settings["input"]),
            root=settings["root"],
            on_bad=settings["on_bad"],
            batch_size=settings["batch_size"],
            num_workers=settings["num_workers"],
            overwrite=settings["overwrite"],
            progress=True,
        )
    console = Console()
    console.print(f"{len(table)} predictions: {out}", soft_wrap=True)


def main() -> None:
    """Entry point."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    run_plain(partial(command_line, "predict", sys.argv[1:], _work), resumes=False)


if __name__ == "__main__":
    main()
