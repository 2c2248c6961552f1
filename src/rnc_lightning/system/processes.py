"""One program in several processes of this machine: started together, watched, and ended together.

Each run has processes of its own, all of them children of the process that the user started. So a sweep's jobs are
never repeated by a child, nothing is left over from one job to the next, and whoever ends the parent ends them all.

Why not torch.distributed.run: its workers outlive an agent that is killed (tried with two workers and SIGKILL: both
were there 8 seconds later), and a failed node makes its rendezvous restart all others instead of ending the run with
the reason. What this file does beside that, first failures named and logs kept, is little.
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
_GRACE = 3.0  # seconds in which processes can say of themselves what another node has failed of
_ALONE = Node()


class ProcessFailedError(UserError):
    """A process ended with an error; the message says which, and where it wrote why."""


def run_processes(
    command: Sequence[str],
    count: int,
    logs: Path,
    environment: Mapping[str, str] | None = None,
    node: Node = _ALONE,
) -> None:
    """Run a command in `count` processes of this machine and wait for all of them.

    Rank 0 prints where the parent does; the others write to `rank_<k>.log`. The usual variables (RANK, LOCAL_RANK,
    WORLD_SIZE, MASTER_ADDR, ...) tell each its place.

    Args:
        command: Program and arguments.
        count: Number of processes.
        logs: Folder of the log files; made if it is not there.
        environment: Variables beside the parent's own.
        node: This machine's place among those that do the same; each has as many processes.

    Raises:
        ProcessFailedError: Where one fails; the others are ended.
        NodeFailedError: Where another node fails; those of this one are ended.
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
            place = {**common, "RANK": str(rank), "LOCAL_RANK": str(local)}
            if rank == 0:
                running[rank] = subprocess.Popen(command, env=place, start_new_session=True)
                continue
            with (logs / f"rank_{rank}.log").open("wb") as log:
                running[rank] = subprocess.Popen(
                    command, env=place, start_new_session=True, stdout=log, stderr=subprocess.STDOUT
                )
        while not _all_done(running, count * node.count, logs):
            try:
                lifeline.check()
            except NodeFailedError:
                _own_failure(running, count * node.count, logs)
                raise
            time.sleep(_POLL)
        done = True
    finally:
        lifeline.close(farewell=done)
        end_processes(list(running.values()))


def start_process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start one process that ends with this one (where it calls `end_with_parent`); all it prints goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    place = {**environment, PARENT: str(os.getpid())}
    with log.open("wb") as file:
        return subprocess.Popen(command, env=place, start_new_session=True, stdout=file, stderr=subprocess.STDOUT)


def _all_done(running: Mapping[int, subprocess.Popen[bytes]], processes: int, logs: Path) -> bool:
    codes = {rank: process.poll() for rank, process in running.items()}
    for rank, code in codes.items():
        if code:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            where = "see above" if rank == 0 else f"see {logs / f'rank_{rank}.log'}"
            raise ProcessFailedError(f"process {rank} of {processes} ended with {how}: {where}")
    return all(code == 0 for code in codes.values())


def _own_failure(running: Mapping[int, subprocess.Popen[bytes]], processes: int, logs: Path) -> None:
    """Where another node has failed: wait a little, since this one may be failing of the same, which tells more."""
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline and not _all_done(running, processes, logs):
        time.sleep(_POLL)


def end_processes(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """End processes with all that they started: asked first, then made to."""
    for process in running:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        _signal(process, signal.SIGKILL)  # data workers too, which may outlive it
        process.wait()


def end_with_parent() -> None:
    """In a child: end as soon as the parent is gone, however it went."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return

    def look() -> None:
        while os.getppid() == int(parent):
            time.sleep(1.0)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=look, daemon=True).start()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)  # each is the leader of a group of its own
    except (ProcessLookupError, PermissionError):
        return


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]
