"""Measure the cost of the diagnostics of stage one.

    python benchmarks/diagnostics.py [options of training]

Fits stage one of an experiment once, with a row of diagnostics every second epoch. The seconds of each epoch and of
each row give the share of the epochs' time that the diagnostics take at other intervals. Epochs and rows alternate in
one process, so a busy machine slows both.
"""

import sys
import tempfile
from pathlib import Path

import pandas as pd
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from rnc_lightning.command_line.compose import config_directory, resolve_config
from rnc_lightning.runs.fitting.fit import fit_stage
from rnc_lightning.runs.parts import Parts

QUIET = ("print_config=false", "trainer.enable_progress_bar=false", "callbacks.model_summary=null")
MEASURED, INTERVALS = 2, (1, 2, 5, 10, 20, 50)


def measure(options: list[str], folder: Path) -> tuple[pd.Series, pd.Series]:
    """Seconds of each epoch except the first, and of each row of diagnostics, the first of which reads the inputs."""
    parts = Parts(resolve_config(compose("train", options)))
    data = parts.data()
    module = parts.stage("pretrain", parts.target(data.splits["train"].targets, data.target_names))
    settings = {"seed": 0, "origin": {"run": "benchmark"}, "make_trainer": parts.trainer()}
    fit_stage(module, data, parts.plan("pretrain"), folder, callbacks=parts.callbacks(), **settings)
    epochs, rows = (pd.read_csv(folder / name)["seconds"] for name in ("metrics.csv", "diagnostics.csv"))
    return epochs[1:], rows


def main() -> None:
    """Measure and print."""
    options = ["+experiment=digits_rnc", *QUIET, *sys.argv[1:], f"callbacks.diagnostics.every_n_epochs={MEASURED}"]
    with tempfile.TemporaryDirectory() as place, initialize_config_dir(str(config_directory()), version_base="1.3"):
        epochs, rows = measure(options, Path(place))
    first, later, epoch = rows.iloc[0], rows.iloc[1:].median(), epochs.median()
    length = len(epochs) + 1
    console = Console()
    console.print(f"{length} epochs, {len(rows)} rows. Medians: an epoch {epoch:.3f} s, a row {later:.3f} s")
    console.print(f"The first row, which reads the inputs: {first:.3f} s")
    table = Table(title=f"share of the epochs' time over {length} epochs")
    for column in ("every n epochs", "rows", "share"):
        table.add_column(column, justify="right")
    for interval in (n for n in INTERVALS if n <= length):
        count = length // interval + (length % interval > 0)  # the last epoch has one in any case
        table.add_row(str(interval), str(count), f"{(first + (count - 1) * later) / (length * epoch):.1%}")
    console.print(table)


if __name__ == "__main__":
    main()
