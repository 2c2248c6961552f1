"""Runs side by side: each is trained once, fails alone, and none outlives the sweep."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sweep_runs import alive, command, mark, records, results, sweep

from rnc_lightning.system.errors import UserError
from rnc_lightning.system.scheduler import GpuPool, gpus_needed

SLOTS = ("hydra/launcher=per_gpu", "hydra.launcher.slots=2")


def _wait(done: Callable[[], Any], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _arguments(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")


def test_gpus_are_given_to_one_run_each_and_shared_by_more_slots_than_gpus() -> None:
    pool = GpuPool(["4", "5", "7"], None)
    assert [pool.take(1), pool.take(2), pool.take(1)] == [["4"], ["5", "7"], None]
    pool.release(["5", "7"])
    assert pool.take(1) == ["5"]
    shared = GpuPool(["0", "1"], 4)
    assert [shared.take(1) for _ in range(5)] == [["0"], ["1"], ["0"], ["1"], None]
    assert [GpuPool([], 2).take(0)] == [[]]


@pytest.mark.parametrize(
    ("trainer", "processes", "gpus", "slots", "expected"),
    [
        ({"accelerator": "gpu", "devices": 2}, 2, ["0", "1"], None, 2),
        ({"accelerator": "auto", "devices": 1}, 1, [], 2, 0),
        ({"accelerator": "cpu", "devices": 2}, 2, ["0"], 3, 0),
        ({"accelerator": "cpu", "devices": 2}, 2, ["0"], None, r"hydra\.launcher\.slots=2"),
        ({"accelerator": "gpu", "devices": 4}, 4, ["0", "1"], None, "needs 4 GPUs, .* 2 are visible"),
        ({"accelerator": "gpu", "devices": [1]}, 1, ["0", "1"], None, "how many, not which"),
    ],
)
def test_a_run_gets_the_gpus_that_it_asks_for_or_is_refused(
    trainer: dict[str, Any], processes: int, gpus: list[str], slots: int | None, expected: int | str
) -> None:
    if isinstance(expected, int):
        assert gpus_needed(trainer, processes, gpus, slots) == expected
    else:
        with pytest.raises(UserError, match=expected):
            gpus_needed(trainer, processes, gpus, slots)


def test_without_a_gpu_the_remedy_is_one_line(tiny_digits: list[str], tmp_path: Path) -> None:
    ended = sweep(
        tmp_path / "runs", "+experiment=digits_l1", *tiny_digits, SLOTS[0], "seed=0,1", CUDA_VISIBLE_DEVICES=""
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: hydra/launcher=per_gpu: no GPU is visible; hydra.launcher.slots=2")


@pytest.mark.slow
def test_a_killed_run_fails_alone_and_the_same_command_ends_with_the_numbers_of_one_after_the_other(
    tiny_digits: list[str], tmp_path: Path
) -> None:
    words = ["+experiment=digits_rnc", *tiny_digits, "head=l1,mse", "seed=0,1", "recipe.linear_probe.epochs=200"]
    assert sweep(tmp_path / "basic", *words).returncode == 0
    marked, place = mark(), tmp_path / "side_by_side"
    running = subprocess.Popen(
        command(place, *words, *SLOTS), env={**os.environ, **marked}, stdout=subprocess.PIPE, text=True
    )
    _wait(lambda: list(place.glob("sweeps/*/jobs/3.json")))
    third = Path(records(place)[3]["run"])
    _wait((third / "stages/regress/metrics.csv").exists)
    (job,) = [pid for pid in alive(marked) if _arguments(pid)[-2:-1] == ["rnc_lightning.sweeps.worker"]
              and _arguments(pid)[-1].endswith("/3")]  # fmt: skip
    os.kill(job, signal.SIGKILL)
    printed, _ = running.communicate(timeout=300)
    assert running.returncode == 1
    assert "signal SIGKILL" in printed
    assert [record["status"] for record in records(place)] == ["finished"] * 3 + ["failed"]
    assert not alive(marked)
    assert sweep(place, *words, *SLOTS).returncode == 0
    assert [record["status"] for record in records(place)] == ["finished before"] * 3 + ["finished"]
    one, other = results(tmp_path / "basic"), results(place)
    assert {name: result["test"] for name, result in one.items()} == {n: r["test"] for n, r in other.items()}
    trained = [result["stages"]["pretrain"]["reused"] for result in other.values()]
    assert trained.count(False) == 2  # an encoder for each seed: the other run waited for it


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "at_once", "words"),
    [
        (signal.SIGINT, 1, ()),
        (signal.SIGINT, 1, ("trainer=ddp_cpu",)),
        (signal.SIGINT, 2, SLOTS),
        (signal.SIGINT, 2, ("trainer=ddp_cpu", *SLOTS)),
        (signal.SIGTERM, 2, ("trainer=ddp_cpu", *SLOTS)),
        (signal.SIGKILL, 2, ("trainer=ddp_cpu", *SLOTS)),
    ],
)
def test_whatever_ends_the_sweep_leaves_no_process(
    number: signal.Signals, at_once: int, words: tuple[str, ...], tiny_digits: list[str], tmp_path: Path
) -> None:
    marked = mark()
    long = ["+experiment=digits_l1", *tiny_digits, "seed=0,1,2", "recipe.end_to_end.epochs=2000", *words]
    running = subprocess.Popen(
        command(tmp_path / "runs", *long),
        env={**os.environ, **marked},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait(lambda: len(list(tmp_path.glob("runs/digits_l1/*/stages/regress/metrics.csv"))) == at_once)
    ranks = 2 if "trainer=ddp_cpu" in words else 0
    assert len(alive(marked)) >= 1 + at_once * ranks + (at_once if words[-2:] == SLOTS else 0)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert said.splitlines()[-1].startswith("stopped; the same command goes on")
        assert "Traceback" not in said
    _wait(lambda: not alive(marked), seconds=20)
