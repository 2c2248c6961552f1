"""Nothing is shown as finished or continued before data, configuration, encoders and files are as they were."""

import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning import Callback
from PIL import Image

from rnc_lightning.command_line.compose import compose_config
from rnc_lightning.finished_runs import evaluate_run
from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.signals import Terminated

QUIET = (
    "trainer=cpu", "plots=false", "print_config=false", "trainer.enable_progress_bar=false",
    "callbacks.model_summary=null", "callbacks.diagnostics=null", "paths.encoder_dir=null",
)  # fmt: skip
NUMBERS = (
    "data=array", "method=rnc", "data.csv=my.csv", "data.target=[level]", "data.id=name", "input.channels=2",
    "encoder.width=8", "encoder.depth=1", "recipe.pretrain.epochs=1", "recipe.pretrain.batch_size=8",
    "recipe.linear_probe.epochs=1", "recipe.linear_probe.batch_size=8",
)  # fmt: skip
PICTURES = (
    "data=table", "method=l1", "recipe=small", "data.csv=my.csv", "data.input=file", "data.target=[level]",
    "data.num_workers=0", "input.size=8", "encoder=small_resnet", "encoder.width=4", "encoder.stages=2",
    "recipe.end_to_end.epochs=1", "recipe.end_to_end.batch_size=4",
)  # fmt: skip


def _start(*words: str, place: str = "run") -> dict[str, Any]:
    words = (*words, *QUIET)
    run(compose_config([*words, f"paths.run_dir={place}"]), words)
    found: dict[str, Any] = json.loads(Path(place, "result.json").read_text())
    return found


def _write_numbers() -> None:
    rows = [f"row{i},{i % 7},{(i * 13) % 11},{2 * (i % 7) - (i * 13) % 11}" for i in range(60)]
    Path("my.csv").write_text("\n".join(["name,a,b,level", *rows]) + "\n")


def _write_pictures() -> None:
    for i in range(20):
        Image.fromarray(np.full((8, 8, 3), 12 * i, np.uint8)).save(f"{i}.bmp")
    Path("my.csv").write_text("file,level\n" + "".join(f"{i}.bmp,{i}\n" for i in range(20)))


def _trained(folder: Path, write: Callable[[], None], words: tuple[str, ...]) -> Path:
    here = Path.cwd()
    os.chdir(folder)
    try:
        write()
        _start(*words)
    finally:
        os.chdir(here)
    return folder


@pytest.fixture(scope="module")
def trained_numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two stages on numbers, beside its table."""
    return _trained(tmp_path_factory.mktemp("numbers"), _write_numbers, NUMBERS)


@pytest.fixture(scope="module")
def trained_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on pictures, beside them."""
    return _trained(tmp_path_factory.mktemp("pictures"), _write_pictures, PICTURES)


@pytest.fixture
def numbers(trained_numbers: Path, tmp_path: Path) -> None:
    """A copy of that run in this folder."""
    shutil.copytree(trained_numbers, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def pictures(trained_pictures: Path, tmp_path: Path) -> None:
    """A copy of that run in this folder."""
    shutil.copytree(trained_pictures, tmp_path, dirs_exist_ok=True)


def _repair(name: str) -> None:
    """Replace a picture by one of the same size, with the old time."""
    before = Path(name).stat()
    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(name)
    os.utime(name, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Path(name).stat().st_size == before.st_size


@pytest.mark.usefixtures("pictures")
def test_pictures_repaired_at_the_same_size_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    before = _start(*PICTURES)
    for name in ("3.bmp", "5.bmp"):
        _repair(name)
    with pytest.raises(
        UserError,
        match=r"run is finished, but its data have changed since \(changed: the inputs of 2 samples \(.*[35]\.bmp.*\)\)"
        r": .*another directory for this run \(paths\.run_dir=\.\.\.\), or delete that one; compare_data=false shows",
    ):
        _start(*PICTURES)
    with pytest.raises(UserError, match=r"run was trained on other data \(changed: the inputs of 2 samples"):
        evaluate_run("run")
    caplog.set_level(logging.WARNING)
    assert _start(*PICTURES, "compare_data=false") == before
    assert "not compared" in caplog.text
    fresh = _start(*PICTURES, place="fresh")
    assert fresh["data_fingerprint"] != before["data_fingerprint"]
    assert fresh["test"] != before["test"]


@pytest.mark.usefixtures("pictures")
def test_an_evaluation_of_data_that_changed_since_is_not_shown_again() -> None:
    table = evaluate_run("run")
    assert evaluate_run("run").equals(table)
    _repair("4.bmp")
    with pytest.raises(UserError, match="was trained on other data"):
        evaluate_run("run")


def _relabel() -> None:
    lines = Path("my.csv").read_text().splitlines()
    lines[7] = lines[7].rpartition(",")[0] + ",5.25"
    Path("my.csv").write_text("\n".join(lines) + "\n")


def _append() -> None:
    with Path("my.csv").open("a") as file:
        file.write("row60,1,2,3\n")


def _change_input() -> None:
    Path("my.csv").write_text(Path("my.csv").read_text().replace("row9,2,", "row9,3,"))


@pytest.mark.usefixtures("numbers")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_relabel, r"the labels of 1 sample \(row6\)"),
        (_append, r"1 sample \(row60\) added"),
        (_change_input, r"the inputs of .*row"),
        (lambda: Path("my.csv").unlink(), r"is finished, but its data cannot be compared .*compare_data=false"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_changed_tables_are_named_before_a_result_is_shown_or_continued(
    change: Callable[[], None], words: str, finished: bool
) -> None:
    change()
    if not finished:
        if not Path("my.csv").exists():
            pytest.skip("is refused as missing")
        Path("run/result.json").unlink()
        words = rf"run was started on other data \(changed: .*{words}.*\): restore the data, choose"
    with pytest.raises(UserError, match=words):
        _start(*NUMBERS)


FILES = (
    "config.yaml", "encoder.json", "encoder.safetensors", "predictions.csv", "features.npz", "result.json",
    "data_contents.npz", "data_fingerprint.txt", "stages/regress/encoder.safetensors", "stages/regress/encoder.json",
    "stages/regress/stage.json", "stages/regress/metrics.csv", "stages/regress/best.ckpt", "stages/pretrain/stage.json",
    "stages/pretrain/encoder.safetensors", "stages/pretrain/metrics.csv",
)  # fmt: skip


def _checksums() -> dict[str, str]:
    trained = {"result.json", "stages/regress/stage.json", "stages/regress/metrics.csv", "stages/regress/best.ckpt"}
    return {name: hashlib.sha256(Path("run", name).read_bytes()).hexdigest() for name in FILES if name not in trained}


@pytest.mark.usefixtures("numbers")
@pytest.mark.parametrize(
    ("name", "keep"),
    [
        *((name, (0.0, 0.5, None)[i % 3]) for i, name in enumerate(FILES)),
        ("config.yaml", 0.5), ("result.json", None), ("encoder.safetensors", 0.5),
        ("stages/regress/encoder.safetensors", 0.0),
    ],
)  # fmt: skip
def test_a_damaged_file_is_as_an_absent_one_and_written_again(name: str, keep: float | None) -> None:
    before, files = json.loads(Path("run/result.json").read_text()), _checksums()
    path = Path("run", name)
    if name.startswith(("stages", "data")):  # looked at while the run is not finished
        Path("run/result.json").unlink()
    if keep is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    now = _start(*NUMBERS)
    assert now["test"] == before["test"]
    assert now["files"].keys() == before["files"].keys()
    assert json.loads(Path("run/result.json").read_text())["status"] == "finished"
    if name != "data_contents.npz" and not name.startswith("data_fingerprint"):
        again = _checksums()
        assert {key for key in files if again[key] != files[key]} <= {"stages/pretrain/stage.json"}
        assert path.stat().st_size > 0


@pytest.mark.usefixtures("numbers")
def test_a_damaged_configuration_of_another_run_is_refused() -> None:
    Path("run/config.yaml").write_text("")
    with pytest.raises(UserError, match=r"run holds stages of a run, but its config\.yaml is missing or damaged"):
        _start(*NUMBERS, "seed=1")
    Path("run/result.json").write_text("[]")
    with pytest.raises(UserError, match=r"result\.json does not show that it is this run: choose another directory"):
        _start(*NUMBERS)


@pytest.mark.usefixtures("numbers")
def test_a_damaged_stage_cannot_be_evaluated() -> None:
    Path("run/stages/regress/stage.json").write_text("")
    with pytest.raises(UserError, match=r"regress/stage\.json was altered .*; the command of the run trains"):
        evaluate_run("run")


@pytest.mark.usefixtures("numbers")
def test_stages_whose_data_are_not_known_are_refused() -> None:
    for name in ("data_fingerprint.txt", "data_contents.npz", "result.json"):
        Path("run", name).write_text("")
    with pytest.raises(UserError, match=r"run has lost the record of its data \(data_fingerprint\.txt\)"):
        _start(*NUMBERS)


@pytest.mark.usefixtures("numbers")
def test_an_encoder_that_has_changed_since_is_noticed() -> None:
    words = (*NUMBERS, "scheme=transfer_probe", "encoder_from=run")
    _start(*words, place="target")
    _start(*NUMBERS, "seed=1", place="other")
    for name in ("encoder.safetensors", "encoder.json"):
        shutil.copy(Path("other", name), Path("run", name))
    with pytest.raises(UserError, match=r"target started from run/encoder\.safetensors, which has changed since"):
        _start(*words, place="target")
    Path("target/result.json").write_text(
        json.dumps({**json.loads(Path("target/result.json").read_text()), "status": "failed"})
    )
    with pytest.raises(UserError, match=r"target started from run/encoder\.safetensors, which has changed since"):
        _start(*words, place="target")


class Strike(Callback):
    """Removes the run's directory in the first epoch."""

    deed: Callable[[], None] | None = None

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        deed, Strike.deed = Strike.deed, None
        if deed is not None:
            deed()


@pytest.mark.parametrize("how", ["moved", "replaced"])
def test_a_run_directory_removed_while_running_is_one_line(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_numbers()
    monkeypatch.setitem(sys.modules, "test_comparison", sys.modules[__name__])

    def deed() -> None:
        if how == "moved":
            Path("run").rename("elsewhere")
        else:
            shutil.rmtree("run")
        if how == "replaced":
            Path("run").mkdir()

    words = (*NUMBERS, "+callbacks.strike._target_=test_comparison.Strike")
    monkeypatch.setattr(Strike, "deed", staticmethod(deed))
    with pytest.raises(UserError, match="run was removed, moved or replaced while the run was working"):
        _start(*words)
    assert not Path("run").exists()
    assert _start(*words)["status"] == "finished"


def test_what_a_killed_process_left_is_deleted() -> None:
    _write_numbers()
    Path("run/plots").mkdir(parents=True)
    for name in ("plots/.umap.123.png", ".result.77.json"):
        Path("run", name).write_text("half")
    _start(*NUMBERS)
    assert not list(Path("run").rglob(".*.*.*"))


def test_plots_are_named_only_where_there_are_some(capsys: pytest.CaptureFixture[str]) -> None:
    _write_numbers()
    _start(*NUMBERS)
    assert "plots:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file", r"file.*: (a part of this path is not a folder|something that is not a folder)"),
        ("file/run", r"file.*: a part of this path is not a folder"),
        ("link", r"link.*: something that is not a folder or a regular file, or a link to nothing, is in its place"),
        ("circle/run", r"circle.*: its links go in a circle"),
        ("/dev/full", r"/dev/full.*: (something|a part of this path)"),
        ("x" * 300, "a name in this path is too long"),
    ],
)
def test_paths_that_cannot_be_a_run_directory_are_one_line(place: str, message: str) -> None:
    _write_numbers()
    Path("file").touch()
    Path("link").symlink_to("nothing")
    Path("circle").symlink_to("circle")
    with pytest.raises(UserError, match=message):
        _start(*NUMBERS, place=place)


def test_an_interrupted_run_is_not_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnc_lightning.runs import run as module

    _write_numbers()

    def stop(*_: Any) -> None:
        raise Terminated

    monkeypatch.setattr(module, "execute_here", stop)
    with pytest.raises(Terminated):
        _start(*NUMBERS)
    assert not Path("run").exists()
