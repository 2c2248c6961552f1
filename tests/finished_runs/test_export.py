"""Export of encoders."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from finished_runs import array_run, digits_run, faces_run, result_of

from rnc_lightning.command_line.options import command_line
from rnc_lightning.export import _work
from rnc_lightning.finished_runs.export import export_run
from rnc_lightning.finished_runs.finished_run import open_run
from rnc_lightning.numerics.number_text import format_number
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import sha256

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")), reason="no onnx"
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory, tiny_digits: list[str]) -> Path:
    return digits_run(tmp_path_factory.mktemp("digits") / "run", tiny_digits, "head=or")


def _loaded_as_the_card_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    with monkeypatch.context() as there:
        there.chdir(folder)
        exec(code[1], names)
    encoder = names["encoder"]
    assert isinstance(encoder, torch.nn.Module)
    assert not encoder.training
    return encoder


def _features(run: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Test inputs, and the features that the run's own test left behind."""
    data = open_run(run).data_of_run
    x = torch.cat([data.on_after_batch_transfer({"x": batch["x"]})["x"] for batch in data.plain_loader("test")])
    return x, torch.from_numpy(np.load(run / "features.npz")["features"])


def test_an_encoder_of_the_suite(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = export_run(digits)
    assert place == digits / "export"
    names = {path.name for path in place.iterdir()}
    assert names == {"README.md", "config.json", "encoder.json", "encoder.safetensors"}
    assert sha256(place / "encoder.safetensors") == sha256(digits / "encoder.safetensors")
    x, features = _features(digits)
    with torch.no_grad():
        torch.testing.assert_close(_loaded_as_the_card_says(place, monkeypatch)(x), features, rtol=1e-4, atol=1e-5)

    facts = json.loads((place / "config.json").read_text())
    result = result_of(digits)
    assert facts["test"] == result["test"]
    assert facts["files"]["encoder.safetensors"] == sha256(place / "encoder.safetensors")
    assert facts["input"]["shape"] == [1, 16, 16]
    assert facts["target"]["angle"]["unit"] == "degrees"
    card = (place / "README.md").read_text()
    for word in (
        "angle (degrees)",
        "seed 0",
        result["data_fingerprint"],
        "archive.ics.uci.edu",
        format_number(result["test"]["mae"]),
    ):
        assert word in card
    assert "**Of the data, this is synthetic: target.**" in card
    assert (facts["synthetic_data"], facts["synthetic_parts"]) == (False, ["target"])

    with pytest.raises(UserError, match=r"already has an export; overwrite=true"):
        export_run(digits)
    export_run(digits, overwrite=True)
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not an export: choose another folder"):
        export_run(digits, "mine", overwrite=True)
    assert Path("mine/notes.txt").is_file()
    assert not list(digits.glob(".export*"))


def test_timm_loads_a_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = faces_run(tmp_path / "faces" / "run", encoder=["encoder=timm", "encoder.name=test_resnet"])
    place = export_run(run, "exported")
    x, features = _features(run)
    encoder = _loaded_as_the_card_says(place, monkeypatch)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x), features, rtol=1e-4, atol=1e-5)
    card = (place / "README.md").read_text()
    assert 'timm.create_model("test_resnet", checkpoint_path="model.safetensors", num_classes=0' in card
    assert "shorter side to 37 pixels" in card
    assert "AgeDB is provided by its authors on request" in card


@needs_onnx
@pytest.mark.parametrize("kind", ["digits", "array"])
def test_onnx_predicts_the_same(digits: Path, tmp_path: Path, kind: str) -> None:
    import onnxruntime

    run = digits if kind == "digits" else array_run(tmp_path / "run")
    place = export_run(run, "exported", onnx=True)
    x, _ = _features(run)
    session = onnxruntime.InferenceSession(place / "regressor.onnx", providers=["CPUExecutionProvider"])
    column = "angle_prediction" if kind == "digits" else "level_prediction"
    known = pd.read_csv(run / "predictions.csv")[column].to_numpy()
    for count in (1, len(x)):
        found = session.run(None, {"x": x[:count].numpy()})[0]
        assert found.shape == (count, 1)
        np.testing.assert_allclose(found[:, 0], known[:count], rtol=1e-3, atol=1e-3)
    differences = json.loads((place / "config.json").read_text())["onnx_differences"]
    assert f"{len(x)} test inputs" in differences
    assert max(differences.values()) < 1e-3
    assert "Largest difference of ONNX Runtime from PyTorch" in (place / "README.md").read_text()


@needs_onnx
def test_an_onnx_file_that_predicts_something_else_is_refused(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnc_lightning.finished_runs.onnx_export.write_onnx", lambda whole, shape, path: path.touch())
    monkeypatch.setattr("rnc_lightning.finished_runs.onnx_export.largest_difference", lambda *_: 3.0)
    with pytest.raises(UserError, match=r"differs from PyTorch by 3 on .*; nothing was exported"):
        export_run(digits, "exported", onnx=True)
    assert not list(Path().glob("*exported*"))


def test_without_the_packages_one_line_says_so(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnc_lightning.finished_runs.onnx_export._NEEDED", ("onnx_not_here",))
    with pytest.raises(UserError, match=r"onnx=true needs onnx_not_here: pip install 'rnc-lightning\[onnx\]'"):
        export_run(digits, "exported", onnx=True)


def test_the_command(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command_line("export", [f"run={digits}", "out=exported"], _work)
    printed = capsys.readouterr().out
    assert "encoder.safetensors" in printed
    assert "export: exported" in printed
    for arguments, message in (
        (["onnx=maybe"], "onnx=maybe: must be true"),
        (["tolerance=0"], "tolerance=0"),
        (["data=x"], "data: unknown option"),
    ):
        with pytest.raises(UserError, match=message):
            command_line("export", [f"run={digits}", "out=other", *arguments], _work)
