"""Runs of strangers: nothing that their files hold is executed, and each fault is one line with file and key."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from finished_runs import array_run

from rnc_lightning.finished_runs.evaluate import evaluate_run
from rnc_lightning.finished_runs.export import export_run
from rnc_lightning.finished_runs.finished_run import open_run
from rnc_lightning.finished_runs.predict import predict_run
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.source_encoder import source_of
from rnc_lightning.system.errors import UserError

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return array_run(tmp_path_factory.mktemp("array") / "run")


@pytest.fixture
def stranger(made: Path, tmp_path: Path) -> Path:
    """A copy of the run whose files may be changed, with its table beside it."""
    shutil.copy(made.parent / "my.csv", tmp_path / "my.csv")
    return Path(shutil.copytree(made, tmp_path / "run"))


def change(file: Path, changed: Change) -> None:
    """Change a file of a run."""
    is_json = file.suffix == ".json"
    content = json.loads(file.read_text()) if is_json else yaml.safe_load(file.read_text())
    changed(content)
    file.write_text(json.dumps(content) if is_json else yaml.safe_dump(content))


def put(where: str, value: Any) -> Change:
    """Put a value at a place such as `data.split`."""

    def changed(content: dict[str, Any]) -> None:
        *parents, last = where.split(".")
        for parent in parents:
            content = content[parent]
        content[last] = value

    return changed


def predict(run: Path, **options: Any) -> list[float]:
    return predict_run(run, run.parent / "my.csv", "out.csv", overwrite=True, **options)["level_predicted"].tolist()


def test_code_of_a_configuration_is_refused_before_it_is_imported(stranger: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "evil.py").write_text(f"import pathlib; pathlib.Path({str(mark)!r}).touch()\nclass Data: ...")
    change(stranger / "config.yaml", put("callbacks.mine", {"deep": [{"_target_": "evil.Data"}]}))
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(tmp_path)
        for use in (predict, evaluate_run, export_run):
            with pytest.raises(
                UserError, match=r"callbacks\.mine\.deep\[0\]\._target_ is evil.* add trust=evil\.Data$"
            ):
                use(stranger)
        assert not mark.exists()
        open_run(stranger, ["evil"])
    assert open_run(stranger, ["evil.Data"]).stage == "regress"
    with pytest.raises(UserError, match=r"evil\.Data"):
        open_run(stranger, ["evi"])


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("data.train_transform", {"_target_": "pathlib.Path.write_text", "_args_": ["mark", "x"]}),
        ("encoder", {"_target_": "torch.load", "f": "mark", "weights_only": False}),
        ("data.split.file", {"_target_": "rnc_lightning.runs.run.tempfile.mkdtemp"}),
        ("callbacks.mine", {"_partial_": True, "_target_": "hydra.utils.instantiate"}),
        ("head.criterion", "${oc.env:HOME}"),
        ("head._target_", "${oc.decode:os.system}"),
        ("head", {"_target_": ["rnc_lightning.heads.PointHead"]}),
        ("data.plausible", {"${oc.env:HOME}": [0, 1]}),
    ],
)
def test_configurations_are_walked_through_to_the_end(stranger: Path, where: str, value: Any) -> None:
    change(stranger / "config.yaml", put(where, value))
    with pytest.raises(UserError, match=rf"config\.yaml: {re.escape(where.partition('.')[0])}"):
        predict(stranger)
    assert not Path("mark").exists()


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("stages", {"../../elsewhere": {}}, "stages: '../../elsewhere' cannot be the name of a stage"),
        ("stages", [1], r"stages must be an object, got \[1\]"),
        ("stages.regress.module", "x", "stages.regress.module must be an object, got 'x'"),
        ("encoder", None, "encoder is missing"),
        ("data._target_", "torch.nn.Identity", "config.yaml.*altered or is incomplete.*data"),
        ("encoder._target_", "torch.nn.Identity", "Identity has none"),
        ("head", 3, None),
        ("stages.regress.optimizer._target_", "torch.nn.Linear", "optimizer"),
        ("trainer._target_", "torch.nn.Identity", "Identity"),
        ("trainer.precision", "fp3", "trainer"),
        ("target.distance", {"_target_": "torch.nn.Identity"}, "target.distance must be text"),
        ("seed", "x", "seed"),
    ],
)
def test_a_configuration_that_is_none_is_one_line(stranger: Path, where: str, value: Any, said: str | None) -> None:
    change(stranger / "config.yaml", put(where, value))
    if said is None:  # not used after training
        predict(stranger)
        return
    with pytest.raises(UserError, match=said) as error:
        predict(stranger)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "where", "value", "said"),
    [
        ("result.json", "preparation.scale", [1.0, 0.0], r"preparation\.scale\[1\] must be above 0, got 0\.0"),
        ("result.json", "preparation.scale", [1.0, float("nan")], r"preparation\.scale\[1\] must be a finite number"),
        ("result.json", "preparation.centre", [1.0], r"preparation: its lists differ in length \(inputs 2, centre 1"),
        ("result.json", "preparation", [1], r"preparation must be an object, got \[1\]"),
        ("result.json", "target", {}, "target must have at least one dimension"),
        ("result.json", "target.level", {"low": "a"}, "target"),
        ("result.json", "target.level.step", float("inf"), r"target\.level\.step must be a finite number"),
        ("result.json", "status", "done", "'done'"),
        ("result.json", "test", [1], "test must be an object"),
        ("result.json", "data_fingerprint", None, "data_fingerprint must be text, got None"),
        ("stages/regress/stage.json", "checkpoint", "../../../x.ckpt", "checkpoint must be a file of the stage"),
        ("stages/regress/stage.json", "epochs", None, "epochs must be a whole number, got None"),
        ("stages/regress/stage.json", "metrics", 1, "metrics must be an object"),
    ],
)
def test_a_value_that_no_run_writes_is_named(stranger: Path, file: str, where: str, value: Any, said: str) -> None:
    change(stranger / file, put(where, value))
    with pytest.raises(UserError, match=rf"{Path(file).name}.*{said}|run is {said}") as error:
        predict(stranger)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file", ["result.json", "config.yaml", "stages/regress/stage.json"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe", b"[1]", b"{", b"3", b"[" * 300, b"!!python/object/apply:os.system [touch mark]"]
)
def test_a_file_that_is_none_is_one_line(stranger: Path, file: str, content: bytes) -> None:
    (stranger / file).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(stranger / Path(file).parent))) as error:
        predict(stranger)
    assert "\n" not in str(error.value)
    assert not Path("mark").exists()


def test_a_pipe_instead_of_a_file_is_not_waited_for(stranger: Path) -> None:
    for name in ("config.yaml", "result.json"):
        (stranger / name).unlink()
        os.mkfifo(stranger / name)
        with pytest.raises(UserError, match=r"config\.yaml|unfinished"):
            predict(stranger)
    os.mkfifo(stranger.parent / "pipe")
    with pytest.raises(UserError, match="no such directory"):
        predict(stranger.parent / "pipe")


def test_links_out_of_the_run_are_not_written_through(stranger: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name, use in (("evaluations", evaluate_run), ("export", export_run)):
        (stranger / name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(UserError, match=f"{name} leads out of the run, to .*elsewhere: remove the link"):
            use(stranger)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_name_of_the_data_set_is_no_path(stranger: Path) -> None:
    change(stranger / "config.yaml", put("dataset", "../../../elsewhere"))
    change(stranger / "config.yaml", put("data.csv", str(stranger.parent / "my.csv")))
    evaluate_run(stranger)
    assert [path.name for path in stranger.parent.iterdir() if path.is_dir()] == ["run"]
    assert [path.name for path in (stranger / "evaluations").iterdir()] == ["__.._.._elsewhere,test"]


def test_weights_that_are_not_finite_are_refused(stranger: Path) -> None:
    file = stranger / "stages/regress/best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    checkpoint["state_dict"][
        "head.linear.bias"
        if "head.linear.bias" in checkpoint["state_dict"]
        else next(name for name in checkpoint["state_dict"] if name.endswith("bias"))
    ].fill_(float("nan"))
    torch.save(checkpoint, file)
    for use in (predict, evaluate_run, export_run):
        with pytest.raises(
            UserError, match=r"best\.ckpt has weights that are not finite numbers, the first in \S*bias"
        ):
            use(stranger)


def test_predictions_that_are_not_finite_are_refused_with_their_names(stranger: Path) -> None:
    Path("far.csv").write_text("name,a,b\nx,1,2\ny,3e38,-3e38\n", encoding="utf-8")
    change(stranger / "result.json", put("preparation.scale", [1e-30, 1e-30]))
    with pytest.raises(UserError, match=r"1 of 2 predictions are not finite numbers, for example of y"):
        predict_run(stranger, "far.csv", "new.csv")
    assert not Path("new.csv").exists()


def test_another_run_s_encoder_needs_no_configuration(stranger: Path) -> None:
    (stranger / "config.yaml").write_text("_target_: os.system")
    facts = source_of(str(stranger))
    assert facts is not None
    assert facts["dataset"] == "array"
    change(stranger / "result.json", lambda content: content.pop("dataset"))
    with pytest.raises(UserError, match=r"encoder_from=.*result\.json: missing: dataset"):
        source_of(str(stranger))
    (stranger / "encoder.json").write_text("[1]")
    with pytest.raises(UserError, match=r"encoder\.json was changed or cut short: not a JSON object"):
        source_of(str(stranger))


def test_texts_that_a_spreadsheet_would_run_are_escaped_on_request(stranger: Path) -> None:
    Path("rows.csv").write_text('name,a,b\n"=HYPERLINK(""x"")",1,2\n-5,1,2\n@b,1,2\n', encoding="utf-8")
    predict_run(stranger, "rows.csv", "as_given.csv")
    table = predict_run(stranger, "rows.csv", "escaped.csv", escape_formulas=True)
    assert table["name"].tolist() == ['=HYPERLINK("x")', "-5", "@b"]
    names = [
        [line.rpartition(",1,2,")[0] for line in Path(f).read_text().splitlines()[1:]]
        for f in ("as_given.csv", "escaped.csv")
    ]
    assert names == [['"=HYPERLINK(""x"")"', "-5", "@b"], ['"\'=HYPERLINK(""x"")"', "-5", "'@b"]]


def test_a_cache_is_not_created_where_a_configuration_says(stranger: Path, tmp_path: Path) -> None:
    change(stranger / "config.yaml", put("data.csv", str(tmp_path / "my.csv")))
    change(stranger / "config.yaml", put("data.cache_dir", str(tmp_path / "cache")))
    evaluate_run(stranger)
    assert not (tmp_path / "cache").exists()


def test_predictions_are_those_of_the_run(made: Path, stranger: Path) -> None:
    assert np.allclose(predict(stranger), predict(made))


def test_features_are_sized_and_damaged_ones_are_named(stranger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(stranger)
    assert directory.features()[0].ndim == 2
    directory.write_features(np.zeros((100_000, 8)), np.zeros((100_000, 1)))
    monkeypatch.setenv("RNC_UNPACK_GB", "0.001")
    with pytest.raises(UserError, match=r"features\.npz was altered or cut short: .* that would become"):
        directory.features()
    for content in (b"", b"PK\x03\x04", directory.features_file.read_bytes()[:-30]):
        directory.features_file.write_bytes(content)
        with pytest.raises(UserError, match=r"features\.npz was altered or cut short"):
            directory.features()
