"""Who this machine is among the nodes of a run: one start of the same command on each of them."""

import os
import re
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rnc_lightning.system.errors import UserError

PARENT = "RNC_PARENT_PROCESS"  # tells a run's own processes from others, and whom they belong to
_FIRST_PORT, _PORTS = 12000, 20000  # below those that systems give away by themselves

_REMEDY = (
    "with Slurm start the command through srun with one task a node; without it set NODE_RANK (0 to {last}), "
    "MASTER_ADDR (the node of rank 0) and MASTER_PORT on each node"
)


@dataclass(frozen=True)
class Node:
    """A machine's place in a run.

    Attributes:
        rank: From 0 up; node 0 writes the run directory.
        count: How many there are.
        address: Where node 0 is reached by the others.
        port: Its port for the processes, None for a free one; the next one up is for the nodes' starters.
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
    """This machine's place, from NODE_RANK, MASTER_ADDR and MASTER_PORT, and from Slurm where they are missing.

    >>> this_node(2, {"NODE_RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "29500"})
    Node(rank=1, count=2, address='here', port=29500)

    Args:
        count: Nodes of the run, `trainer.num_nodes`.
        environment: The process' variables.
        hosts: Expands Slurm's list of nodes; by default `scontrol show hostnames` does.

    Raises:
        UserError: Where the place cannot be known, or Slurm has given other nodes than the run asks for.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UserError(f"trainer.num_nodes: must be a whole number from 1 up, got {count}")
    if count == 1:
        return Node()
    found = {**_slurm(count, environment, hosts or _hosts), **_named(environment)}
    if missing := [name for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in found]:
        remedy = _REMEDY.format(last=count - 1)
        raise UserError(f"trainer.num_nodes={count}: {', '.join(missing)} not set; {remedy}")
    rank, port = _number("NODE_RANK", found), _number("MASTER_PORT", found)
    if not 0 <= rank < count:
        raise UserError(f"NODE_RANK={rank}: with trainer.num_nodes={count} it must be from 0 to {count - 1}")
    if not 0 < port < 65535:
        raise UserError(f"MASTER_PORT={port}: must be from 1 to 65534 (the next one up is used too)")
    return Node(rank, count, found["MASTER_ADDR"], port)


def refuse_other_launchers(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse to be started several times over by torchrun, or by srun with several tasks on a node.

    Raises:
        UserError: With the remedy.
    """
    if PARENT in environment:  # a run's own child
        return
    several = _whole(environment.get("WORLD_SIZE")) > 1
    if "TORCHELASTIC_RUN_ID" in environment or several:
        who = "torchrun" if "TORCHELASTIC_RUN_ID" in environment else "another launcher (WORLD_SIZE is set)"
        raise UserError(
            f"started by {who}: start the command plainly, trainer.devices=K starts the processes; "
            "for several machines add trainer.num_nodes=N and set NODE_RANK, MASTER_ADDR and MASTER_PORT on each"
        )
    tasks, nodes = _whole(environment.get("SLURM_STEP_NUM_TASKS")), _whole(environment.get("SLURM_STEP_NUM_NODES"))
    if tasks > max(nodes, 1):
        raise UserError(
            f"started by srun as {tasks} tasks on {max(nodes, 1)} node(s): ask for one task a node "
            "(--ntasks-per-node=1), trainer.devices=K starts the processes. Where each task is a run of its own, "
            "unset SLURM_STEP_NUM_TASKS first"
        )


def slurm_port(job: int, restarts: int) -> int:
    """An even port that all nodes of a job agree on, another one after each requeue.

    >>> slurm_port(7, 0), slurm_port(7, 1), slurm_port(8, 0)
    (12434, 12436, 12496)
    """
    return _FIRST_PORT + 2 * ((31 * job + restarts) % (_PORTS // 2))


def _named(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: environment[name] for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if environment.get(name, "")
    }


def _slurm(count: int, environment: Mapping[str, str], hosts: Callable[[str], list[str]]) -> dict[str, str]:
    """The same three as Slurm knows them; none outside of a job's step (srun) or where your own say it all."""
    if "SLURM_STEP_ID" not in environment or len(_named(environment)) == 3:
        return {}
    if (given := _whole(environment.get("SLURM_STEP_NUM_NODES"))) != count:
        raise UserError(
            f"trainer.num_nodes={count}, but srun started the command on {given}: make --nodes and it the same"
        )
    job, restarts = _whole(environment.get("SLURM_JOB_ID")), _whole(environment.get("SLURM_RESTART_COUNT"))
    place = {"NODE_RANK": environment["SLURM_NODEID"], "MASTER_PORT": str(slurm_port(job, restarts))}
    if "MASTER_ADDR" not in _named(environment):
        place["MASTER_ADDR"] = hosts(environment["SLURM_STEP_NODELIST"])[0]
    return place


def _hosts(nodes: str) -> list[str]:
    """The names in Slurm's list; the first as the address that Slurm has for it, where its name leads nowhere."""
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


def _whole(text: str | None) -> int:
    """A launcher's number; 0 where there is none."""
    return int(text) if text and text.isdigit() else 0
