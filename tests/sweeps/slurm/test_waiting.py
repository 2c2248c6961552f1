"""A sweep's parent gets every job's result, and a lost job takes no other's with it."""

from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus

from rnc_lightning.sweeps.slurm import waiting
from rnc_lightning.system.errors import UserError

submitit = pytest.importorskip("submitit")


def _job(folder: Path, name: str, outcome: Any = None, nodes: int = 1) -> Any:
    """A job with its result on each node, or without."""
    job = submitit.SlurmJob(folder / "%j", name, tasks=list(range(nodes)))
    for node in range(nodes if outcome is not None else 0):
        path = job.task(node).paths.result_pickle
        path.parent.mkdir(parents=True, exist_ok=True)
        submitit.core.utils.cloudpickle_dump(outcome, path)
    return job


def test_each_job_ends_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = JobReturn(status=JobStatus.COMPLETED, _return_value=1.5)
    failed = JobReturn(status=JobStatus.FAILED, _return_value=UserError("no such file", ["a detail"]))
    jobs = [
        _job(tmp_path, "9_0", ("success", good), nodes=2),
        _job(tmp_path, "9_1", ("success", failed)),
        _job(tmp_path, "9_2", ("error", "Traceback")),
        _job(tmp_path, "9_3"),
        _job(tmp_path, "9_4", ("success", good)),
    ]
    monkeypatch.setattr(waiting, "_CHECK_INTERVAL", 0.01)
    monkeypatch.setattr(waiting, "_QUERY_INTERVAL", 0.0)
    monkeypatch.setattr(waiting, "_list_jobs", lambda array: f"{array}_3 OUT_OF_MEMORY\n")
    found = waiting.wait_for_jobs(jobs, [[f"seed={seed}"] for seed in range(5)])
    states = [result.status.name for result in found]
    assert states == ["COMPLETED", "FAILED", "FAILED", "FAILED", "COMPLETED"]
    assert found[0].return_value == 1.5
    with pytest.raises(UserError, match="no such file") as raised:
        _ = found[1].return_value
    assert raised.value.details == ("a detail",)
    with pytest.raises(UserError, match=r"job 9_3 ended without a result \(OUT_OF_MEMORY\): see .*9_3_0_log\.err"):
        _ = found[3].return_value


def test_a_requeued_job_and_a_silent_slurm_are_waited_for() -> None:
    assert waiting.find_ended_jobs(["9_0", "9_1"], lambda _: "9_0 PENDING\n9_1 COMPLETING\n") == {}
    assert waiting.find_ended_jobs(["9_0"], lambda _: None) == {}
    assert waiting.find_ended_jobs(["9_0"], lambda _: "") == {"9_0": "no longer known to Slurm"}
