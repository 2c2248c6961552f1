"""Which node of a run this machine is; the same command is started once on each node."""

import os
import re
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rnc_lightning.system.errors import UserError

PARENT = "RNC_PARENT_PROCESS"  # set for the processes that a run starts: the process id of their parent
_FIRST_PORT, _PORTS = 12000, 20000  # below the ports that operating systems assign by themselves

_VARIABLES = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
_REMEDY = (
    "with Slurm start the command through srun with one task per node; without Slurm set NODE_RANK (0 to {last}), "
    "MASTER_ADDR (the node of rank 0) and MASTER_PORT on each node"
)


@dataclass(frozen=True)
class Node:
    """One machine of a run.

    Attributes:
        rank: From 0 up; node 0 writes the run directory.
        count: Number of nodes.
        address: Address of node 0, as the other nodes reach it.
        port: Port of node 0 for the processes, None for any free port; port + 1 is for the launcher processes.
    """

    rank: int = 0
    count: int = 1
    address: str = "127.0.0.1"
    port: int | None = None


def this_node(
    count: int,
    environment: Mapping[str, str] = os.environ,
    hosts: Callable[[str], list[str]] | None = None,
) -> Node:
    """Which node this machine is, from NODE_RANK, MASTER_ADDR and MASTER_PORT, or from Slurm if they are missing.

    >>> this_node(2, {"NODE_RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "29500"})
    Node(rank=1, count=2, address='here', port=29500)

    Args:
        count: Nodes of the run, `trainer.num_nodes`.
        environment: The environment variables.
        hosts: Expands Slurm's list of nodes; by default `scontrol show hostnames`.

    Raises:
        UserError: If the node's rank cannot be determined, or Slurm's number of nodes is not `count`.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UserError(f"trainer.num_nodes: must be a whole number from 1 up, got {count}")
    if count == 1:
        return Node()
    found = {**_from_slurm(count, environment, hosts or _hosts), **_from_user(environment)}
    if missing := [name for name in _VARIABLES if name not in found]:
        raise UserError(f"trainer.num_nodes={count}: {', '.join(missing)} not set; {_REMEDY.format(last=count - 1)}")
    rank, port = _number("NODE_RANK", found), _number("MASTER_PORT", found)
    if not 0 <= rank < count:
        raise UserError(f"NODE_RANK={rank}: with trainer.num_nodes={count} it must be from 0 to {count - 1}")
    if not 0 < port < 65535:
        raise UserError(f"MASTER_PORT={port}: must be from 1 to 65534 (the next higher port is used too)")
    return Node(rank, count, found["MASTER_ADDR"], port)


def refuse_other_launchers(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse to be started several times by torchrun, or by srun with several tasks per node.

    Raises:
        UserError: With what to do instead.
    """
    if PARENT in environment:  # a process that a run started
        return
    if "TORCHELASTIC_RUN_ID" in environment or _count(environment.get("WORLD_SIZE")) > 1:
        who = "torchrun" if "TORCHELASTIC_RUN_ID" in environment else "another launcher (WORLD_SIZE is set)"
        raise UserError(
            f"started by {who}: start the command without a launcher, trainer.devices=K starts the processes; "
            "for several machines add trainer.num_nodes=N and set NODE_RANK, MASTER_ADDR and MASTER_PORT on each"
        )
    tasks = _count(environment.get("SLURM_STEP_NUM_TASKS"))
    nodes = max(_count(environment.get("SLURM_STEP_NUM_NODES")), 1)
    if tasks > nodes:
        raise UserError(
            f"started by srun as {tasks} tasks on {nodes} node(s): ask for one task per node "
            "(--ntasks-per-node=1), trainer.devices=K starts the processes. If each task is a separate run, "
            "unset SLURM_STEP_NUM_TASKS first"
        )


def slurm_port(job: int, restarts: int) -> int:
    """An even port number that all nodes of a job compute alike, a different one after each requeue.

    >>> slurm_port(7, 0), slurm_port(7, 1), slurm_port(8, 0)
    (12434, 12436, 12496)
    """
    return _FIRST_PORT + 2 * ((31 * job + restarts) % (_PORTS // 2))


def _from_user(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in _VARIABLES if environment.get(name)}


def _from_slurm(count: int, environment: Mapping[str, str], hosts: Callable[[str], list[str]]) -> dict[str, str]:
    """The same variables from Slurm; empty outside of a job step (srun) or if the user has set all three."""
    if "SLURM_STEP_ID" not in environment or len(_from_user(environment)) == 3:
        return {}
    if (given := _count(environment.get("SLURM_STEP_NUM_NODES"))) != count:
        raise UserError(
            f"trainer.num_nodes={count}, but srun started the command on {given}: --nodes must be the same number"
        )
    job, restarts = _count(environment.get("SLURM_JOB_ID")), _count(environment.get("SLURM_RESTART_COUNT"))
    found = {"NODE_RANK": environment["SLURM_NODEID"], "MASTER_PORT": str(slurm_port(job, restarts))}
    if not environment.get("MASTER_ADDR"):
        found["MASTER_ADDR"] = hosts(environment["SLURM_STEP_NODELIST"])[0]
    return found


def _hosts(nodes: str) -> list[str]:
    """The host names in Slurm's list; for the first, Slurm's address of it if the name cannot be resolved."""
    names = _scontrol("hostnames", nodes).split()
    try:
        socket.getaddrinfo(names[0], None)
    except OSError:
        address = re.search(r"NodeAddr=(\S+)", _scontrol("node", names[0]))
        return [address[1] if address else names[0], *names[1:]]
    return names


def _scontrol(what: str, which: str) -> str:
    command = ["scontrol", "show", what, which]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"`{' '.join(command)}` failed ({error}): set MASTER_ADDR to the first node") from error


def _number(name: str, found: Mapping[str, str]) -> int:
    try:
        return int(found[name])
    except ValueError:
        raise UserError(f"{name}={found[name]}: must be a whole number") from None


def _count(text: str | None) -> int:
    """A number that a launcher has set; 0 if it is not set."""
    return int(text) if text and text.isdigit() else 0
