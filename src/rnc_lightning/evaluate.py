"""Test a finished run again: `python -m rnc_lightning.evaluate RUN [key=value ...]`; `--help` lists the options.

In a program, `rnc_lightning.finished_runs.evaluate.evaluate_run` does the same and returns a table.
"""

import logging
from typing import Any

from rnc_lightning.command_line.messages import show_log
from rnc_lightning.command_line.options import run_command


def _work(options: dict[str, Any], data_options: list[str]) -> None:
    from rich.console import Console

    from rnc_lightning.command_line.tables import print_evaluation
    from rnc_lightning.finished_runs.evaluate import Request, evaluate_request
    from rnc_lightning.finished_runs.evaluation_conditions import CLEAN

    request = Request(
        options["run"],
        options["corruption"] or (),
        options["severity"],
        options["corruption_side"],
        options["part"],
        options["targets"],
        tuple(data_options),
        options["ordinality"],
        options["features"],
        tuple(options["trust"] or ()),
    )
    table, store = evaluate_request(request, progress=True)
    clean = store.read(CLEAN)
    assert clean is not None
    print_evaluation(table, clean, Console())
    print(f"evaluation: {store.path}")


def main() -> None:
    """Entry point."""
    show_log(logging.INFO)
    run_command("evaluate", _work)


if __name__ == "__main__":
    main()
