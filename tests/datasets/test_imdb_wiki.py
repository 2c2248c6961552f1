from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rnc_lightning.datasets.images.transforms import centred_image
from rnc_lightning.datasets.imdb_wiki import IMDBWikiDataModule
from rnc_lightning.datasets.reading.training_subset import TrainingSubset
from rnc_lightning.system.errors import UserError

TRAIN = 30


def _write(root: Path) -> None:
    """Names as in the official archives, one of the pictures in grey."""
    lines = ["age,path,split"]
    for i in range(TRAIN + 8):
        split = "train" if i < TRAIN else ("val", "test")[i % 2]
        if i % 3:
            path = f"imdb_crop/{i % 100:02d}/nm{1000000 + i}_rm{i}_{1930 + i}-9-5_{1970 + i}.jpg"
        else:
            path = f"wiki_crop/{i % 100:02d}/{9000000 + i}_{1930 + i}-09-05_{1970 + i}.jpg"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L" if i == 4 else "RGB", (20, 30), i).save(root / path)
        lines.append(f"{20 + i},{path},{split}")
    (root / "imdb_wiki.csv").write_text("\n".join(lines) + "\n")


def _read(root: Path, **more: Any) -> IMDBWikiDataModule:
    transform = centred_image(16, 18)
    module = IMDBWikiDataModule(
        root=str(root), train_transform=transform, eval_transform=transform, batch_size=4, **more
    )
    module.setup()
    return module


def test_official_layout(tmp_path: Path) -> None:
    _write(tmp_path)
    module = _read(tmp_path)
    assert module.counts == {"train": TRAIN, "val": 4, "test": 4}
    assert module.splits["train"].targets[:, 0].tolist() == [20.0 + i for i in range(TRAIN)]
    assert module.splits["train"].inputs[4].shape[2:] == (3,)
    assert next(iter(module.test_dataloader()))["x"].shape == (4, 3, 16, 16)


def test_subsamples_are_nested_and_recorded(tmp_path: Path) -> None:
    _write(tmp_path)
    small, large = (_read(tmp_path, subset=TrainingSubset(size=size)) for size in (5, 12))
    assert (small.counts, large.counts) == ({"train": 5, "val": 4, "test": 4}, {"train": 12, "val": 4, "test": 4})
    assert set(small.splits["train"].names) < set(large.splits["train"].names)
    small.write_subset(tmp_path / "subset.csv")
    rows = (tmp_path / "subset.csv").read_text().splitlines()
    assert [row.split(",")[2] for row in rows if row.startswith("train")] == list(small.splits["train"].names)
    _read(tmp_path).write_subset(tmp_path / "whole.csv")
    assert not (tmp_path / "whole.csv").exists()


def test_nothing_there_says_what_to_get(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"imdb_crop\.tar and wiki_crop\.tar.*RNC_DATA"):
        _read(tmp_path)
    (tmp_path / "imdb_wiki.csv").write_text("age,path,split\n3,imdb_crop/01/a.jpg,train\n")
    with pytest.raises(UserError, match="there is no folder"):
        _read(tmp_path)
