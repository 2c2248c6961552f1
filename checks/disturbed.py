"""Start runs, interrupt them, and compare them with an uninterrupted one."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

EPOCHS = 30
WORDS = [
    "+experiment=digits_rnc", "data.digits=[3]", "data.size=16", "data.eval_angles=1", "encoder.width=4",
    "encoder.stages=2", f"recipe.pretrain.epochs={EPOCHS}", f"recipe.linear_probe.epochs={EPOCHS}",
    "recipe.pretrain.batch_size=32", "recipe.linear_probe.batch_size=16", "paths.encoder_dir=null",
    "print_config=false", "trainer.enable_progress_bar=false", "callbacks.model_summary=null",
    "stages.regress.features_once=false",
]  # fmt: skip
ONE, TWO = ["trainer=cpu"], ["trainer=ddp_cpu"]
PATIENCE = 900.0


class NotTriedError(Exception):
    """This machine or this user cannot cause the fault."""


class Runs:
    """Starts runs in a folder and compares their results.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._undisturbed: dict[str, tuple[str, float]] = {}

    def command(self, place: Path, *words: str) -> list[str]:
        """The command line of a run."""
        return [sys.executable, "-m", "rnc_lightning.train", *WORDS, *words, f"paths.run_dir={place}"]

    def start(self, place: Path, *words: str, **environment: str) -> "subprocess.Popen[str]":
        """Start a run; its standard error can be read."""
        return subprocess.Popen(
            self.command(place, *words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            cwd=self.folder, env={"OMP_NUM_THREADS": "1", **os.environ, **environment},
        )  # fmt: skip

    def outcome(self, place: Path) -> str:
        """The results of a finished run, to the last digit."""
        result = json.loads((place / "result.json").read_text(encoding="utf-8"))
        if result["status"] != "finished":
            raise AssertionError(f"the run is {result['status']}: {result.get('reason')}")
        metrics = {name: stage["metrics"] for name, stage in result["stages"].items()}
        predictions = hashlib.sha256((place / "predictions.csv").read_bytes()).hexdigest()
        return json.dumps([result["test"], metrics, predictions], sort_keys=True)

    def undisturbed(self, words: list[str]) -> tuple[str, float]:
        """The results of an uninterrupted run with these options, and how long its stages take."""
        key = " ".join(words)
        if key not in self._undisturbed:
            place = self.folder / f"undisturbed{len(self._undisturbed)}"
            running = self.start(place, *words)
            wait_for(place / "config.yaml", running)
            began = time.monotonic()
            self.end(running, 0)
            self._undisturbed[key] = (self.outcome(place), time.monotonic() - began)
        return self._undisturbed[key]

    def end(self, running: "subprocess.Popen[str]", code: int | None = None) -> str:
        """Wait for a run and return its last line on standard error."""
        _, said = running.communicate(timeout=PATIENCE)
        if code is not None and running.returncode != code:
            raise AssertionError(f"exit code {running.returncode} instead of {code}: {said}")
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def again(self, place: Path, words: list[str]) -> bool:
        """Repeat the same command; return whether it ends with the results of the uninterrupted run."""
        self.end(self.start(place, *words), 0)
        return self.outcome(place) == self.undisturbed(words)[0]


def ranks(parent: int) -> dict[str, int]:
    """The processes of a run that has several, by rank."""
    found = {}
    for pid in children(parent):
        try:
            pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
        except OSError:  # it has ended since
            continue
        place = dict(pair.partition("=")[::2] for pair in pairs)
        if "RANK" in place:
            found[f"rank {place['RANK']}"] = pid
    return found


def children(parent: int) -> list[int]:
    """Process ids of a process' children."""
    listed = subprocess.run(["ps", "--ppid", str(parent), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(pid) for pid in listed.stdout.split()]


def wait_until_gone(place: Path) -> None:
    """Wait until all processes of a run have ended."""
    until(lambda: not working_on(place), "processes are left")


def working_on(place: Path) -> list[str]:
    """Processes whose command line contains the run's directory."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if f"paths.run_dir={place}" in line]


def wait_for(path: Path, running: "subprocess.Popen[str]") -> None:
    """Wait until a file exists."""
    until(path.is_file, f"no {path}", running)


def wait_for_epoch(place: Path, stage: str, epoch: int, running: "subprocess.Popen[str]") -> None:
    """Wait until a stage has finished `epoch` epochs."""
    history = place / "stages" / stage / "metrics.csv"
    until(lambda: history.is_file() and history.read_text().count("\n") > epoch, f"no epoch {epoch}", running)


def until(happened: Callable[[], bool], what: str, running: "subprocess.Popen[str] | None" = None) -> None:
    """Wait until something has happened; an error if the run ends first, or after a quarter of an hour."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if running is not None and running.poll() is not None:
            raise AssertionError(f"the run ended too early: {running.communicate()[1]}")
        if time.monotonic() > deadline:
            raise AssertionError(what)
        time.sleep(0.01)


@contextmanager
def in_memory(place: Path, size: str, mode: str = "rw") -> Iterator[None]:
    """Mount a small file system in memory at the path."""
    place.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", f"size={size},{mode}", "tmpfs", str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def mount(*arguments: str) -> None:
    """Call `mount`.

    Raises:
        NotTriedError: If this user may not mount.
    """
    if os.geteuid() != 0 or subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode:
        raise NotTriedError("needs root and mount")


def fill(file: BinaryIO) -> None:
    """Write until the file system is full, for two seconds, including space that is freed meanwhile."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            file.write(b"\0" * 4096)
        except OSError:
            time.sleep(0.01)
