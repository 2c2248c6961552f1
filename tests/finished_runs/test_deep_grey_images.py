"""What comes after a run on grey images of 12 bits, stored in 16, some of them transparent: all reads them alike."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from finished_runs import SMALL, _trained
from PIL import Image

from rnc_lightning.finished_runs.evaluate import evaluate_run
from rnc_lightning.finished_runs.export import export_run
from rnc_lightning.finished_runs.finished_run import open_run
from rnc_lightning.finished_runs.predict import predict_run
from rnc_lightning.system.errors import UserError


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of L1 on squares whose brightness is the target, `images/` and `my.csv` beside it."""
    folder = tmp_path_factory.mktemp("deep")
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    rows = ["path,shade"]
    for i in range(30):
        shade = int(generator.integers(200, 3800))
        values = generator.integers(shade - 150, shade + 150, (20, 24)).astype(np.uint16)
        values[0, 0] = 4000
        cv2.imwrite(str(folder / f"images/{i:02}.png"), values)
        rows.append(f"images/{i:02}.png,{shade}")
    (folder / "my.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return _trained(
        folder / "run", "data=table", "method=l1", "recipe=small", f"data.csv={folder / 'my.csv'}",
        "data.target=[shade]", "input.channels=1", "input.size=16", "data.num_workers=0", "data.cache_dir=null", *SMALL,
        "recipe.end_to_end.batch_size=8", "data.train_transform.jitter=0",
    )  # fmt: skip


def test_the_range_is_found_in_training_and_stored(deep: Path) -> None:
    result = json.loads((deep / "result.json").read_text())
    assert result["preparation"] == {"image_range": [0, 4095], "images_of_8_bits": False}
    split = open_run(deep).data_of_run.splits["test"]
    assert max(len(np.unique(image)) for image in split.inputs) > 16
    assert open_run(deep).regressor().encoder.stem[0].in_channels == 1  # type: ignore[index,union-attr]


def test_predict_reads_as_in_training(deep: Path, tmp_path: Path) -> None:
    folder = deep.parent / "images"
    table = predict_run(deep, folder, "out.csv").set_index("file")
    known = pd.read_csv(deep / "predictions.csv")
    found = {f"images/{name}": value for name, value in table["shade_predicted"].items()}
    expected = dict(zip(known["name"], known["shade_prediction"], strict=True))
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-3)
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(np.full((9, 9), 200, np.uint8)).save(other / "eight.png")
    cv2.imwrite(str(other / "more.png"), np.full((9, 9), 9000, np.uint16))
    os.mkfifo(other / "pipe.png")
    with pytest.raises(UserError, match="3 samples cannot be used") as raised:
        predict_run(deep, other, "other.csv")
    details = sorted(raised.value.details)
    assert details[0] == f"not a file: {other / 'pipe.png'} (a named pipe, not a file)"
    assert "eight.png (8 bits per channel, but the training images have more: save it like them)" in details[1]
    assert "more.png (values up to 9000, but those of the training images end below 4096" in details[2]


def test_the_export_describes_it(deep: Path) -> None:
    folder = export_run(deep, "exported")
    stated = json.loads((folder / "config.json").read_text())["input"]
    assert stated == {
        "shape": [1, 16, 16], "kind": "grey image", "resize": 18, "crop": 16, "mean": [0.5], "std": [0.5],
        "background": [255, 255, 255], "exif_orientation": True, "image_range": [0, 4095],
    }  # fmt: skip
    card = (folder / "README.md").read_text()
    assert "Grey images" in card
    assert "0 becomes 0 and 4095 becomes 255" in card


def test_corrupted_evaluation_has_one_channel_too(deep: Path) -> None:
    table = evaluate_run(deep, corruptions=["fog"], severities=[3], ordinality=False)
    assert table["mae"].notna().all()


def test_other_data_are_read_in_the_same_way(deep: Path) -> None:
    options = ["data=table", f"data.csv={deep.parent / 'my.csv'}", "data.target=[shade]", "data.num_workers=0"]
    with pytest.raises(UserError, match=r"table has 3 input channels, .* takes 1"):
        open_run(deep).other_data(options)
    data, _ = open_run(deep).other_data([*options, "input.channels=1", "data.cache_dir=null"])
    run = open_run(deep).data_of_run
    assert data.reading.image_range == (0, 4095)  # type: ignore[attr-defined]
    for mine, theirs in zip(run.splits["test"].inputs, data.splits["test"].inputs, strict=True):
        np.testing.assert_array_equal(mine, theirs)
