"""Predict from files of your own: `python -m rnc_lightning.predict RUN inputs=DIR_OR_TABLE out=predictions.csv`.

In a program, `rnc_lightning.finished_runs.predict.predict_run` does the same and returns the table.
"""

import logging
from typing import Any

from rnc_lightning.command_line.messages import show_log
from rnc_lightning.command_line.options import run_command


def _work(options: dict[str, Any], _: list[str]) -> None:
    from rnc_lightning.finished_runs.predict import predict_run

    run, inputs, out, column, trust = (options.pop(key) for key in ("run", "inputs", "out", "input", "trust"))
    table = predict_run(run, inputs, out, column=column, trust=trust or (), progress=True, **options)
    print(f"{len(table)} predictions: {out}")


def main() -> None:
    """Entry point."""
    show_log(logging.INFO)
    run_command("predict", _work)


if __name__ == "__main__":
    main()
