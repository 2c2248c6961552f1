"""What a person sees on the command line, above all when something is wrong."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnc_lightning.command_line.messages import run_plain
from rnc_lightning.system.signals import Terminated


def _call(*words: str, module: str = "rnc_lightning.train") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *words], capture_output=True, text=True, timeout=120)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """The command in this process, which spares the imports."""
    from rnc_lightning.train import main

    def go(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["train", *words])
        main()

    before = logging.root.handlers[:], logging.root.level
    yield go
    logging.root.handlers[:], logging.root.level = before  # Hydra has put its own there
    os.environ.pop("HYDRA_FULL_ERROR", None)  # and the command has asked it for whole errors


@pytest.fixture
def here(command: Callable[..., None]) -> Callable[..., int]:
    """A command that ends early; returns its exit code."""

    def go(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            command(*words)
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return go


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["data.batchsize=3"], ["data.batchsize", "data.batch_size"]),
        (["+experiment=digits_rnc", "reciep.pretrain.lr=1"], ["reciep", "recipe"]),
        (["+seeed=1"], ["seeed", "seed"]),
        (["+stages.regress.epoch=1"], ["stages.regress.epoch", "stages.regress.epochs"]),
        (["+experiment=digit_rnc"], ["digit_rnc", "digits_rnc"]),
        (["encoder=resnt18"], ["resnt18", "resnet18"]),
        (["data.batch_size=-8"], ["batch_size", "-8"]),
        (["recipe.pretrain.epochs=0"], ["epochs", "0"]),
        (["recipe.pretrain.lr=-1"], ["optimizer", "-1"]),
        (["objective.temperature=0"], ["objective", "temperature"]),
        (["encoder=timm", "encoder.name=resnt18"], ["encoder", "resnt18", "resnet18"]),
        (["encoder=timm"], ["encoder.name"]),
        (["seed=-1"], ["seed"]),
        (["data=agedb", "paths.data_dir=nowhere"], ["nowhere/agedb.csv", "RNC_DATA"]),
        (["method=l1", "scheme=linear_probe"], ["scheme=linear_probe", "objective=rnc"]),
        (["+data.colour=3"], ["data", "colour"]),
        (["trainer.accelerator=abacus"], ["trainer", "abacus"]),
        (["head=huber", "head.delta=0"], ["head", "delta", "0"]),
        (["head=crn"], ["crn", "corn"]),
        (["head=corn", "+head.task_weights=sqrt_frequency"], ["head", "task_weights", "CORN"]),
        (["head=dex", "target.dimensions.angle.step=1e-5"], ["head", "dimensions.angle", "step", "bins"]),
        (["method=l1", "scheme=regularization"], ["method=l1", "objective=rnc"]),
        (["scheme=regularization", "recipe.regularization.weight=much"], ["regularizers.objective.weight", "much"]),
        (["~head_name"], ["head_name"]),
        (["trainer=ddp_cpu", "trainer.strategy=ddp_spawn"], ["strategy=ddp_spawn", "use trainer.strategy=ddp"]),
        (["trainer=ddp_cpu", "trainer.strategy=ddp_notebook"], ["strategy=ddp_notebook", "use trainer.strategy=ddp"]),
        (["trainer=ddp_cpu", "trainer.strategy=fsdp"], ["strategy=fsdp", "use trainer.strategy=ddp"]),
        (["trainer._target_=own_trainer.two_processes"], ["2 processes", "trainer.devices=2", "trainer=ddp"]),
        (["trainer.devices=two"], ["trainer.devices", "two"]),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_no_run(
    words: list[str],
    expected: list[str],
    tmp_path: Path,
    here: Callable[..., int],
    capfd: pytest.CaptureFixture,
) -> None:
    assert here(*words, "print_config=false") != 0
    stdout, stderr = capfd.readouterr()
    lines = [line for line in stderr.splitlines() if line.strip()]
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: ")
    for word in expected:
        assert word in lines[0]
    assert not stdout.strip()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--seed=3", "--seed=3: write seed=3"),
        ("--multirn", "--multirn: unknown option; options are written key=value; did you mean --multirun?"),
        ("hello", "hello: an option is key=value, such as seed=1; --help shows all"),
        ("=3", "=3: an option is key=value; --help lists all"),
    ],
)
def test_another_way_of_writing_ends_with_2(
    argument: str, told: str, here: Callable[..., int], capfd: pytest.CaptureFixture
) -> None:
    assert here(argument) == 2
    assert capfd.readouterr().err == f"error: {told}\n"


@pytest.mark.parametrize(
    ("stop", "code", "told"),
    [(KeyboardInterrupt(), 130, "stopped\n"), (Terminated(), 143, "stopped by SIGTERM\n")],
)
def test_what_is_stopped_ends_quietly(stop: BaseException, code: int, told: str, capsys: pytest.CaptureFixture) -> None:
    def main() -> None:
        raise stop

    with pytest.raises(SystemExit) as ended:
        run_plain(main, resumes=False)
    assert (ended.value.code, capsys.readouterr().err) == (code, told)


def test_a_closed_pipe_ends_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "rnc_lightning.report", "--help"]
    called = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=120)
    os.close(writing)
    assert (called.returncode, called.stderr) == (1, b"")


@pytest.mark.parametrize(
    "words",
    [
        ["data.batchsize=3"],
        # What only the run finds ends the same way; its line is held above, and the imports take long.
        pytest.param(["data=agedb", "paths.data_dir=nowhere"], marks=pytest.mark.slow),
    ],
)
def test_a_process_of_its_own_says_the_same_and_ends_with_1(words: list[str]) -> None:
    called = _call(*words, "print_config=false")
    assert called.returncode == 1
    assert len(called.stderr.splitlines()) == 1
    assert called.stderr.startswith("error: ")
    assert not called.stdout.strip()


def test_help_says_how_and_lists_the_choices() -> None:
    called = _call("--help")
    assert called.returncode == 0
    for word in ("+experiment=digits_rnc", "agedb", "method: balanced_mse, conr", "--cfg job"):
        assert word in called.stdout


def test_nothing_heavy_is_imported_for_help_and_for_reading_a_configuration() -> None:
    heavy = ("torch", "lightning", "timm", "pandas")
    code = f"import sys, rnc_lightning.train; print([m for m in {heavy} if m in sys.modules])"
    called = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert called.stdout.strip() == "[]"


def test_the_last_word_is_the_command_lines() -> None:
    words = ["+experiment=digits_l1", "method=rnc", "scheme=fine_tune", "objective.temperature=0.5", "--cfg", "job"]
    called = _call(*words, "--resolve")
    for line in ("method: rnc", "scheme: fine_tune", "temperature: 0.5"):
        assert line in called.stdout


def test_a_sweep_is_one_run_a_job(tiny_digits: list[str], tmp_path: Path, command: Callable[..., None]) -> None:
    command("-m", "+experiment=digits_l1", *tiny_digits, "recipe.end_to_end.epochs=1", "seed=0,1")
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("result.json")]
    assert sorted(result["seed"] for result in results) == [0, 1]
    assert results[0]["test"]["mae"] != results[1]["test"]["mae"]
