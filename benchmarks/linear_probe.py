"""Measure how much time a linear probe saves if the features of unaugmented inputs are computed only once.

    python benchmarks/linear_probe.py [options of training]

Trains one encoder for one epoch, then fits the same linear probe four times in this process: training images
augmented or not, features computed once or in every epoch. Prints the seconds of the fit, their ratio, and the
difference of the best validation MAE. A last pair compares a frozen encoder in float32 and in bfloat16.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from rnc_lightning.command_line.compose import config_directory, resolve_config
from rnc_lightning.encoders.handoff import load_encoder
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.fitting.fit import fit_stage
from rnc_lightning.runs.parts import Parts
from rnc_lightning.runs.run import run

QUIET = ("print_config=false", "trainer.enable_progress_bar=false", "callbacks.model_summary=null")


def probe(words: list[str], encoder: Path, folder: Path) -> tuple[float, float]:
    """Seconds of one fit of the regressor on a trained encoder, and its best validation MAE."""
    cfg = compose("train", words)
    parts = Parts(resolve_config(cfg))
    data = parts.data()
    module = parts.stage("regress", parts.target(data.splits["train"].targets))
    load_encoder(module.encoder, encoder)
    settings: dict[str, Any] = {"seed": 0, "origin": {"run": "benchmark"}, "make_trainer": parts.trainer()}
    began = time.perf_counter()
    summary = fit_stage(module, data, parts.plan("regress"), folder, **settings)
    return time.perf_counter() - began, summary.metrics["val/mae"]


def main() -> None:
    """Measure and print."""
    words = ["+experiment=digits_rnc", "recipe.pretrain.epochs=1", *QUIET, *sys.argv[1:]]
    with tempfile.TemporaryDirectory() as place, initialize_config_dir(str(config_directory()), version_base="1.3"):
        start = [*words, f"paths.run_dir={place}/run", f"paths.encoder_dir={place}/encoders"]
        cfg = compose("train", [*start, "recipe.linear_probe.epochs=1"])
        run(cfg, start)
        encoder = RunDirectory(Path(place) / "run").stage("pretrain") / "encoder.safetensors"
        epochs = resolve_config(compose("train", words))["stages"]["regress"]["epochs"]
        table = Table(title=f"linear probe, {epochs} epochs")
        for column in ("training images", "every epoch", "once", "ratio", "difference in validation MAE"):
            table.add_column(column, justify="left" if column == "training images" else "right")
        pairs = {
            "not augmented": [[f"stages.regress.features_once={once}", "recipe.linear_probe.augment=false"]
                              for once in ("false", "true")],
            "augmented": [[f"stages.regress.features_once={once}", "recipe.linear_probe.augment=true"]
                          for once in ("false", "true")],
            "augmented, float32 against bfloat16": [
                [f"stages.regress.module.frozen_autocast={dtype}", "recipe.linear_probe.augment=true"]
                for dtype in ("null", "bfloat16")],
        }  # fmt: skip
        probe([*words, "recipe.linear_probe.epochs=1"], encoder, Path(place) / "warm up")
        for title, (before, after) in pairs.items():
            slow, slow_mae = probe([*words, *before], encoder, Path(place) / title / "before")
            fast, fast_mae = probe([*words, *after], encoder, Path(place) / title / "after")
            row = (f"{slow:.1f} s", f"{fast:.1f} s", f"{slow / fast:.1f}", f"{abs(slow_mae - fast_mae):.1e}")
            table.add_row(title, *row)
        Console().print(table)


if __name__ == "__main__":
    main()
