"""Faults in what comes from others: a run's directory, its files, configurations, archives, tables.

Each is tried on a copy of a finished run. Recovered means: nothing in the files was executed, no time or memory was
spent on them, the command ended in one line that names the file, and the unchanged run predicts as before.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from disturbed import ONE, Runs
from PIL import Image

MOST_SECONDS, MOST_BYTES = 60, 8_000_000_000  # of a command that must refuse, on two busy cores
_PAIRS = zip("abcdefghi", "bcdefghij", strict=True)
ALIASES = "a: &a [x]\n" + "".join(f"{b}: &{b} [{', '.join(10 * [f'*{a}'])}]\n" for a, b in _PAIRS)  # 10^9 values
Fault = Callable[[Runs, Path, random.Random], tuple[bool, str]]


def _copied(runs: Runs, place: Path) -> Path:
    """A copy of the finished run, and a picture to predict from."""
    runs.undisturbed(ONE)
    shutil.copytree(runs.folder / "undisturbed0", place)
    picture = runs.folder / "picture.png"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(picture)
    return place


def _refused(runs: Runs, *words: object, door: str = "predict") -> tuple[bool, str]:
    """Whether a command ends in one line with exit code 1 or 2, soon and in little memory; and the line."""
    import resource

    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", f"rnc_lightning.{door}", *map(str, words)], capture_output=True, text=True, check=False,
        cwd=runs.folder, env={"OMP_NUM_THREADS": "1", **os.environ}, timeout=10 * MOST_SECONDS,
    )  # fmt: skip
    lines = ended.stderr.strip().splitlines()
    said = lines[0] if lines else "nothing"
    quick = time.monotonic() - began < MOST_SECONDS
    small = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < MOST_BYTES
    executed = (runs.folder / "executed").exists()
    one_line = ended.returncode in (1, 2) and said.startswith("error: ") and "Traceback" not in ended.stderr
    return one_line and quick and small and not executed, said


def _predict(runs: Runs, run: Path) -> tuple[bool, str]:
    return _refused(runs, run, f"inputs={runs.folder / 'picture.png'}", f"out={runs.folder / f'{run.name}.csv'}")


def _changed(file: Path, where: str, value: Any) -> None:
    """Change one value of a JSON or YAML file."""
    is_json = file.suffix == ".json"
    content = json.loads(file.read_text()) if is_json else yaml.safe_load(file.read_text())
    *parents, last = where.split(".")
    inside = content
    for parent in parents:
        inside = inside[parent]
    inside[last] = value
    file.write_text(json.dumps(content) if is_json else yaml.safe_dump(content))


def code(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A configuration that names a function which would create a file, in different places."""
    run, mark = _copied(runs, place), runs.folder / "executed"
    where = draw.choice(["callbacks.mine", "data.root", "encoder.width", "stages.regress.optimizer", "head"])
    names = ["pathlib.Path.touch", "rnc_lightning.runs.run.Path.touch", "torch.nn.modules.module.torch.load"]
    target = draw.choice(names)
    _changed(run / "config.yaml", where, {"deep": [{"_target_": target, "_args_": [str(mark)]}]})
    return _predict(runs, run)


def interpolation(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A configuration whose `_target_` is an interpolation."""
    run = _copied(runs, place)
    _changed(run / "config.yaml", "head._target_", "${oc.env:HOME}")
    return _predict(runs, run)


def no_file(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A file of the run is binary, a list, empty, too deep, full of aliases or tags, or a pipe."""
    run = _copied(runs, place)
    file = run / draw.choice(["config.yaml", "result.json", "stages/regress/stage.json"])
    content = draw.choice([b"\x00\xff", b"[1]", b"", b"[" * 100_000, ALIASES.encode(), b"!!python/x 1", None])
    file.unlink()
    if content is None:
        os.mkfifo(file)
    else:
        file.write_bytes(content)
    return _predict(runs, run)


def no_numbers(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """Weights of the regressor are NaN."""
    run = _copied(runs, place)
    file = run / "stages/regress/best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    next(iter(checkpoint["state_dict"].values())).fill_(float("nan"))
    torch.save(checkpoint, file)
    return _predict(runs, run)


def large_checkpoint(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A checkpoint of 2 MB whose parts unpack to 2 GB."""
    run = _copied(runs, place)
    with zipfile.ZipFile(run / "stages/regress/best.ckpt", "w", zipfile.ZIP_DEFLATED) as parts:
        for number in range(20):
            parts.writestr(f"archive/data/{number}", bytes(100_000_000))
    return _predict(runs, run)


def large_arrays(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A table of 5 MB (.npz) that unpacks to 1.2 GB."""
    place.mkdir()
    header = {"descr": "<f8", "fortran_order": False, "shape": (150_000, 1000)}
    with zipfile.ZipFile(place / "t.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as parts:
        with parts.open("x.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for _ in range(12):
                file.write(bytes(100_000_000))
        with parts.open("y.npy", "w") as file:
            np.save(file, np.zeros(150_000))
    return _train_on(runs, place / "t.npz")


def table(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A table that is a pipe, compressed, or one row of 200,000 characters."""
    place.mkdir()
    file, kind = place / "t.csv", draw.choice(["pipe", "gzip", "row"])
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.write_bytes(b"\x1f\x8b" + bytes(100) if kind == "gzip" else b"x" * 200_000)
    return _train_on(runs, file)


def configuration(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A file below --config-dir with a Python tag, or with aliases that would fill the memory."""
    (place / "experiment").mkdir(parents=True)
    tag = f"seed: !!python/object/apply:os.system ['touch {runs.folder / 'executed'}']"
    (place / "experiment/mine.yaml").write_text(draw.choice([ALIASES, tag]))
    return _refused(runs, f"--config-dir={place}", "+experiment=mine", door="train")


def _train_on(runs: Runs, file: Path) -> tuple[bool, str]:
    words = ["data=array", "method=l1", f"data.csv={file}", "data.target=[y]", f"paths.output_dir={file.parent}"]
    return _refused(runs, *words, door="train")


FAULTS: dict[str, tuple[Fault, int | None]] = {
    "a stranger's run: code in config.yaml": (code, 4),
    "a stranger's run: an interpolation as a target": (interpolation, 1),
    "a stranger's run: a file that is none (binary, list, empty, deep, aliases, tags, pipe)": (no_file, 6),
    "a stranger's run: weights that are NaN": (no_numbers, 1),
    "a stranger's run: a checkpoint of 2 MB that unpacks to 2 GB": (large_checkpoint, 1),
    "a stranger's table: 5 MB that unpack to 1.2 GB": (large_arrays, 1),
    "a stranger's table: a pipe, compressed, or one long row": (table, 3),
    "a stranger's configuration: tags or aliases below --config-dir": (configuration, 2),
}
