"""Which node of a run this machine is, and that nodes notice when another node fails."""

import os
import sys
import threading
from pathlib import Path

import pytest

from rnc_lightning.system.errors import UserError
from rnc_lightning.system.lifeline import Lifeline, NodeFailedError
from rnc_lightning.system.nodes import Node, refuse_other_launchers, slurm_port, this_node
from rnc_lightning.system.processes import ProcessFailedError, _free_port, run_processes

STEP = {
    "SLURM_JOB_ID": "41",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_NODEID": "1",
}
NAMED = {"NODE_RANK": "1", "MASTER_ADDR": "first", "MASTER_PORT": "29500"}


def _hosts(nodes: str) -> list[str]:
    assert nodes == "gpu[07-08]"
    return ["gpu07", "gpu08"]


def test_one_node_needs_no_environment() -> None:
    assert this_node(1, {**STEP, **NAMED}) == Node()


def test_slurm_gives_rank_address_and_a_port_of_the_job() -> None:
    assert this_node(2, STEP, _hosts) == Node(1, 2, "gpu07", slurm_port(41, 0))
    requeued = this_node(2, {**STEP, "SLURM_RESTART_COUNT": "1"}, _hosts)
    assert requeued.port == slurm_port(41, 1) != slurm_port(41, 0)


def test_variables_set_by_the_user_override_slurm() -> None:
    assert this_node(2, {**STEP, "MASTER_ADDR": "ib-gpu07"}, _hosts).address == "ib-gpu07"
    assert this_node(2, {**STEP, **NAMED}) == Node(1, 2, "first", 29500)


@pytest.mark.parametrize(
    ("count", "environment", "expected"),
    [
        (2, {"NODE_RANK": "0"}, "MASTER_ADDR, MASTER_PORT not set; with Slurm .* through srun .* NODE_RANK"),
        (2, {"SLURM_JOB_ID": "41", "SLURM_NODEID": "0"}, "NODE_RANK, MASTER_ADDR, MASTER_PORT not set"),  # no srun
        (3, STEP, "num_nodes=3, but srun started the command on 2"),
        (2, {**NAMED, "NODE_RANK": "2"}, "NODE_RANK=2: .* from 0 to 1"),
        (2, {**NAMED, "MASTER_PORT": "none"}, "MASTER_PORT=none: must be a whole number"),
        (0, {}, "num_nodes: must be a whole number from 1 up"),
    ],
)
def test_a_rank_that_cannot_be_determined_is_a_user_error(
    count: int, environment: dict[str, str], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        this_node(count, environment, _hosts)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "1"}, "started by torchrun: .* trainer.devices=K"),
        ({"WORLD_SIZE": "4", "RANK": "2"}, "another launcher .*NODE_RANK"),
        ({**STEP, "SLURM_STEP_NUM_TASKS": "4"}, "4 tasks on 2 node.*--ntasks-per-node=1"),
    ],
)
def test_launchers_that_start_every_process_are_refused(environment: dict[str, str], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        refuse_other_launchers(environment)
    refuse_other_launchers({**environment, "RNC_PARENT_PROCESS": "1"})  # a child of ours


def test_one_task_per_node_is_accepted() -> None:
    refuse_other_launchers(STEP)
    refuse_other_launchers({"WORLD_SIZE": "1"})


def _start(
    rank: int, port: int, program: str, folder: Path, failures: dict[int, BaseException], count: int = 2
) -> threading.Thread:
    """Runs one node of two in a thread."""

    def run_node() -> None:
        try:
            run_processes([sys.executable, "-c", program], count, folder, node=Node(rank, 2, "127.0.0.1", port))
        except UserError as error:
            failures[rank] = error

    thread = threading.Thread(target=run_node)
    thread.start()
    return thread


def test_ranks_are_counted_over_all_nodes(tmp_path: Path) -> None:
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    program = f"import os; v = [os.environ[n] for n in {names}]; open('rank' + v[0], 'w').write(' '.join(v))"
    failures: dict[int, BaseException] = {}
    port = _free_port()
    threads = [_start(rank, port, program, tmp_path, failures) for rank in (1, 0)]
    for thread in threads:
        thread.join(60)
    assert not failures
    found = [Path(f"rank{rank}").read_text() for rank in range(4)]
    assert found == [f"{rank} {rank % 2} {rank // 2} 4 127.0.0.1 {port}" for rank in range(4)]
    assert sorted(path.name for path in tmp_path.glob("*.log")) == ["rank_1.log", "rank_2.log", "rank_3.log"]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_node_that_fails_ends_the_other(failing: int, tmp_path: Path) -> None:
    program = f"import os, sys, time; time.sleep(0.5); os.environ['NODE_RANK'] == '{failing}' and sys.exit(3); " + (
        "open('pid' + os.environ['RANK'], 'w').write(str(os.getpid())); time.sleep(100)"
    )
    failures: dict[int, BaseException] = {}
    port = _free_port()
    threads = [_start(rank, port, program, tmp_path, failures, count=1) for rank in (0, 1)]
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert isinstance(failures[failing], ProcessFailedError)
    assert isinstance(failures[1 - failing], NodeFailedError)
    assert not Path(f"/proc/{Path(f'pid{1 - failing}').read_text()}").exists()


@pytest.mark.parametrize(("rank", "expected"), [(0, "only 1 of 2 nodes connected"), (1, "node 0 did not answer")])
def test_a_node_that_never_connects_is_reported(rank: int, expected: str) -> None:
    lifeline = Lifeline(Node(rank, 2, "127.0.0.1", _free_port()), patience=0.0)
    with pytest.raises(NodeFailedError, match=expected):
        lifeline.check()
    lifeline.close(farewell=False)


def test_lightning_looks_for_no_slurm(compose_config: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnc_lightning.runs.parts import Parts

    for name, value in {
        "SLURM_NTASKS": "4",
        "SLURM_PROCID": "1",
        "SLURM_JOB_NAME": "run",
        "SLURM_LOCALID": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert callable(compose_config)
    trainer = Parts(compose_config("trainer=cpu")).trainer()(logger=False)
    assert (trainer.world_size, trainer.global_rank, trainer.node_rank) == (1, 0, 0)
    assert os.environ["SLURM_NTASKS"] == "4"
