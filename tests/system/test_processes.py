"""Several processes of one program start together and end together, however they end."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from rnc_lightning.system.processes import ProcessFailedError, run_processes


def _program(folder: Path, text: str) -> list[str]:
    """A program with a unique file name, by which its processes can be found."""
    path = folder / f"program_{uuid.uuid4().hex}.py"
    path.write_text(f"import os, sys, time\nfrom pathlib import Path\nrank = int(os.environ['RANK'])\n{text}\n")
    return [sys.executable, str(path)]


def _find_running(command: list[str]) -> list[str]:
    """Processes that still run the program."""
    listed = subprocess.run(["ps", "-eo", "pid,stat,args"], capture_output=True, text=True, check=True).stdout
    name = Path(command[1]).name
    return [
        line for line in listed.splitlines() if name in line and "<defunct>" not in line and "parent.py" not in line
    ]


def _all_ended(command: list[str], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while _find_running(command):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_each_process_knows_its_rank_and_the_first_one_prints(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    command = _program(
        tmp_path, "print('I am', rank, 'of', os.environ['WORLD_SIZE'], os.environ['MASTER_ADDR'], flush=True)"
    )
    run_processes(command, 3, tmp_path / "logs")
    assert capfd.readouterr().out == "I am 0 of 3 127.0.0.1\n"
    assert (tmp_path / "logs/rank_1.log").read_text() == "I am 1 of 3 127.0.0.1\n"
    assert (tmp_path / "logs/rank_2.log").read_text() == "I am 2 of 3 127.0.0.1\n"


@pytest.mark.parametrize(
    ("last", "how"),
    [("sys.exit(3)", "exit code 3"), ("os.kill(os.getpid(), 9)", "signal SIGKILL"), ("1 / 0", "exit code 1")],
)
def test_a_failing_process_ends_all_and_is_named_with_its_log(tmp_path: Path, last: str, how: str) -> None:
    command = _program(tmp_path, f"if rank == 1:\n    {last}\ntime.sleep(60)")
    began = time.monotonic()
    with pytest.raises(ProcessFailedError, match=rf"process 1 of 3 ended with {how}: see .*rank_1\.log"):
        run_processes(command, 3, tmp_path)
    assert time.monotonic() - began < 30
    assert _all_ended(command)
    assert last != "1 / 0" or "ZeroDivisionError" in (tmp_path / "rank_1.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_children_and_their_children_end_with_the_parent(tmp_path: Path, number: signal.Signals) -> None:
    command = _program(
        tmp_path,
        "sys.path.insert(0, os.environ['SOURCE'])\n"
        "from rnc_lightning.system.processes import end_with_parent\n"
        "end_with_parent()\n"
        "if len(sys.argv) == 1 and os.fork() == 0:\n    time.sleep(60)\n"  # as a data worker
        "Path(f'ready_{rank}').touch()\ntime.sleep(60)",
    )
    source = str(Path(__file__).parents[2] / "src")
    parent = tmp_path / "parent.py"
    parent.write_text(
        f"import sys, signal\nfrom pathlib import Path\nsys.path.insert(0, {source!r})\n"
        "from rnc_lightning.system.processes import run_processes\n"
        f"run_processes({command!r}, 2, Path('logs'))\n"
    )
    started = subprocess.Popen([sys.executable, str(parent)], env={**os.environ, "SOURCE": source}, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while not all((tmp_path / f"ready_{rank}").exists() for rank in range(2)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert len(_find_running(command)) == 4
        started.send_signal(number)
        started.wait(timeout=90)
        assert _all_ended(command)
    finally:
        started.kill()
