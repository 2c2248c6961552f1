"""Cause faults in runs on purpose: does the same command then end with the results of an uninterrupted run?

`make check-faults`, or `python checks/faults.py [--out FILE] [--kills 20] [--only WORD]`. Linux; a full and a read-only
disk are small file systems in memory, which only root can create (otherwise these rows are marked as not tried).
Real handwritten digits with a synthetic target (the angle of their rotation), one or two processes on the CPU.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from data_faults import DATA_FAULTS
from disturbed import (
    EPOCHS,
    ONE,
    TWO,
    NotTriedError,
    Runs,
    children,
    fill,
    in_memory,
    mount,
    ranks,
    until,
    wait_for,
    wait_for_epoch,
    wait_until_gone,
)
from file_faults import FILE_FAULTS
from rich.console import Console
from rich.progress import track
from strangers import FAULTS as STRANGERS

from rnc_lightning.runs.fitting.checkpoints import BEFORE, LAST
from rnc_lightning.system.environment import machine, versions

Fault = Callable[[Runs, Path, random.Random], tuple[bool, str]]


@dataclass
class Tried:
    """One fault, tried one or more times."""

    fault: str
    times: int
    recovered: int
    seen: str  # the message of the last time

    def row(self) -> str:
        """A row of the table."""
        seen = self.seen.replace("|", "\\|")
        return f"| {self.fault} | {self.times} | {self.recovered} | {seen} |"


def kill(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """SIGKILL to one process, or to the one that started them, at a random moment of either stage."""
    seconds = runs.undisturbed(TWO)[1]
    who = draw.choice(["rank 0", "rank 1", "parent"])
    running = runs.start(place, *TWO)
    wait_for(place / "config.yaml", running)
    time.sleep(draw.uniform(0.0, seconds))
    pids = {"parent": running.pid} if who == "parent" else ranks(running.pid)
    stage = "regress" if (place / "stages/pretrain/stage.json").is_file() else "pretrain"
    if who in pids:
        os.kill(pids[who], signal.SIGKILL)
    said = runs.end(running)
    wait_until_gone(place)
    return runs.again(place, TWO), f"{said or f'nothing (killed: {who}, in {stage})'}"


def terminate(words: list[str]) -> Fault:
    """SIGTERM in the middle of a stage: the run ends within 10 seconds, with exit code 143."""

    def fault(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
        running = runs.start(place, *words)
        wait_for_epoch(place, draw.choice(["pretrain", "regress"]), draw.randint(1, EPOCHS - 5), running)
        began = time.monotonic()
        running.terminate()
        said = runs.end(running, 143)
        seconds = time.monotonic() - began
        wait_until_gone(place)
        return seconds < 10 and runs.again(place, words), f"{said} (after {seconds:.1f} s)"

    return fault


def full_disk(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """The disk becomes full while a stage is trained; afterwards space is freed."""
    with in_memory(place, "8m"):
        running = runs.start(place, *ONE)
        wait_for_epoch(place, "pretrain", 3, running)
        with (place / "filler").open("wb", buffering=0) as filler:
            fill(filler)
        said = runs.end(running, 1)
        if not torch.load(place / "stages/pretrain" / LAST, weights_only=True):
            raise AssertionError("no checkpoint is left")
        (place / "filler").unlink()
        return runs.again(place, ONE), said


def read_only(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """The run directory's file system is read-only."""
    with in_memory(place, "8m", "ro"):
        said = runs.end(runs.start(place, *ONE), 1)
        mount("-o", "remount,rw", str(place))
        return runs.again(place, ONE), said


def truncated(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """The last checkpoint is truncated while the run is stopped."""
    stage = draw.choice(["pretrain", "regress"])
    _stop_at(runs, place, stage, 5)
    last = place / "stages" / stage / LAST
    os.truncate(last, draw.randrange(last.stat().st_size))
    said = _warning(runs, place)
    return runs.outcome(place) == runs.undisturbed(ONE)[0] and "damaged" in said, said


def flipped(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """One byte of the last checkpoint's tensors is changed."""
    _stop_at(runs, place, "pretrain", 5)
    last = place / "stages/pretrain" / LAST
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 0xFF
    last.write_bytes(content)
    said = _warning(runs, place)
    return runs.outcome(place) == runs.undisturbed(ONE)[0] and "damaged" in said, said


def both_damaged(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """The last checkpoint and the previous one are empty files."""
    _stop_at(runs, place, "pretrain", 5)
    for name in (LAST, BEFORE):
        (place / "stages/pretrain" / name).write_bytes(b"")
    said = _warning(runs, place)
    return runs.outcome(place) == runs.undisturbed(ONE)[0] and "from the beginning" in said, said


def malicious(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A pickle that would create a file replaces the checkpoint: refused, then deleted by hand."""
    _stop_at(runs, place, "pretrain", 5)
    mark = runs.folder / "executed"
    last = place / "stages/pretrain" / LAST
    torch.save({"state_dict": _Program(str(mark))}, last)
    said = runs.end(runs.start(place, *ONE), 1)
    if mark.exists():
        raise AssertionError("the pickle was executed")
    last.unlink()
    return runs.again(place, ONE), said


def two_at_once(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """The same command is given while the run is being trained: the second is refused, the first is not affected."""
    running = runs.start(place, *ONE)
    wait_for_epoch(place, "pretrain", 1, running)
    said = runs.end(runs.start(place, *ONE), 1)
    runs.end(running, 0)
    return runs.outcome(place) == runs.undisturbed(ONE)[0] and "another process" in said, said


def dead_worker(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A data worker is killed, as happens when memory runs out."""
    words = [*ONE, "data.num_workers=1"]
    running = runs.start(place, *words)
    wait_for_epoch(place, draw.choice(["pretrain", "regress"]), 2, running)
    until(lambda: bool(children(running.pid)), "no worker")
    os.kill(children(running.pid)[-1], signal.SIGKILL)
    said = runs.end(running, 1)
    return runs.again(place, words), said


def not_finite(runs: Runs, place: Path, draw: random.Random) -> tuple[bool, str]:
    """A learning rate at which the loss becomes infinite or NaN: both starts stop at once; nothing is resumed."""
    words = [*ONE, "scheme=end_to_end", "recipe.end_to_end.lr=1e18", "head=mse"]
    messages = [runs.end(runs.start(place, *words), 1) for _ in range(2)]
    return all("loss became" in message for message in messages), messages[-1]


def _stop_at(runs: Runs, place: Path, stage: str, epoch: int) -> None:
    running = runs.start(place, *ONE)
    wait_for_epoch(place, stage, epoch, running)
    running.kill()
    running.wait()


def _warning(runs: Runs, place: Path) -> str:
    """Continue a run and return the line that reports a damaged file."""
    printed = subprocess.run(
        runs.command(place, *ONE), capture_output=True, text=True, check=True, cwd=runs.folder,
        env={"OMP_NUM_THREADS": "1", **os.environ},
    )  # fmt: skip
    lines = (printed.stdout + printed.stderr).splitlines()
    return next((line.strip() for line in lines if "damaged" in line), "nothing")


class _Program:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.mark}",)


FAULTS: dict[str, tuple[Fault, int | None]] = {
    "SIGKILL of a random process (either rank, or their parent) at a random moment, 2 processes": (kill, None),
    "SIGTERM in either stage, 1 process": (terminate(ONE), 3),
    "SIGTERM in either stage, 2 processes": (terminate(TWO), 3),
    "the disk is full while a checkpoint is written; then space is freed": (full_disk, 1),
    "a read-only run directory; then it becomes writable": (read_only, 1),
    "the last checkpoint is truncated at a random position": (truncated, 3),
    "one byte of the last checkpoint is flipped": (flipped, 1),
    "the last checkpoint and the previous one are empty": (both_damaged, 1),
    "a malicious pickle instead of a checkpoint; then it is deleted": (malicious, 1),
    "the same command while the run is being trained": (two_at_once, 1),
    "a data worker is killed": (dead_worker, 2),
    "a loss that is not finite (refused twice, nothing to recover)": (not_finite, 1),
    **DATA_FAULTS,
    **FILE_FAULTS,
    **STRANGERS,
}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file for the table, as Markdown")
    parser.add_argument("--kills", type=int, default=20, help="random moments for SIGKILL")
    parser.add_argument("--only", default="", help="faults with this word in their name")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder))
        found = [
            _tried(runs, name, fault, times or arguments.kills, arguments.seed)
            for name, (fault, times) in FAULTS.items()
            if arguments.only in name
        ]
    text = _table(found, arguments)
    Console().print(text, soft_wrap=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text, encoding="utf-8")
    sys.exit(any(tried.recovered < tried.times for tried in found))


def _tried(runs: Runs, name: str, fault: Fault, times: int, seed: int) -> Tried:
    recovered, seen = 0, ""
    for number in track(range(times), description=name):
        draw = random.Random(f"{seed}/{name}/{number}")
        place = runs.folder / hashlib.sha256(f"{name}{number}".encode()).hexdigest()[:12]
        try:
            equal, seen = fault(runs, place, draw)
            recovered += equal
        except NotTriedError as reason:
            return Tried(name, 0, 0, f"not tried: {reason}")
        except AssertionError as failed:
            seen = f"FAILED: {failed}"
        seen = seen.replace(str(place), "<run>").replace(str(runs.folder), "<folder>")
        shutil.rmtree(place, ignore_errors=True)
    return Tried(name, times, recovered, seen)


def _table(found: list[Tried], arguments: argparse.Namespace) -> str:
    installed, computer = versions(), machine()
    names = ("python", "torch", "lightning", "hydra-core")
    packages = ", ".join(f"{name} {installed[name]}" for name in names if name in installed)
    return "\n".join([
        "# Faults",
        "",
        f"`make check-faults` (seed {arguments.seed}), {date.today()}, {computer['processor']}, {computer['cores']} "
        f"cores, no GPU; {packages}. Rotated digits at tiny size: real handwritten digits, a synthetic target.",
        "",
        "Recovered: the same command, given again, ended with the test metrics, the metrics of both stages and the "
        "predictions of an uninterrupted run, to the last digit. For data that changed: the old result, encoder and "
        "pixels were refused, and another directory gave the numbers of a run without any of them. For what comes from "
        "a stranger: the command ended in one line that names the file, within a minute, and nothing was executed.",
        "",
        "| fault | tried | recovered | message of the last time |",
        "|---|---|---|---|",
        *(tried.row() for tried in found),
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
