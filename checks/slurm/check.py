"""`make slurm-check`: runs that are stopped in four ways on a real Slurm end with the results of uninterrupted ones.

As root on Debian: installs slurm-wlm and munge if they are missing, runs a Slurm with two nodes on this machine during
the check, and writes the results to docs/checked/slurm.md.
"""

import argparse
import atexit
import csv
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import cluster

EPOCHS = 40
WORDS = [
    "+experiment=digits_rnc", "data.digits=[3]", "data.size=16", "data.eval_angles=1", "data.batch_size=32",
    "encoder.width=4", "encoder.stages=2", f"recipe.pretrain.epochs={EPOCHS}", "recipe.linear_probe.epochs=3",
    "data.num_workers=1", "trainer.enable_progress_bar=false", "callbacks.model_summary=null", "print_config=false",
]  # fmt: skip
ALONE = ["trainer=cpu", "paths.encoder_dir=null"]
SLURM = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1"]  # the nodes of this check have one
# For each seed, how the run is stopped during stage one. {job} is its name in Slurm, {node} the node that it runs on.
STOPS = {
    0: ("SIGTERM (`scancel --signal=TERM`)", "scancel --signal=TERM {job}"),
    1: ("`scontrol requeue`", "scontrol requeue {job}"),
    2: ("the signal before a time limit (`scancel --signal=USR2`)", "scancel --signal=USR2 {job}"),
    3: ("preempted by a job of a partition with priority", "sbatch -p urgent -w {node} -n 1 -o /dev/null --wrap true"),
}


def main() -> None:
    """Run all parts and write the page."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "docs/checked/slurm.md")
    out = arguments.parse_args().out.resolve()
    if os.geteuid() != 0:
        sys.exit("error: make slurm-check starts the daemons of Slurm and must be run as root")
    os.environ.update(OMP_NUM_THREADS="1", COLUMNS="120")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the daemons are ended too
    cluster.install()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slurm-check-") as folder:
        os.chdir(folder)
        Path(folder).chmod(0o755)
        _train("-m", *WORDS, *ALONE, "seed=0,1,2,3,4", place="local")
        _train("-m", *WORDS, "trainer=ddp_cpu", "paths.encoder_dir=null", "seed=0", place="local_processes")
        with cluster.slurm(Path(folder) / "cluster"):
            versions = cluster.version()
            parts = [_stopped_sweep(), _two_nodes(), _lost_job()]
        left = _left(folder)
    good = all(row[-1] == "yes" for part in parts for row in part[1]) and not left
    page = _page(parts, left, versions, time.monotonic() - began)
    print(page)
    for line in left:
        print("left:", line)
    if good:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    sys.exit(0 if good else 1)


def _stopped_sweep() -> tuple[list[str], list[list[str]]]:
    """Four runs, each stopped in a different way during training."""
    sweep = _start("-m", *WORDS, *ALONE, *SLURM, f"seed={','.join(map(str, STOPS))}", place="slurm")
    array = _array(sweep)
    stopped: dict[int, int] = {}
    for seed, (_, how) in STOPS.items():
        _wait_for(lambda seed=seed: _epochs("slurm", seed) >= 4, sweep)
        node = cluster.asked("squeue", "-h", "-j", f"{array}_{seed}", "-o", "%N").strip()
        command = how.format(job=f"{array}_{seed}", node=node).split()
        with suppress(subprocess.TimeoutExpired):  # scancel would try again if the job has changed its state
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=3)
        stopped[seed] = _epochs("slurm", seed)
        print(f"{' '.join(command)}: seed {seed}, after epoch {stopped[seed]}", flush=True)
    code = sweep.wait()
    rows = []
    for seed, (what, _) in STOPS.items():
        shown = cluster.asked("scontrol", "show", "job", f"{array}_{seed}")
        requeued = int((re.search(r"Restarts=(\d+)", shown) or ["", "0"])[1])
        status = _result("slurm", seed).get("status", "nothing")
        fine = code == 0 and requeued == 1 and stopped[seed] < EPOCHS and _same("local", "slurm", seed)
        rows.append([what, str(stopped[seed]), str(requeued), status, "yes" if fine else "no"])
    return ["stopped by", f"after epoch, of {EPOCHS}", "requeued", "ended", "same numbers"], rows


def _two_nodes() -> tuple[list[str], list[list[str]]]:
    """One run on two nodes with one process each, compared with two processes started by hand on this machine."""
    words = ["trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2", "paths.encoder_dir=null", "seed=0"]
    code = _start("-m", *WORDS, *words, *SLURM, place="nodes").wait()
    fine = code == 0 and _same("local_processes", "nodes", 0)
    status = _result("nodes", 0).get("status", "nothing")
    return ["run", "ended", "same numbers"], [["2 nodes, one process each", status, "yes" if fine else "no"]]


def _lost_job() -> tuple[list[str], list[list[str]]]:
    """Two runs, one of them cancelled: the command ends and names it, and the other run has its result."""
    sweep = _start("-m", *WORDS, *ALONE, *SLURM, "seed=4,5", place="lost")
    array = _array(sweep)
    _wait_for(lambda: _epochs("lost", 5) >= 4, sweep)
    subprocess.run(["scancel", f"{array}_1"], check=True)
    code = sweep.wait()
    named = f"job {array}_1 ended without a result (CANCELLED)" in Path("lost.txt").read_text()
    fine = code == 1 and named and _same("local", "lost", 4)
    row = ["`scancel` of one of two", _result("lost", 4).get("status", "nothing"), str(code), "yes" if fine else "no"]
    return ["job", "the other run", "exit code", "named in the error, the other's numbers the same"], [row]


def _page(parts: list[tuple[list[str], list[list[str]]]], left: list[str], slurm: str, seconds: float) -> str:
    packages = ("hydra-submitit-launcher", "submitit", "hydra-core", "lightning", "torch")
    rows = parts[0][1]
    counts = [
        ["runs expected", "runs finished", "requeued", "equal numbers", "processes left"],
        [[str(len(rows)), *(str(sum(test(row) for row in rows)) for test in _COUNTED), str(len(left))]],
    ]
    tables = "\n\n".join(_table(*part) for part in (counts, *parts))
    versions = ", ".join(f"{name} {installed(name)}" for name in packages)
    machine = f"{platform.system()}, {os.cpu_count()} cores, no GPU"
    return f"""# Checked: runs on Slurm

`make slurm-check`, {date.today().isoformat()}, {seconds / 60:.0f} minutes.
{slurm} as two nodes on one machine ({machine}).
Python {platform.python_version()}, {versions}.

Runs of `{" ".join(WORDS)}` with `hydra/launcher=slurm`, compared with the same runs without Slurm.
"Same numbers" means `test` of `result.json` and `predictions.csv`, bit for bit.

{tables}
"""


_COUNTED: list[Callable[[list[str]], bool]] = [
    lambda row: row[3] == "finished",
    lambda row: row[2] != "0",
    lambda row: row[4] == "yes",
]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _command(place: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "rnc_lightning.train", *words, f"paths.output_dir={place}"]


def _train(*words: str, place: str) -> None:
    print(f"without Slurm: {place}", flush=True)
    subprocess.run(_command(place, *words), check=True, stdout=subprocess.DEVNULL)


def _start(*words: str, place: str) -> subprocess.Popen[bytes]:
    print(f"on Slurm: {place}", flush=True)
    with Path(f"{place}.txt").open("wb") as log:
        sweep = subprocess.Popen(_command(place, *words), stdout=log, stderr=subprocess.STDOUT)
    atexit.register(sweep.kill)
    return sweep


def _array(sweep: subprocess.Popen[bytes]) -> str:
    """Slurm's number of the sweep's jobs, from the output of the command."""
    name = str(sweep.args[-1]).partition("=")[2]  # type: ignore[index]
    _wait_for(lambda: "jobs submitted" in Path(f"{name}.txt").read_text(), sweep)
    found = re.search(r"`scancel (\d+)`", Path(f"{name}.txt").read_text())
    assert found is not None
    return found[1]


def _wait_for(holds: Callable[[], bool], sweep: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 600
    while not holds():
        if sweep.poll() is not None or time.monotonic() > deadline:
            name = str(sweep.args[-1]).partition("=")[2]  # type: ignore[index]
            sys.exit(f"error: the sweep ended or hung too early\n{Path(f'{name}.txt').read_text()}")
        time.sleep(0.2)


def _run(place: str, seed: int) -> Path | None:
    return next((path.parent for path in Path(place).glob("*/*/result.json") if _read(path).get("seed") == seed), None)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _result(place: str, seed: int) -> dict[str, Any]:
    run = _run(place, seed)
    return _read(run / "result.json") if run else {}


def _epochs(place: str, seed: int) -> int:
    run = _run(place, seed)
    history = run / "stages/pretrain/metrics.csv" if run else None
    if history is None or not history.is_file():
        return 0
    with history.open(encoding="utf-8") as file:
        return sum(1 for _ in csv.DictReader(file))


def _same(place: str, other: str, seed: int) -> bool:
    one, two = _run(place, seed), _run(other, seed)
    if one is None or two is None or _read(one / "result.json")["test"] != _read(two / "result.json").get("test"):
        return False
    return (one / "predictions.csv").read_bytes() == (two / "predictions.csv").read_bytes()


def _left(folder: str) -> list[str]:
    """Other processes with this folder as working directory or in their environment: runs, jobs and daemons."""
    time.sleep(5)
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with suppress(OSError):
            ours = folder in str((process / "cwd").readlink()) or folder.encode() in (process / "environ").read_bytes()
            if ours:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


if __name__ == "__main__":
    main()
