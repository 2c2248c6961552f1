import logging
import multiprocessing
import os
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rnc_lightning.datasets.images import cache as image_cache
from rnc_lightning.datasets.images.cache import CachedImages, cached_images
from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.datasets.images.transforms import augmented_image, centred_image
from rnc_lightning.datasets.loading.sampling import Draw
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.splits import Split
from rnc_lightning.system.errors import UserError

SIZES = [(40, 30), (33, 57), (64, 64), (20, 90), (1, 1), (31, 29), (48, 36), (25, 25)]


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    """JPEG and PNG files of several sizes and modes."""
    generator = np.random.default_rng(0)
    paths = []
    for i, (width, height) in enumerate(SIZES):
        image = Image.fromarray(generator.integers(0, 255, (height, width, 3), dtype=np.uint8))
        path = tmp_path / "images" / f"{i}.{'png' if i % 3 == 2 else 'jpg'}"
        path.parent.mkdir(exist_ok=True)
        (image.convert("L") if i == 5 else image).save(path)
        paths.append(path)
    return ImageFiles(paths)


def _assert_same(cache: CachedImages, files: ImageFiles) -> None:
    assert len(cache) == len(files)
    assert cache.paths == files.paths
    for i in range(len(files)):
        np.testing.assert_array_equal(cache[i], np.asarray(files[i]))


def _count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    decoded: list[int] = []
    original = ImageFiles.__getitem__

    def counted(self: ImageFiles, index: int) -> Image.Image:
        decoded.append(index)
        return original(self, index)

    monkeypatch.setattr(ImageFiles, "__getitem__", counted)
    return decoded


def test_every_pixel_is_kept_and_no_file_is_decoded_again(
    files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [np.asarray(files[i]) for i in range(len(files))]
    cached_images(files, tmp_path / "cache", workers=3)
    decoded = _count_decodes(monkeypatch)
    cache = cached_images(files, tmp_path / "cache")
    for i, pixels in enumerate(expected):
        np.testing.assert_array_equal(cache[i], pixels)
        assert not cache[i].flags.writeable
    assert not decoded
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".npz", ".pixels", ".lock"}


def test_an_empty_set_of_images(tmp_path: Path) -> None:
    assert len(cached_images(ImageFiles([]), tmp_path)) == 0


def test_a_side_scales_down_what_is_larger_only(files: ImageFiles, tmp_path: Path) -> None:
    cache = cached_images(files, tmp_path / "cache", side=30)
    for i, (width, height) in enumerate(SIZES):
        shorter = min(width, height)
        if shorter <= 30:
            np.testing.assert_array_equal(cache[i], np.asarray(files[i]))
        else:
            size = (round(width * 30 / shorter), round(height * 30 / shorter))
            expected = files[i].resize(size, Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(cache[i], np.asarray(expected))
    _assert_same(cached_images(files, tmp_path / "cache"), files)  # beside it, on its own


def test_a_pickle_holds_no_pixels(files: ImageFiles, tmp_path: Path) -> None:
    cache = cached_images(files, tmp_path / "cache")
    _assert_same(cache, files)  # maps the file
    content = pickle.dumps(cache)
    assert len(content) < 4000
    _assert_same(pickle.loads(content), files)


def test_a_changed_file_is_noticed(files: ImageFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cached_images(files, tmp_path / "cache")
    Image.new("RGB", (17, 19), (200, 100, 50)).save(files.paths[1])
    with caplog.at_level(logging.INFO):
        cache = cached_images(files, tmp_path / "cache")
    assert "changed" in caplog.text
    _assert_same(cache, files)
    assert len(list((tmp_path / "cache").glob("*.pixels"))) == 1  # the former one is gone


def test_a_file_repaired_at_the_same_size_and_with_the_old_time_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "0.bmp"
    files = ImageFiles([path])
    Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    before = path.stat()
    _assert_same(cached_images(files, tmp_path / "cache"), files)
    Image.new("RGB", (8, 8), (4, 5, 6)).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    _assert_same(cached_images(files, tmp_path / "cache"), files)


def test_a_file_that_was_only_touched_is_not_decoded_again(
    files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_images(files, tmp_path / "cache")
    os.utime(files.paths[0], ns=(1, 1))
    decoded = _count_decodes(monkeypatch)
    cached_images(files, tmp_path / "cache")
    assert decoded == []


@pytest.mark.parametrize("content", [b"", b"PK half an index"])
def test_a_damaged_index_is_built_again(files: ImageFiles, tmp_path: Path, content: bytes) -> None:
    cached_images(files, tmp_path / "cache")
    (index,) = (tmp_path / "cache").glob("*.npz")
    index.write_bytes(content)
    _assert_same(cached_images(files, tmp_path / "cache"), files)


def test_a_build_that_failed_goes_on_where_it_was(
    files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ImageFiles.__getitem__

    def dies(self: ImageFiles, index: int) -> Image.Image:
        if index == 5:
            raise KeyboardInterrupt
        return original(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(ImageFiles, "__getitem__", dies)
        with pytest.raises(KeyboardInterrupt):
            cached_images(files, tmp_path / "cache", workers=1)
    assert not list((tmp_path / "cache").glob("*.npz"))
    (pixels,) = (tmp_path / "cache").glob("*.pixels")
    (rows,) = (tmp_path / "cache").glob("*.rows")
    with rows.open("ab") as file:
        file.write(b"half a row")
    with pixels.open("r+b") as file:  # what was written of the second image got lost
        file.seek(3 * SIZES[0][0] * SIZES[0][1] + 5)
        file.write(bytes(100))
    with monkeypatch.context() as patch:
        decoded = _count_decodes(patch)
        cache = cached_images(files, tmp_path / "cache", workers=1)
    assert decoded == [1, 5, 6, 7]
    _assert_same(cache, files)


def _build_slowly(files: ImageFiles, cache: Path, delay: float) -> None:
    original = ImageFiles.__getitem__

    def slow(self: ImageFiles, index: int) -> Image.Image:
        time.sleep(delay)
        return original(self, index)

    ImageFiles.__getitem__ = slow  # type: ignore[method-assign]
    _assert_same(cached_images(files, cache, workers=2), files)


def _start(files: ImageFiles, cache: Path, delay: float) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_build_slowly, args=(files, cache, delay))
    process.start()
    return process


def test_a_killed_process_and_two_at_once(files: ImageFiles, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    process = _start(files, cache, 0.2)
    deadline = time.monotonic() + 20
    while not any(path.stat().st_size for path in cache.glob("*.rows")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.join()
    assert not list(cache.glob("*.npz"))
    both = [_start(files, cache, 0.05) for _ in range(2)]
    for other in both:
        other.join(timeout=30)
        assert other.exitcode == 0
    _assert_same(cached_images(files, cache), files)


def test_too_little_room_is_said_before_anything_is_written(
    files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = sum(3 * width * height for width, height in SIZES)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(UserError, match=rf"{needed:,} bytes, but only {needed - 1:,} are free.*another disk"):
        cached_images(files, tmp_path / "cache")
    assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) == 0
    monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda _: usage._replace(free=needed))
    _assert_same(cached_images(files, tmp_path / "cache"), files)


def test_bad_files_are_named(files: ImageFiles, tmp_path: Path) -> None:
    whole = files.paths[3].read_bytes()
    files.paths[3].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"3\.jpg"):
        cached_images(files, tmp_path / "cache")
    files.paths[3].write_bytes(b"no image")
    with pytest.raises(UserError, match=r"3\.jpg"):
        cached_images(files, tmp_path / "cache")
    files.paths[3].unlink()
    with pytest.raises(UserError, match=r"3\.jpg"):
        cached_images(files, tmp_path / "cache")
    files.paths[3].write_bytes(whole)
    _assert_same(cached_images(files, tmp_path / "cache"), files)


def test_a_file_that_changes_while_the_cache_is_built(
    files: ImageFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ImageFiles.__getitem__

    def touched(self: ImageFiles, index: int) -> Image.Image:
        with self.paths[0].open("ab") as file:
            file.write(b"more")
        return original(self, index)

    monkeypatch.setattr(ImageFiles, "__getitem__", touched)
    with pytest.raises(UserError, match="start again"):
        cached_images(files, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npz"))


def test_pixels_that_were_cut_short_are_built_again(files: ImageFiles, tmp_path: Path) -> None:
    cached_images(files, tmp_path / "cache")
    (pixels,) = (tmp_path / "cache").glob("*.pixels")
    os.truncate(pixels, 10)
    _assert_same(cached_images(files, tmp_path / "cache"), files)


@pytest.mark.parametrize("bad", [{"side": 0}, {"workers": 0}])
def test_bad_arguments(files: ImageFiles, tmp_path: Path, bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be a whole number from 1 up"):
        cached_images(files, tmp_path, **bad)


@pytest.mark.parametrize("views", [None, 2])
def test_tensors_are_the_same_with_and_without_the_cache(files: ImageFiles, tmp_path: Path, views: int | None) -> None:
    targets = torch.zeros(len(files), 1)
    names = [path.name for path in files.paths]
    for transform in (augmented_image(24), centred_image(24)):
        plain = ViewsDataset(Split(files, targets, names), transform, views)
        cached = ViewsDataset(Split(cached_images(files, tmp_path / "cache"), targets, names), transform, views)
        for i in range(len(files)):
            assert torch.equal(plain[Draw(i, 7 + i)]["x"], cached[Draw(i, 7 + i)]["x"])
