"""Image files of every kind become the 8-bit RGB that a viewer shows, or are refused."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from rnc_lightning.datasets.images import wide
from rnc_lightning.datasets.images.cache import cached_images
from rnc_lightning.datasets.images.decoding import PixelFiles, read_pixels
from rnc_lightning.datasets.images.files import ImageFiles, open_rgb
from rnc_lightning.datasets.images.reading import ImageReading, read_options
from rnc_lightning.datasets.images.wide import UsedRange, find_used_range, to_eight_bits

EIGHT = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
TWELVE = np.rint(EIGHT * (4095 / 255)).astype(np.uint16)  # the same pictures in 12 bits
FOUND = ImageReading(image_range=(0, 4095), found=True)
GIVEN = ImageReading(image_range=(0, 4095))


def _grey_files(folder: Path) -> dict[str, Path]:
    """The green channel in 12 bits, stored in 16 in every way."""
    values = TWELVE[..., 1]
    files = {name: folder / name for name in ("a.png", "lzw.tif", "raw.tif", "big.tif", "a.pgm")}
    cv2.imwrite(str(files["a.png"]), values)
    cv2.imwrite(str(files["lzw.tif"]), values)
    cv2.imwrite(str(files["a.pgm"]), values)
    Image.fromarray(values).save(files["raw.tif"])
    Image.fromarray(values.astype(">u2")).save(files["big.tif"])
    return files


@pytest.mark.parametrize("reading", [FOUND, GIVEN])
def test_twelve_bits_in_a_file_of_sixteen_are_the_picture_in_eight(tmp_path: Path, reading: ImageReading) -> None:
    for path in _grey_files(tmp_path).values():
        for pixels in (np.asarray(open_rgb(path, reading)), read_pixels(path, reading)):
            np.testing.assert_array_equal(pixels, np.repeat(EIGHT[..., 1:2], 3, axis=2), err_msg=path.name)
        with pytest.raises(ValueError, match=r"16 bits per channel and an unknown range: train with data.image_range="):
            open_rgb(path)


def test_colours_of_sixteen_bits_keep_their_grey_levels(tmp_path: Path) -> None:
    bgr = TWELVE[..., ::-1]
    opaque = np.full((6, 9, 1), 65535, np.uint16)
    for name, values in {"a.png": bgr, "b.tif": bgr, "c.ppm": bgr, "d.png": np.dstack([bgr, opaque])}.items():
        cv2.imwrite(str(tmp_path / name), values)
        np.testing.assert_array_equal(np.asarray(open_rgb(tmp_path / name, FOUND)), EIGHT, err_msg=name)
        with pytest.raises(ValueError, match="16 bits per channel"):
            open_rgb(tmp_path / name)
    cv2.imwrite(str(tmp_path / "half.png"), np.dstack([bgr, opaque // 2]))
    halved = np.asarray(open_rgb(tmp_path / "half.png", FOUND), np.int16)
    assert np.abs(halved - (EIGHT.astype(np.int16) + 255) / 2).max() <= 1  # over white


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_numbers_of_32_bits_need_a_range(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(TWELVE[..., 0].astype(dtype)).save(path)
    for reading in (ImageReading(), FOUND):
        with pytest.raises(ValueError, match="32 bits per channel and an unknown range"):
            open_rgb(path, reading)
    np.testing.assert_array_equal(np.asarray(open_rgb(path, GIVEN))[..., 2], EIGHT[..., 0])
    values = TWELVE[..., 0].astype(dtype) - 1000
    Image.fromarray(values).save(path)
    pixels = np.asarray(open_rgb(path, GIVEN))[..., 0]
    assert (pixels[values < 0] == 0).all()  # cut off where the user says so
    if dtype is np.float32:
        values[2, 3] = np.nan
        Image.fromarray(values).save(path)
        with pytest.raises(ValueError, match="NaN or infinite"):
            open_rgb(path, GIVEN)


def test_values_beyond_a_found_range_are_refused_and_beyond_a_given_one_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.array([[0, 4095], [5000, 65535]], np.uint16))
    with pytest.raises(ValueError, match=r"values up to 65535, but those of the training images end below 4096"):
        open_rgb(path, FOUND)
    assert np.asarray(open_rgb(path, GIVEN))[..., 0].tolist() == [[0, 255], [255, 255]]


def test_images_of_eight_bits_beside_others(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        Image.fromarray(EIGHT).save(tmp_path / name)
        plain = np.asarray(open_rgb(tmp_path / name))
        np.testing.assert_array_equal(read_pixels(tmp_path / name, FOUND), plain)
        dark = ImageReading(image_range=(0, 127))
        for read in (read_pixels, open_rgb):
            np.testing.assert_array_equal(np.asarray(read(tmp_path / name, dark)), to_eight_bits(plain, 0, 127))
            with pytest.raises(ValueError, match=r"8 bits per channel, but data.image_range=\[0, 4095\]"):
                read(tmp_path / name, GIVEN)
            with pytest.raises(ValueError, match="8 bits per channel, but the training images have more"):
                read(tmp_path / name, ImageReading(image_range=(0, 4095), found=True, eight_bits=False))


def test_the_used_range_is_that_of_all_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = list(_grey_files(tmp_path).values())
    used = find_used_range(paths, tmp_path / "cache")
    assert used is not None
    assert (used.eight, used.sixteen, used.high, used.few_levels) == (0, 5, 4095, False)
    with monkeypatch.context() as patched:
        patched.setattr(wide, "_histogram", None)  # not read again
        assert find_used_range(paths, tmp_path / "cache") == used
    Image.fromarray(EIGHT).save(tmp_path / "eight.png")
    Image.fromarray(EIGHT).save(tmp_path / "eight.jpg")
    (tmp_path / "broken.png").write_bytes(paths[0].read_bytes()[:50])
    more = [*paths, *(tmp_path / name for name in ("eight.png", "eight.jpg", "broken.png"))]
    assert find_used_range(more) == UsedRange(2, 5, 4095, used.low_used, used.high_used)
    assert find_used_range(more[5:]) is None
    hot = np.full((100, 100), 100, np.uint16)
    hot[0, 0] = 65535
    cv2.imwrite(str(tmp_path / "hot.png"), hot)
    outlier = find_used_range([tmp_path / "hot.png"])
    assert outlier is not None
    assert (outlier.high, outlier.few_levels, outlier.high_used) == (65535, True, 100)


def test_transparent_pixels_show_the_background(tmp_path: Path) -> None:
    grey, opacity = Image.new("L", (4, 4), 0), Image.new("L", (4, 4), 0)
    opacity.paste(255, (0, 0, 4, 2))
    cut_out = Image.merge("LA", (grey, opacity))
    cut_out.save(tmp_path / "la.png")
    cut_out.convert("RGBA").save(tmp_path / "rgba.png")
    cut_out.convert("RGBA").save(tmp_path / "a.webp", lossless=True)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 7, 7, 7])
    palette.paste(0, (0, 0, 4, 2))
    palette.save(tmp_path / "p.png", transparency=1)
    palette.save(tmp_path / "p.gif", transparency=1)
    key = Image.new("RGB", (4, 4), (1, 2, 3))
    key.paste((0, 0, 0), (0, 0, 4, 2))
    key.save(tmp_path / "key.png", transparency=(1, 2, 3))
    for path in sorted(tmp_path.iterdir()):
        for background, value in (("white", [255] * 3), ("black", [0] * 3), ([10, 20, 30], [10, 20, 30])):
            pixels = read_pixels(path, read_options(background, False, None))
            assert (pixels[:2] == 0).all(), path.name
            assert (pixels[2:] == value).all(), path.name


def test_other_modes_are_the_colours_that_they_mean(tmp_path: Path) -> None:
    picture = Image.fromarray(EIGHT)
    picture.convert("1").save(tmp_path / "one.png")
    picture.convert("P").save(tmp_path / "p.png")
    picture.convert("CMYK").save(tmp_path / "cmyk.tif")
    picture.convert("L").save(tmp_path / "grey.jpg")
    for name in ("one.png", "p.png", "cmyk.tif", "grey.jpg"):
        with Image.open(tmp_path / name) as image:
            expected = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(read_pixels(tmp_path / name), expected, err_msg=name)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_orientation_tags_are_followed_in_every_format_or_in_none(tmp_path: Path, suffix: str) -> None:
    lossy: dict[str, Any] = {"jpg": {"quality": 95}, "webp": {"lossless": True}}.get(suffix, {})
    stored = Image.fromarray(np.kron(EIGHT, np.ones((8, 8, 1), np.uint8)))
    stored.save(tmp_path / f"0.{suffix}", **lossy)
    plain = np.asarray(open_rgb(tmp_path / f"0.{suffix}"))
    upright = {1: plain, 3: plain[::-1, ::-1], 6: np.rot90(plain, -1), 8: np.rot90(plain), 5: plain.transpose(1, 0, 2)}
    for tag, expected in upright.items():
        exif = Image.Exif()
        exif[0x112] = tag
        stored.save(tmp_path / f"{tag}.{suffix}", exif=exif, **lossy)
        for follow, wanted in ((True, expected), (False, plain)):
            files = ImageFiles([tmp_path / f"{tag}.{suffix}"], reading=ImageReading(exif_orientation=follow))
            cache = cached_images(files, tmp_path / "cache")
            for pixels in (np.asarray(files[0]), PixelFiles(files)[0], cache[0]):
                np.testing.assert_array_equal(pixels, wanted, err_msg=f"{tag} {follow}")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_tag_does_not_keep_the_pixels_from_being_read(tmp_path: Path) -> None:
    Image.fromarray(EIGHT).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_pixels(tmp_path / "a.png", ImageReading(exif_orientation=True)).shape == EIGHT.shape


def test_named_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name, kind in (("pipe.jpg", "a named pipe"), ("zero.png", "a device")):
        for read in (read_pixels, open_rgb):
            with pytest.raises(ValueError, match=f"{kind}, not a file"):
                read(tmp_path / name)
    assert find_used_range([tmp_path / "zero.png"]) is None


@pytest.mark.parametrize(
    "bad",
    [
        {"background": "mauvish"},
        {"background": [0, 0]},
        {"background": [0, 0, 256]},
        {"image_range": [0]},
        {"image_range": [9, 9]},
        {"image_range": [0, float("nan")]},
        {"image_range": ["a", 3]},
        {"exif_orientation": "yes"},
    ],
)
def test_invalid_options_are_refused(bad: dict[str, Any]) -> None:
    given: dict[str, Any] = {"background": "white", "exif_orientation": False, "image_range": None, **bad}
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be"):
        read_options(**given)
