"""A job that fails is told at once and at the end, with its log, and stops no other."""

import json
from pathlib import Path

import pytest
from sweep_runs import records, results, sweep

from rnc_lightning.sweeps.record import JobRecord, close_records, read_records


@pytest.mark.slow
def test_one_failing_job_stops_no_other_and_is_listed_with_its_log(tiny_digits: list[str], tmp_path: Path) -> None:
    words = ["+experiment=digits_l1", *tiny_digits, "head=huber", "seed=0,1", "head.delta=1,0"]
    ended = sweep(tmp_path / "runs", *words)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout + ended.stderr
    assert [line for line in ended.stderr.splitlines() if line.startswith("error: run 1 (seed=0 head.delta=0): head")]
    assert {result["status"] for result in results(tmp_path / "runs").values()} == {"finished"}
    assert len(results(tmp_path / "runs")) == 2
    statuses = [record["status"] for record in records(tmp_path / "runs")]
    assert statuses == ["finished", "failed", "finished", "failed"]
    assert "2 of 4 failed" in ended.stdout
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("  3 (seed=1 head.delta=0): head: delta")]
    assert "delta must be a positive number" in Path(line.rpartition("see ")[2]).read_text()


@pytest.mark.slow
def test_a_bug_goes_to_the_runs_error_log_until_the_run_ends_well(tiny_digits: list[str], tmp_path: Path) -> None:
    place = tmp_path / "runs"
    (place / "broken").mkdir(parents=True)
    (place / "broken/predictions.csv").mkdir()  # nothing can be written there
    words = ["+experiment=digits_l1", *tiny_digits, "seed=0,1", f"paths.run_dir={place}/broken,{place}/other"]
    ended = sweep(place, *words[:-2], "seed=0", words[-1])
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "Traceback" in (place / "broken/error.log").read_text()
    assert str(place / "broken/error.log") in ended.stdout
    assert json.loads((place / "broken/result.json").read_text())["status"] == "failed"
    assert json.loads((place / "other/result.json").read_text())["status"] == "finished"
    (place / "broken/predictions.csv").rmdir()
    assert sweep(place, *words[:-2], "seed=0", words[-1]).returncode == 0
    assert not (place / "broken/error.log").exists()
    assert [record["status"] for record in records(place)] == ["finished", "finished before"]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b"{}", b'{"number": 0, "overrides": 3}'])
def test_a_record_that_cannot_be_read_is_that_of_a_failed_job(content: bytes, tmp_path: Path) -> None:
    JobRecord(1, ("seed=1",), status="finished", value=1.5).write(tmp_path)
    (tmp_path / "jobs/0.json").write_bytes(content)
    damaged, good = read_records(tmp_path)
    assert (damaged.number, damaged.status, damaged.log) == (0, "failed", str(tmp_path / "jobs/0.json"))
    assert damaged.reason.startswith("its record cannot be read: ")
    assert good.value == 1.5


def test_a_job_that_was_killed_is_missed(tmp_path: Path) -> None:
    JobRecord(1, ("seed=1",), run="runs/seed=1").write(tmp_path)
    JobRecord(0, ("seed=0",), status="finished", value=1.5).write(tmp_path)
    done, killed = close_records(read_records(tmp_path))
    assert (done.status, done.value) == ("finished", 1.5)
    assert (killed.status, killed.log) == ("failed", "runs/seed=1")
    assert "killed" in killed.reason
    assert close_records(read_records(tmp_path), stopped=True)[1].status == "stopped"
