import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rnc_lightning.datasets.images import files as images
from rnc_lightning.datasets.images.files import ImageFiles, open_rgb
from rnc_lightning.datasets.reading import content
from rnc_lightning.datasets.reading.content import FileContents
from rnc_lightning.datasets.reading.file_check import find_unreadable


def _image(path: Path, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_broken_files_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.jpg").touch()
    paths = [
        _image(tmp_path / "good.jpg"),
        _cut(_image(tmp_path / "cut.jpg")),
        _cut(_image(tmp_path / "cut.png")),
        tmp_path / "text.jpg",
        tmp_path / "empty.jpg",
        tmp_path / "absent.jpg",
    ]
    bad = find_unreadable(ImageFiles(paths))
    assert set(bad) == {1, 2, 3, 4, 5}
    assert "truncated" in bad[1]
    assert "No such file" in bad[5]


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = _image(tmp_path / ("image.jpg" if mode == "CMYK" else "image.png"), mode=mode)
    assert open_rgb(path).mode == "RGB"


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (12000, 12000)).save(path)  # 2.6 kB that decode to 432 MB
    with pytest.raises(ValueError, match="12000 x 12000 pixels, a decompression bomb"):
        open_rgb(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own bound, reached first
    with pytest.raises(ValueError, match="decompression bomb"):
        open_rgb(path)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files written a moment ago are remembered too."""
    monkeypatch.setattr(content, "_TICK", 0)


@pytest.mark.usefixtures("settled")
def test_good_files_are_remembered_until_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [_image(tmp_path / f"{i}.jpg") for i in range(4)]
    _cut(paths[3])
    memory = tmp_path / "memory"

    def bad() -> set[int]:
        return set(find_unreadable(ImageFiles(paths), FileContents(memory)))

    assert bad() == {3}
    opened: list[Path] = []
    monkeypatch.setattr(images, "open_rgb", lambda path, _: opened.append(path) or open_rgb(path))
    assert bad() == {3}
    assert opened == [paths[3]]  # a bad file may have been mended
    _cut(paths[0])
    assert bad() == {0, 3}
    (record,) = memory.iterdir()
    record.write_text("[broken")
    assert bad() == {0, 3}
    checks = {name: len(entry[5]) for name, entry in json.loads(record.read_text())["files"].items()}
    assert checks == {"0.jpg": 0, "1.jpg": 1, "2.jpg": 1, "3.jpg": 0}


def test_a_memory_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    contents = FileContents(tmp_path / "file" / "memory")
    assert find_unreadable(ImageFiles([_image(tmp_path / "a.jpg")]), contents) == {}


@pytest.mark.usefixtures("settled")
def test_a_file_with_one_bad_sample_of_many_is_not_remembered_as_good(tmp_path: Path) -> None:
    class Samples(ImageFiles):
        def problem(self, index: int) -> str | None:
            return "broken" if index == 1 else None

    path = _image(tmp_path / "all.png")
    for _ in range(2):
        assert find_unreadable(Samples([path] * 3), FileContents(tmp_path / "memory")) == {1: "broken"}
