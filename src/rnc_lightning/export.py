"""Export what a finished run has learnt: `python -m rnc_lightning.export run=PATH [out=DIR] [onnx=true]`.

In a program, `export_run` does the same.
"""

import logging
import sys
from functools import partial
from typing import Any

from rich.console import Console

from rnc_lightning.command_line.messages import run_plain
from rnc_lightning.command_line.options import command_line
from rnc_lightning.finished_runs.export import export_run
from rnc_lightning.system.errors import UserError, machine_failures_explained
from rnc_lightning.system.signals import sigterm_raises


def _work(settings: dict[str, Any], data_words: list[str]) -> None:
    if data_words:
        raise UserError(f"{data_words[0]}: an export takes no words about data")
    with sigterm_raises(), machine_failures_explained():
        place = export_run(
            str(settings["run"]),
            None if settings["out"] is None else str(settings["out"]),
            onnx=settings["onnx"],
            tolerance=settings["tolerance"],
            overwrite=settings["overwrite"],
        )
    console = Console()
    for path in sorted(place.iterdir()):
        console.print(f"{path.stat().st_size:12,} bytes  {path.name}", highlight=False)
    console.print(f"export: {place}", soft_wrap=True)


def main() -> None:
    """Entry point."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    run_plain(partial(command_line, "export", sys.argv[1:], _work), resumes=False)


if __name__ == "__main__":
    main()
