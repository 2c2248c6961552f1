"""Finished runs at tiny size, for the tests of what comes after training."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import synthetic_agedb

from rnc_lightning.command_line.compose import compose_config
from rnc_lightning.runs.run import run

SHORT = ("recipe.end_to_end.epochs=1", "paths.encoder_dir=null")


def digits_run(folder: Path, tiny_digits: Sequence[str], *words: str) -> Path:
    """A run of L1 on digits."""
    return _trained(folder, "+experiment=digits_l1", *tiny_digits, *words)


SMALL = ("encoder=small_resnet", "encoder.width=4", "encoder.stages=2")


def faces_run(folder: Path, *words: str, encoder: Sequence[str] = SMALL) -> Path:
    """A run of L1 on a synthetic AgeDB of a few pictures, whose folder is `agedb` beside it."""
    synthetic_agedb.write(folder.parent / "agedb")
    return _trained(
        folder, "data=agedb", "method=l1", "recipe=small", f"data.root={folder.parent / 'agedb'}", "input.size=32",
        "data.num_workers=0", "data.cache_dir=null", *encoder, "recipe.end_to_end.batch_size=8", *words,
    )  # fmt: skip


def array_run(folder: Path, *words: str) -> Path:
    """A run of L1 on a table of numbers, `my.csv` beside it."""
    rows = [f"{i},{i % 7},{(i * 13) % 11},{2 * (i % 7) - (i * 13) % 11}" for i in range(60)]
    table = folder.parent / "my.csv"
    table.write_text("\n".join(["name,a,b,level", *rows]) + "\n", encoding="utf-8")
    return _trained(
        folder, "data=array", "method=l1", f"data.csv={table}", "data.target=[level]", "data.id=name",
        "input.channels=2", "encoder.width=8", "encoder.depth=1", "recipe.end_to_end.batch_size=8", *words,
    )  # fmt: skip


def signals_run(folder: Path, *words: str) -> Path:
    """A run of L1 on 20 signals of two channels, in `signals` beside it."""
    place = folder.parent / "signals"
    place.mkdir()
    generator = np.random.default_rng(0)
    rows = ["path,speed"]
    for i in range(20):
        time = np.arange(300 + 10 * i) / 50
        np.save(
            place / f"{i:02}.npy", np.stack([np.sin(2 * np.pi * (1 + i / 5) * time), generator.normal(size=len(time))])
        )
        rows.append(f"signals/{i:02}.npy,{1 + i / 5}")
    table = folder.parent / "signals.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return _trained(
        folder, "data=signals", "method=l1", f"data.csv={table}", "data.target=[speed]", "input.channels=2",
        "+target.dimensions.speed.unit=Hz", "data.sampling_rate=50", "data.window=1", "data.num_workers=0",
        "data.cache_dir=null", "encoder.width=4", "encoder.blocks=[1]", "recipe=small",
        "recipe.end_to_end.batch_size=8", *words,
    )  # fmt: skip


def result_of(path: Path) -> dict[str, Any]:
    """A `result.json`."""
    found: dict[str, Any] = json.loads((path / "result.json").read_text(encoding="utf-8"))
    return found


def _trained(folder: Path, *words: str) -> Path:
    quiet = ["trainer=cpu", "plots=false", "print_config=false", "trainer.enable_progress_bar=false"]
    quiet += ["callbacks.model_summary=null", "callbacks.diagnostics=null"]
    words = tuple(dict.fromkeys([*words, *quiet, *SHORT]))
    run(compose_config([*words, f"paths.run_dir={folder}"]), words)
    return folder
