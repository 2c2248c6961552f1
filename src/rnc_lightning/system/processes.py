"""One program in several processes of this machine: started, watched and ended together.

Each run has its own processes, all of them children of the process that the user started. So a child never repeats the
jobs of a sweep, nothing is left over from one job to the next, and ending the parent ends all of them.

Why not torch.distributed.run: its workers survive an agent that is killed (tried with two workers and SIGKILL: both
were still there 8 seconds later), and when a node fails, its rendezvous restarts all other nodes instead of ending the
run with the reason. Apart from that, this file only reports the first failure and keeps logs.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rnc_lightning.system.errors import UserError
from rnc_lightning.system.lifeline import Lifeline, NodeFailedError
from rnc_lightning.system.nodes import PARENT, Node

_PATIENCE = 5.0  # seconds that children have to end by themselves
_POLL = 0.1
_GRACE = 3.0  # seconds for the processes of this node to report their own failure after another node has failed
_ALONE = Node()


class ProcessFailedError(UserError):
    """A process ended with an error; the message says which process, and where its output is."""


def run_processes(
    command: Sequence[str],
    count: int,
    logs: Path,
    environment: Mapping[str, str] | None = None,
    node: Node = _ALONE,
) -> None:
    """Run a command in `count` processes of this machine and wait for all of them.

    Rank 0 prints to the parent's output; the others write to `rank_<k>.log`. Each process gets the usual variables
    (RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR, ...).

    Args:
        command: Program and arguments.
        count: Number of processes.
        logs: Folder of the log files; created if needed.
        environment: Variables in addition to the parent's.
        node: Which node of the run this machine is; every node starts `count` processes.

    Raises:
        ProcessFailedError: If a process fails; the others are ended.
        NodeFailedError: If another node fails; the processes of this node are ended.
    """
    logs.mkdir(parents=True, exist_ok=True)
    threads = str(max(1, len(os.sched_getaffinity(0)) // count))
    common = {
        "OMP_NUM_THREADS": threads,
        **os.environ,
        **(environment or {}),
        "MASTER_ADDR": node.address,
        "MASTER_PORT": str(node.port or _free_port()),
        "WORLD_SIZE": str(count * node.count),
        "NODE_RANK": str(node.rank),
        PARENT: str(os.getpid()),
    }
    running: dict[int, subprocess.Popen[bytes]] = {}
    lifeline = Lifeline(node)
    done = False
    try:
        for local in range(count):
            rank = node.rank * count + local
            variables = {**common, "RANK": str(rank), "LOCAL_RANK": str(local)}
            if rank == 0:
                running[rank] = subprocess.Popen(command, env=variables, start_new_session=True)
                continue
            with (logs / f"rank_{rank}.log").open("wb") as log:
                running[rank] = subprocess.Popen(
                    command, env=variables, start_new_session=True, stdout=log, stderr=subprocess.STDOUT
                )
        while not _all_done(running, count * node.count, logs):
            try:
                lifeline.check()
            except NodeFailedError:
                _raise_own_failure(running, count * node.count, logs)
                raise
            time.sleep(_POLL)
        done = True
    finally:
        lifeline.close(farewell=done)
        end_processes(list(running.values()))


def start_process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start one process that ends with this one (if it calls `end_with_parent`); its output goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {**environment, PARENT: str(os.getpid())}
    with log.open("wb") as file:
        return subprocess.Popen(command, env=variables, start_new_session=True, stdout=file, stderr=subprocess.STDOUT)


def _all_done(running: Mapping[int, subprocess.Popen[bytes]], processes: int, logs: Path) -> bool:
    codes = {rank: process.poll() for rank, process in running.items()}
    for rank, code in codes.items():
        if code:
            where = "see above" if rank == 0 else f"see {logs / f'rank_{rank}.log'}"
            raise ProcessFailedError(f"process {rank} of {processes} ended with {describe_exit_code(code)}: {where}")
    return all(code == 0 for code in codes.values())


def describe_exit_code(code: int) -> str:
    """An exit code in words.

    >>> describe_exit_code(-9), describe_exit_code(3)
    ('signal SIGKILL', 'exit code 3')
    """
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _raise_own_failure(running: Mapping[int, subprocess.Popen[bytes]], processes: int, logs: Path) -> None:
    """After another node has failed: wait a little; a failure of this node's own processes says more."""
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline and not _all_done(running, processes, logs):
        time.sleep(_POLL)


def end_processes(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """End processes and everything that they started: first with SIGTERM, then with SIGKILL."""
    for process in running:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        _signal(process, signal.SIGKILL)  # data workers may outlive the process
        process.wait()


def end_with_parent() -> None:
    """In a child: end as soon as the parent is gone, however it ended."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(1.0)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)  # each process is the leader of its own group


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]
