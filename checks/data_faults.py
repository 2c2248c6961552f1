"""Data that change after a run was started or finished: an old result must never pass for one of the new data."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from disturbed import Runs
from PIL import Image

PICTURES = 40
WORDS = [
    "data=table", "method=rnc", "recipe=small", "data.csv=pictures.csv", "data.input=file", "data.target=[grey]",
    "data.num_workers=0", "input.size=16", "encoder=small_resnet", "encoder.width=4", "encoder.stages=2",
    "recipe.pretrain.epochs=2", "recipe.pretrain.batch_size=8", "recipe.linear_probe.epochs=2",
    "recipe.linear_probe.batch_size=8", "trainer=cpu", "trainer.enable_progress_bar=false", "print_config=false",
    "plots=false", "callbacks.model_summary=null",
]  # fmt: skip

Fault = Callable[[Runs, Path, random.Random], tuple[bool, str]]


def write_pictures(folder: Path) -> None:
    """Grey pictures with noise, a table of their levels, and every fifth picture black by mistake."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for i in range(PICTURES):
        level = 0 if i % 5 == 0 else 6 * i
        pixels = draw.normal(level, 3, (16, 16, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=2)
        Image.fromarray(pixels).save(folder / f"{i:02}.bmp")
    rows = "".join(f"{i:02}.bmp,{6 * i}\n" for i in range(PICTURES))
    (folder / "pictures.csv").write_text(f"file,grey\n{rows}", encoding="utf-8")


def repair(folder: Path) -> None:
    """Replace the black pictures by the right ones: the same sizes, and the old times."""
    for i in range(0, PICTURES, 5):
        path = folder / f"{i:02}.bmp"
        before = path.stat()
        Image.new("RGB", (16, 16), (6 * i,) * 3).save(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def relabel(folder: Path) -> None:
    """Correct three labels."""
    table = folder / "pictures.csv"
    text = table.read_text(encoding="utf-8")
    for i in (7, 8, 9):
        text = text.replace(f"{i:02}.bmp,{6 * i}\n", f"{i:02}.bmp,{6 * i + 3}\n")
    table.write_text(text, encoding="utf-8")


def command(folder: Path, door: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Give a command in a folder."""
    line = [sys.executable, "-m", f"rnc_lightning.{door}", *words]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, env=one_thread)


def train(folder: Path, place: str, *words: str) -> dict:
    """Train to the end; returns the result."""
    ended = command(folder, "train", *WORDS, f"paths.run_dir={place}", *words)
    if ended.returncode:
        raise AssertionError(ended.stderr)
    return json.loads((folder / place / "result.json").read_text(encoding="utf-8"))


def copy_trained(runs: Runs, place: Path) -> None:
    """Copy pictures and the run `run` on them, trained once for all faults."""
    trained = runs.folder / "pictures"
    if not trained.exists():
        write_pictures(trained)
        train(trained, "run")
    shutil.copytree(trained, place)


def refusal(ended: "subprocess.CompletedProcess[str]") -> str:
    """The one line with which a command refused; an error if it did anything else."""
    lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    if ended.returncode != 1 or "Traceback" in ended.stderr or not lines:
        raise AssertionError(f"exit code {ended.returncode}: {ended.stderr or ended.stdout[-500:]}")
    return lines[0]


def changed_after_the_end(change: Callable[[Path], None], words: str) -> Fault:
    """Change the data of a finished run: refused by name; another directory trains on the new ones."""

    def fault(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
        copy_trained(runs, place)
        before = json.loads((place / "run/result.json").read_text(encoding="utf-8"))
        change(place)
        said = refusal(command(place, "train", *WORDS, "paths.run_dir=run"))
        shown = train(place, "run", "compare_data=false")
        now = train(place, "new")
        fresh = train(place, "fresh", "paths.encoder_dir=null", "paths.cache_dir=null")
        right = now["test"] == fresh["test"] and not now["stages"]["pretrain"]["reused"]
        return right and words in said and shown == before, said

    return fault


def repaired_while_stopped(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """Repair pictures while a run is stopped between its stages: it is not continued with the old encoder."""
    copy_trained(runs, place)
    shutil.rmtree(place / "run/stages/regress")
    (place / "run/result.json").unlink()
    repair(place)
    said = refusal(command(place, "train", *WORDS, "paths.run_dir=run"))
    return "was started on other data" in said and "inputs of 8 samples" in said, said


def repaired_in_the_cache(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """Repair pictures that were decoded into the image cache: the new run sees the new pixels."""
    write_pictures(place)
    train(place, "run", "data.cache=true")
    repair(place)
    cached = train(place, "new", "data.cache=true")
    fresh = train(place, "fresh", "paths.encoder_dir=null", "paths.cache_dir=null")
    return cached["test"] == fresh["test"], f"MAE {cached['test']['mae']:.4g}, from files {fresh['test']['mae']:.4g}"


def repaired_after_evaluation(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """Repair pictures of a run that was evaluated: the old evaluation is not shown again."""
    copy_trained(runs, place)
    if command(place, "evaluate", "run=run").returncode:
        raise AssertionError("evaluate failed")
    repair(place)
    said = refusal(command(place, "evaluate", "run=run"))
    return "was trained on other data" in said, said


def other_encoder(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """The run whose encoder another run started from is trained again on repaired pictures."""
    copy_trained(runs, place)
    (place / "run").rename(place / "source")
    words = ["scheme=transfer_probe", "encoder_from=source"]
    train(place, "run", *words)
    repair(place)
    shutil.rmtree(place / "source")
    train(place, "source")
    said = refusal(command(place, "train", *WORDS, "paths.run_dir=run", *words))
    return "has changed since" in said, said


DATA_FAULTS: dict[str, tuple[Fault, int]] = {
    "data: pictures of a finished run repaired at the same size and with the old times": (
        changed_after_the_end(repair, "inputs of 8 samples"), 1,
    ),
    "data: three labels of a finished run corrected": (changed_after_the_end(relabel, "labels of 3 samples"), 1),
    "data: pictures repaired while a run is stopped after stage one": (repaired_while_stopped, 1),
    "data: pictures in the image cache repaired at the same size and with the old times": (repaired_in_the_cache, 1),
    "data: pictures repaired after an evaluation": (repaired_after_evaluation, 1),
    "data: the encoder that a finished run started from is trained again": (other_encoder, 1),
}  # fmt: skip
