"""Images of your own, listed in a table."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from rnc_lightning.datasets.image_table import TableDataModule
from rnc_lightning.datasets.images.transforms import augmented_image, centred_image
from rnc_lightning.system.errors import UserError


def _images(folder: Path, count: int = 24) -> pd.DataFrame:
    """Grey squares whose brightness is known, of six people, and the table that lists them."""
    (folder / "faces").mkdir(parents=True)
    rows = []
    for i in range(count):
        shade = 10 * i
        Image.new("RGB", (20, 16 + i % 3), (shade, shade, shade)).save(folder / f"faces/{i:02d}.png")
        rows.append({"path": f"faces/{i:02d}.png", "shade": shade, "half": shade / 2, "person": f"p{i % 6}"})
    return pd.DataFrame(rows)


def _module(csv: Path, **more: Any) -> TableDataModule:
    settings: dict[str, Any] = {"target": ["shade"], "batch_size": 4, **more}
    return TableDataModule(
        csv=str(csv), train_transform=augmented_image(16), eval_transform=centred_image(16, 18), **settings
    )


def _read(csv: Path, **more: Any) -> TableDataModule:
    module = _module(csv, **more)
    module.setup()
    return module


def _assignment(module: TableDataModule) -> dict[str, str]:
    return {name: part for part, split in module.splits.items() for name in split.names}


def test_images_belong_to_their_labels(tmp_path: Path) -> None:
    _images(tmp_path).to_csv(tmp_path / "my.csv", index=False)
    module = _read(tmp_path / "my.csv", target=["shade", "half"], split={"by": None, "val": 0.25, "test": 0.25})
    assert module.counts == {"train": 12, "val": 6, "test": 6}
    assert module.target_names == ["shade", "half"]
    for split in module.splits.values():
        for i, name in enumerate(split.names):
            shade = 10.0 * int(Path(name).stem)
            assert split.targets[i].tolist() == [shade, shade / 2]
            assert np.asarray(split.inputs[i]).mean() == shade
    batch = next(iter(module.test_dataloader()))
    assert (batch["x"].shape, batch["y"].shape) == ((6, 3, 16, 16), (6, 2))


def test_one_target_may_be_a_word(tmp_path: Path) -> None:
    _images(tmp_path).to_csv(tmp_path / "my.csv", index=False)
    assert _read(tmp_path / "my.csv", target="half").target_names == ["half"]


def test_paths_may_be_relative_to_another_folder(tmp_path: Path) -> None:
    table = _images(tmp_path / "images")
    (tmp_path / "tables").mkdir()
    table.to_csv(tmp_path / "tables/my.csv", index=False)
    with pytest.raises(UserError, match="none of the files in column path exists"):
        _read(tmp_path / "tables/my.csv")
    module = _read(tmp_path / "tables/my.csv", root=str(tmp_path / "images"))
    assert len(_assignment(module)) == 24
    assert not module.synthetic
    (tmp_path / "images/SYNTHETIC_DATA.txt").touch()
    assert module.synthetic


def test_a_split_column_is_followed(tmp_path: Path) -> None:
    table = _images(tmp_path)
    table["part"] = ["train"] * 16 + ["valid"] * 4 + ["TEST"] * 4
    table.to_csv(tmp_path / "my.csv", index=False)
    module = _read(tmp_path / "my.csv", split_column="part")
    assert list(module.splits["val"].names) == [f"faces/{i}.png" for i in range(16, 20)]
    assert list(module.splits["test"].names) == [f"faces/{i}.png" for i in range(20, 24)]
    module.write_division(tmp_path / "split.csv")
    assert not (tmp_path / "split.csv").exists()


def test_a_drawn_split_is_written_and_reused(tmp_path: Path) -> None:
    _images(tmp_path).to_csv(tmp_path / "my.csv", index=False)
    drawn = _read(tmp_path / "my.csv", group="person", split={"by": None, "seed": 3})
    drawn.write_division(tmp_path / "split.csv")
    written = pd.read_csv(tmp_path / "split.csv")
    assert dict(zip(written["name"], written["split"], strict=True)) == _assignment(drawn)
    again = _read(tmp_path / "my.csv", split={"file": str(tmp_path / "split.csv")})
    assert _assignment(again) == _assignment(drawn)
    people = {part: {int(Path(n).stem) % 6 for n in split.names} for part, split in drawn.splits.items()}
    assert sum(len(found) for found in people.values()) == 6  # each of the six in one part


def test_parquet_equals_csv(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = _images(tmp_path)
    table.to_csv(tmp_path / "my.csv", index=False)
    table.to_parquet(tmp_path / "my.parquet")
    csv, parquet = _read(tmp_path / "my.csv"), _read(tmp_path / "my.parquet")
    assert _assignment(csv) == _assignment(parquet)
    assert csv.fingerprint == parquet.fingerprint


def test_all_that_is_wrong_is_told_at_once_and_can_be_skipped(tmp_path: Path) -> None:
    table = _images(tmp_path).astype({"shade": object})
    (tmp_path / "faces/03.png").unlink()
    cut = tmp_path / "faces/04.png"
    cut.write_bytes(cut.read_bytes()[:60])
    (tmp_path / "faces/05.png").write_text("not an image")
    table.loc[6, "path"] = "../faces/06.png"
    table.loc[7, "shade"] = "grey"
    table.loc[8, "shade"] = None
    table.loc[9, "shade"] = 999
    table.loc[11, "path"] = "faces/10.png"
    table.loc[12, "person"] = None
    table.to_csv(tmp_path / "my.csv", index=False)
    settings: dict[str, Any] = {"plausible": {"shade": [0, 255]}, "group": "person", "split": {"val": 0.2, "test": 0.2}}
    with pytest.raises(UserError, match=r"^my.csv: 9 samples cannot be used .*data.on_bad=skip") as raised:
        _read(tmp_path / "my.csv", **settings)
    told = sorted(detail.split(" (")[0] for detail in raised.value.details)
    assert told == [
        "missing file: my.csv, row 5",
        "path outside the folder: my.csv, row 8",
        "path that occurs more than once: my.csv, row 13",
        "person missing: my.csv, row 14",
        "shade missing: my.csv, row 10",
        "shade not a finite number: my.csv, row 9",
        "shade outside 0 to 255: my.csv, row 11",
        "unreadable file: my.csv, row 6",
        "unreadable file: my.csv, row 7",
    ]
    module = _read(tmp_path / "my.csv", on_bad="skip", **settings)
    assert sorted(_assignment(module)) == [f"faces/{i:02d}.png" for i in (0, 1, 2, 10, *range(13, 24))]
    assert sum(module.skipped.values()) == 9


def test_only_bad_rows_end_with_the_list_of_them(tmp_path: Path) -> None:
    table = _images(tmp_path).assign(shade="?")
    table.to_csv(tmp_path / "my.csv", index=False)
    with pytest.raises(UserError, match="24 samples cannot be used") as raised:
        _read(tmp_path / "my.csv")
    assert len(raised.value.details) == 24
    with pytest.raises(UserError, match="no samples are left in train and val and test"):
        _read(tmp_path / "my.csv", on_bad="skip")


def test_an_empty_part_of_a_split_column_is_refused(tmp_path: Path) -> None:
    _images(tmp_path).assign(part="train").to_csv(tmp_path / "my.csv", index=False)
    with pytest.raises(UserError, match=r"my\.csv: no samples are left in val and test"):
        _read(tmp_path / "my.csv", split_column="part")


def test_other_pixels_are_other_data(tmp_path: Path) -> None:
    _images(tmp_path).to_csv(tmp_path / "my.csv", index=False)
    before = _read(tmp_path / "my.csv").fingerprint
    noise = torch.randint(0, 255, (16, 20, 3), dtype=torch.uint8).numpy()
    Image.fromarray(noise).save(tmp_path / "faces/00.png")
    assert _read(tmp_path / "my.csv").fingerprint != before


def test_the_split_of_a_run_with_skipped_images_fits_the_same_table_again(tmp_path: Path) -> None:
    table = _images(tmp_path)
    table.to_csv(tmp_path / "my.csv", index=False)
    (tmp_path / "faces/05.png").write_text("not an image")
    first = _read(tmp_path / "my.csv", on_bad="skip")
    first.write_division(tmp_path / "split.csv")
    again = _read(tmp_path / "my.csv", on_bad="skip", split={"file": str(tmp_path / "split.csv")})
    assert _assignment(again) == _assignment(first)
    assert len(_assignment(again)) == 23


def test_a_name_that_no_file_can_have_is_a_missing_file(tmp_path: Path) -> None:
    table = _images(tmp_path)
    table.loc[3, "path"] = "faces/" + "x" * 300 + ".png"
    table.to_csv(tmp_path / "my.csv", index=False)
    with pytest.raises(UserError, match="1 x missing file"):
        _read(tmp_path / "my.csv")


def test_columns_named_by_numbers(tmp_path: Path) -> None:
    table = _images(tmp_path).rename(columns={"path": "1", "shade": "2", "person": "3"})
    table.to_csv(tmp_path / "my.csv", index=False)
    module = _read(tmp_path / "my.csv", input=1, target=[2], group=3)
    assert len(_assignment(module)) == 24


def test_absolute_paths_are_known_behind_a_link(tmp_path: Path) -> None:
    table = _images(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    table["path"] = [f"{tmp_path}/{'real' if i % 2 else 'link'}/{path}" for i, path in enumerate(table["path"])]
    table.to_csv(tmp_path / "link/my.csv", index=False)
    assert set(_assignment(_read(tmp_path / "link/my.csv"))) == {f"faces/{i:02d}.png" for i in range(24)}


def _deep_images(folder: Path, high: int = 4000) -> pd.DataFrame:
    """The squares of `_images`, noisy, with 12 bits stored in 16."""
    table = _images(folder)
    generator = np.random.default_rng(0)
    for i in range(24):
        values = generator.integers(0, high, (16, 20)).astype(np.uint16)
        Image.fromarray(values).save(folder / f"faces/{i:02d}.png")
    table.to_csv(folder / "my.csv", index=False)
    return table


def test_sixteen_bits_use_the_range_of_the_training_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _deep_images(tmp_path)
    cache = {"cache": True, "cache_dir": str(tmp_path / "cache")}
    found, cached, given = (
        _read(tmp_path / "my.csv", **more) for more in ({}, cache, {"image_range": [0, 2047], "cache": False})
    )
    assert found.preparation == cached.preparation == {"image_range": [0, 4095], "images_of_8_bits": False}
    assert given.preparation is None
    for part, split in found.splits.items():
        for i, name in enumerate(split.names):
            stored = np.asarray(Image.open(tmp_path / name)).astype(float)
            np.testing.assert_array_equal(split.inputs[i][..., 0], np.rint(stored * (255 / 4095)))
            np.testing.assert_array_equal(split.inputs[i], cached.splits[part].inputs[i])
            np.testing.assert_array_equal(
                given.splits[part].inputs[i][..., 1], np.rint(np.minimum(stored, 2047) * (255 / 2047))
            )
    assert "grey levels remain" not in caplog.text


def test_differing_bit_depths_and_wasted_ranges_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _deep_images(tmp_path, high=200)
    one = np.zeros((2, 2), np.uint16)
    one[0] = 60_000
    split = {"by": None, "val": 0.1, "test": 0.1}
    training = next(iter(_read(tmp_path / "my.csv", split=split).splits["train"].names))
    Image.fromarray(one).save(tmp_path / training)
    _read(tmp_path / "my.csv", split=split)
    assert "data.image_range=[0, 199] uses them all" in caplog.text
    Image.new("RGB", (9, 9)).save(tmp_path / training)
    module = _read(tmp_path / "my.csv", split=split)
    assert "bit depths of the training images differ" in caplog.text
    assert module.preparation == {"image_range": [0, 255], "images_of_8_bits": True}


def test_test_images_that_the_training_images_say_nothing_about_are_refused(tmp_path: Path) -> None:
    table = _deep_images(tmp_path).assign(part=["train"] * 16 + ["val"] * 4 + ["test"] * 4)
    Image.fromarray(np.full((9, 9), 60_000, np.uint16)).save(tmp_path / table["path"][20])
    Image.new("L", (9, 9)).save(tmp_path / table["path"][17])
    table.to_csv(tmp_path / "my.csv", index=False)
    with pytest.raises(UserError, match="2 samples cannot be used") as raised:
        _read(tmp_path / "my.csv", split_column="part")
    assert "8 bits per channel, but the training images have more" in raised.value.details[0]
    assert "values up to 60000" in raised.value.details[1]
    table.assign(part=table["part"].replace({"train": "test", "test": "train"})).to_csv(tmp_path / "my.csv")
    Image.new("L", (9, 9)).save(tmp_path / table["path"][20])
    for i in (21, 22, 23):
        Image.new("L", (9, 9)).save(tmp_path / table["path"][i])
    with pytest.raises(UserError, match="19 samples cannot be used") as raised:
        _read(tmp_path / "my.csv", split_column="part")
    assert "16 bits per channel and an unknown range: train with data.image_range=" in raised.value.details[0]


def test_named_pipes_are_not_opened(tmp_path: Path) -> None:
    table = _images(tmp_path)
    os.mkfifo(tmp_path / "faces/pipe.png")
    table.loc[3, "path"] = "faces/pipe.png"
    table.to_csv(tmp_path / "my.csv", index=False)
    with pytest.raises(UserError) as raised:
        _read(tmp_path / "my.csv")
    assert list(raised.value.details) == ["not a file: my.csv, row 5 (faces/pipe.png)"]


def test_the_configuration_follows_orientation_tags_in_your_own_photos_only(compose_config: Any) -> None:
    own = compose_config("data=table", "data.csv=my.csv", "data.target=[y]", "input.channels=1")
    assert own.data.exif_orientation
    assert {own.data[f"{kind}_transform"].channels for kind in ("train", "local", "eval")} == {1}
    for name in ("agedb", "imdb_wiki", "skyfinder", "mpiifacegaze"):
        data = compose_config(f"data={name}").data
        assert (data.exif_orientation, data.background, data.image_range) == (False, "white", None)
