"""A Slurm with two nodes on this machine during a check: Debian's packages, with its daemons, all as root."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NODES = ("node0", "node1")
_PORTS = {"slurmctld": 16817, "node0": 17001, "node1": 17002}
_PATIENCE = 60.0


def install() -> None:
    """Install slurm-wlm and munge from Debian if they are missing."""
    if all(shutil.which(name, path=_path()) for name in ("slurmctld", "slurmd", "munged", "srun")):
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    packages = ["slurm-wlm", "munge"]
    subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages], check=True, env=quiet)


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Run Slurm within the block; its daemons end with the block, however that ends.

    Args:
        folder: Folder for its configuration, state and logs; SLURM_CONF points there within the block.
    """
    folder.mkdir(parents=True)
    configuration = folder / "slurm.conf"
    configuration.write_text(_configuration(folder), encoding="utf-8")
    os.environ.update(SLURM_CONF=str(configuration), PATH=_path())
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        if subprocess.run(["munge", "-n"], capture_output=True).returncode != 0:  # no munge is running yet
            shutil.chown(_make_folder(Path("/run/munge")), "munge", "munge")
            with (folder / "munged.log").open("wb") as log:
                command = ["munged", "--foreground"]
                daemons.append(
                    subprocess.Popen(command, user="munge", group="munge", extra_groups=[], stdout=log, stderr=log)
                )
            _until(lambda: subprocess.run(["munge", "-n"], capture_output=True).returncode == 0, "munged")
        commands = [["slurmctld", "-D"], *(["slurmd", "-D", "-N", node] for node in NODES)]
        for command in commands:
            with (folder / f"{command[0]}-{command[-1]}.out").open("wb") as log:
                daemons.append(subprocess.Popen(command, stdout=log, stderr=log))
        _until(lambda: asked("sinfo", "-h", "-p", "main", "-t", "idle", "-o", "%D").strip() == "2", "two idle nodes")
        yield
    finally:
        subprocess.run(["scancel", "--user", "root"], capture_output=True)
        _wait_for_empty_queue()
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()


def asked(*command: str) -> str:
    """The output of a command; empty if it fails."""
    return subprocess.run(command, capture_output=True, text=True).stdout


def version() -> str:
    """The version of Slurm."""
    return asked("sinfo", "--version").strip()


def _configuration(folder: Path) -> str:
    host = socket.gethostname().partition(".")[0]
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={_PORTS[name]} CPUs=1 State=UNKNOWN"
        for name in NODES
    )
    return f"""ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={_PORTS["slurmctld"]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=10
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
JobRequeue=1
MinJobAge=3600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=bf_interval=2,sched_interval=2
StateSaveLocation={_make_folder(folder / "state")}
SlurmdSpoolDir={_make_folder(folder / "spool")}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
"""


def _wait_for_empty_queue() -> None:
    deadline = time.monotonic() + _PATIENCE
    while asked("squeue", "-h").strip() and time.monotonic() < deadline:
        time.sleep(1)


def _until(holds: object, what: str) -> None:
    assert callable(holds)
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not start: see the logs")
        time.sleep(0.5)


def _make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _path() -> str:
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
