"""A sweep over heads and seeds as a user gives it: one encoder a seed, and a kill that leaves no trace in the table."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

HEADS = ("l1", "or", "corn")
WORDS = ["recipe.pretrain.epochs=2", "recipe.linear_probe.epochs=2", "recipe.end_to_end.epochs=2"]


def _sweep(tiny_digits: list[str], place: Path) -> list[str]:
    words = ["+experiment=digits_rnc", f"head={','.join(HEADS)}", "scheme=linear_probe,end_to_end", "seed=0,1"]
    return [sys.executable, "-m", "rnc_lightning.train", "-m", *words, *tiny_digits, *WORDS,
            f"paths.output_dir={place}"]  # fmt: skip


def _results(place: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(place.glob("digits_rnc/*/result.json"))]


def _table(place: Path) -> pd.DataFrame:
    report = [sys.executable, "-m", "rnc_lightning.report", str(place), f"out={place / 'report'}"]
    subprocess.run(report, check=True, capture_output=True)
    return pd.read_csv(place / "report/report.csv")


@pytest.mark.slow
def test_a_killed_sweep_given_again_runs_what_is_missing_and_ends_with_the_same_table(
    tiny_digits: list[str], tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(_sweep(tiny_digits, whole), check=True, capture_output=True)
    process = subprocess.Popen(_sweep(tiny_digits, killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len([r for r in _results(killed) if r["status"] == "finished"]) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in killed.glob("digits_rnc/*/result.json")}
    finished = {p: t for p, t in done.items() if json.loads(p.read_text())["status"] == "finished"}
    assert 5 <= len(finished) < 12
    partial = _table(killed)
    assert (partial["status"] != "finished").any()  # what is missing is shown, not dropped

    subprocess.run(_sweep(tiny_digits, killed), check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished  # what was there is not run again

    results = _results(whole)
    assert len(results) == len(_results(killed)) == 12
    probes = [result for result in results if result["scheme"] == "linear_probe"]
    assert [result["stages"]["pretrain"]["reused"] for result in probes].count(False) == 2  # one for each seed
    assert len([path for path in (whole / "encoders").iterdir() if path.is_dir()]) == 2
    assert all("pretrain" not in result["stages"] for result in results if result["scheme"] == "end_to_end")
    pd.testing.assert_frame_equal(_table(killed), _table(whole), check_exact=True)
