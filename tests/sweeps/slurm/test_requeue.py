"""A job that SIGTERM stops: queued again where Slurm calls it running, and only then."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus

from rnc_lightning.sweeps.slurm.requeue import requeue_if_stopped


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Makes this process a job that Slurm says is in a state; returns the file that lists what Slurm was told."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}

    def make(state: str, node: int = 0) -> Path:
        told = tmp_path / "told"
        told.write_text("")
        for name, reply in {"squeue": f"echo {state}", "scontrol": f'echo "$@" >> {told}'}.items():
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\n{reply}\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
        place = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "SLURM_PROCID": str(node)}
        for name, value in place.items():
            monkeypatch.setenv(name, value)
        return told

    yield make
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _stopped() -> JobReturn:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    raise AssertionError("not stopped")


def _stopped_and_failed() -> JobReturn:
    """As where a data worker was stopped first."""
    with suppress(SystemExit):
        _stopped()
    return JobReturn(status=JobStatus.FAILED)


@pytest.mark.parametrize(
    ("state", "node", "expected"),
    [("RUNNING", 0, "requeue 7_2\n"), ("RUNNING", 1, ""), ("COMPLETING", 0, ""), ("PENDING", 0, "")],
)
@pytest.mark.parametrize("work", [_stopped, _stopped_and_failed])
def test_it_is_queued_again_where_nobody_else_does(
    work: Callable[[], JobReturn], state: str, node: int, expected: str, job: Callable[..., Path]
) -> None:
    told = job(state, node)
    with pytest.raises(SystemExit) as ended:
        requeue_if_stopped(work)
    assert ended.value.code == 143
    assert told.read_text() == expected


def test_a_job_that_fails_of_itself_is_not_queued_again(job: Callable[..., Path]) -> None:
    told = job("RUNNING")
    failed = JobReturn(status=JobStatus.FAILED)
    assert requeue_if_stopped(lambda: failed) is failed
    assert told.read_text() == ""


def test_only_the_job_itself_acts_on_the_signal_before_the_limit(job: Callable[..., Path], tmp_path: Path) -> None:
    job("RUNNING")
    seen = tmp_path / "seen"
    signal.signal(signal.SIGUSR2, lambda *_: seen.open("a").write(f"{os.getpid()}\n"))

    def work() -> JobReturn:
        if (child := os.fork()) == 0:  # a data worker
            os.kill(os.getpid(), signal.SIGUSR2)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        os.kill(os.getpid(), signal.SIGUSR2)
        return JobReturn(status=JobStatus.COMPLETED)

    requeue_if_stopped(work)
    assert seen.read_text() == f"{os.getpid()}\n"
