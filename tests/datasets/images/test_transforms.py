"""Views against torchvision's own: the distribution of what is drawn, the pixels of what is done with it."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.utils.data import default_collate
from torchvision.transforms import functional as pillow
from torchvision.transforms import v2

from rnc_lightning.datasets.images import colour as c
from rnc_lightning.datasets.images.colour import COLOUR_NUMBERS, Colour, ColourJitter, apply_colour
from rnc_lightning.datasets.images.colour_on_device import apply_colour_batch, finish_on_device
from rnc_lightning.datasets.images.crop import CROP_NUMBERS, Crop, Pixels, draw_crop, resized_crop
from rnc_lightning.datasets.images.decoding import PixelFiles, read_pixels
from rnc_lightning.datasets.images.files import ImageFiles, open_rgb
from rnc_lightning.datasets.images.transforms import augmented_image, centred_image
from rnc_lightning.datasets.images.views import to_pixels
from rnc_lightning.datasets.loading.sampling import Draw
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.splits import Split
from rnc_lightning.system.errors import UserError

OFFICIAL = ColourJitter(0.8, 0.4, 0.4, 0.4, 0.1, 0.2)
RARE = 1e-3  # a p-value below it would mean another distribution; the seeds are fixed


@pytest.fixture(scope="module")
def photograph() -> Pixels:
    """A natural image (320, 400, 3)."""
    return np.ascontiguousarray(load_sample_images().images[1][50:370, 120:520])


def _uniform(count: int, width: int) -> list[list[float]]:
    return torch.rand(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).tolist()


def _levels(view: Tensor) -> Pixels:
    return ((view + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()


def _difference(one: Any, other: Any) -> Any:
    return np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))


@pytest.mark.parametrize(("width", "height", "scale"), [(400, 300, 0.2), (100, 400, 0.2), (61, 60, 0.9)])
def test_crops_are_distributed_as_in_torchvision(width: int, height: int, scale: float) -> None:
    torch.manual_seed(0)
    theirs_from = v2.RandomResizedCrop(8, scale=(scale, 1.0))
    image = torch.empty(3, height, width)
    params = [theirs_from.make_params([image]) for _ in range(1500)]
    theirs = np.array([[p["left"], p["top"], p["width"], p["height"]] for p in params], float)
    ours = np.array([draw_crop(width, height, scale, numbers) for numbers in _uniform(6000, CROP_NUMBERS)], float)
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, 0] + ours[:, 2] <= width).all()
    assert (ours[:, 1] + ours[:, 3] <= height).all()
    features: list[Callable[[Any], Any]] = [
        lambda box: box[:, 2] * box[:, 3],
        lambda box: box[:, 2] / box[:, 3],
        lambda box: box[:, 0] / np.maximum(width - box[:, 2], 1),
        lambda box: box[:, 1] / np.maximum(height - box[:, 3], 1),
        lambda box: box[:, 0] + 2 * box[:, 2],  # how they hang together
        lambda box: box[:, 1] + 2 * box[:, 3],
    ]
    for feature in features:
        assert stats.ks_2samp(feature(ours), feature(theirs)).pvalue > RARE


def test_a_narrow_image_gets_torchvisions_central_crop() -> None:
    torch.manual_seed(0)
    for width, height in ((1000, 20), (20, 1000), (1, 7)):
        image = torch.empty(3, height, width)
        expected = v2.RandomResizedCrop(8, scale=(0.9, 1.0)).make_params([image])
        crop = draw_crop(width, height, 0.9, _uniform(1, CROP_NUMBERS)[0])
        assert crop._asdict() == {key: expected[key] for key in Crop._fields}


def test_the_pixels_of_a_crop_are_torchvisions(photograph: Pixels) -> None:
    image = Image.fromarray(photograph)
    for size, numbers in itertools.product((224, 64), _uniform(6, CROP_NUMBERS)):
        crop = draw_crop(400, 320, 0.2, numbers)
        box = (crop.top, crop.left, crop.height, crop.width)
        difference = _difference(resized_crop(photograph, crop, size), pillow.resized_crop(image, *box, [size, size]))
        assert difference.max() <= 1
        assert difference.mean() < 0.25
        tensor = v2.functional.resized_crop(torch.from_numpy(photograph).permute(2, 0, 1), *box, [size, size])
        np.testing.assert_array_equal(resized_crop(photograph, crop, size), tensor.permute(1, 2, 0))


def test_colours_are_drawn_as_in_torchvision() -> None:
    drawn = [OFFICIAL.draw(numbers) for numbers in _uniform(20000, COLOUR_NUMBERS)]
    jittered = [colour for colour in drawn if colour[:5] != Colour()[:5]]
    assert stats.binomtest(len(jittered), len(drawn), 0.8).pvalue > RARE
    assert stats.binomtest(sum(colour.grey for colour in drawn), len(drawn), 0.2).pvalue > RARE
    both = sum(colour.grey for colour in jittered)
    assert stats.binomtest(both, len(jittered), 0.2).pvalue > RARE  # one does not depend on the other
    for name in ("brightness", "contrast", "saturation"):
        values = [getattr(colour, name) for colour in jittered]
        assert stats.kstest(values, stats.uniform(0.6, 0.8).cdf).pvalue > RARE
    turns = np.bincount([colour.hue + 25 for colour in jittered], minlength=51)
    edges = np.linspace(-0.1, 0.1, 400001)[:-1] + 0.25e-6
    expected = np.bincount((edges * 255).astype(int) + 25, minlength=51) / len(edges)  # what torchvision cuts off
    assert stats.chisquare(turns, expected * len(jittered)).pvalue > RARE
    orders = [colour.order for colour in jittered]
    counts = [orders.count(order) for order in itertools.permutations(range(4))]
    assert sum(counts) == len(orders)
    assert stats.chisquare(counts).pvalue > RARE
    numbers = np.array([[colour.brightness, colour.contrast, colour.saturation, colour.hue] for colour in jittered])
    correlation = np.corrcoef(numbers.T) - np.eye(4)
    assert np.abs(correlation).max() < 4 / np.sqrt(len(jittered))


def test_ranges_are_those_that_torchvision_makes_of_the_strengths() -> None:
    theirs = v2.ColorJitter(0.4, 1.5, 0.0, 0.3)
    mine = ColourJitter(1.0, 0.4, 1.5, 0.0, 0.3, 0.0)
    ends = [mine.draw([value] * COLOUR_NUMBERS) for value in (0.0, 1 - 1e-12)]
    for name in ("brightness", "contrast"):
        assert [getattr(end, name) for end in ends] == pytest.approx(getattr(theirs, name))
    assert theirs.saturation is None
    assert [end.saturation for end in ends] == [1, 1]
    assert [end.hue for end in ends] == [int(255 * end) for end in theirs.hue]


def test_whole_views_are_drawn_at_the_official_rates() -> None:
    torch.manual_seed(0)
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32] = (200, 40, 40)  # left red, right dark
    image[:, 32:] = (40, 40, 90)
    no_jitter = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    views = augmented_image(16, min_scale=0.9, **no_jitter).views(image, 2000)
    flipped = views[:, 0, 0, 0] < views[:, 0, 0, -1]
    grey = (views[:, 0] == views[:, 1]).flatten(1).all(dim=1)
    for happened, rate in ((flipped, 0.5), (grey, 0.2), (flipped & grey, 0.1)):
        assert stats.binomtest(int(happened.sum()), 2000, rate).pvalue > RARE


@pytest.mark.parametrize("factor", [0.0, 0.6, 0.93, 1.07, 1.4, 2.5])
def test_factors_agree_with_torchvision_on_pillow(photograph: Pixels, factor: float) -> None:
    image = Image.fromarray(photograph)
    assert _difference(c.with_brightness(photograph, factor), pillow.adjust_brightness(image, factor)).max() == 0
    assert _difference(c.with_contrast(photograph, factor), pillow.adjust_contrast(image, factor)).max() <= 1
    difference = _difference(c.with_saturation(photograph, factor), pillow.adjust_saturation(image, factor))
    assert difference.max() <= (1 if factor < 2 else 2)
    assert difference.mean() < 0.05
    assert _difference(c.to_grey(photograph), pillow.rgb_to_grayscale(image, 3)).max() <= 1


@pytest.mark.parametrize("turn", [-127, -25, -7, -1, 1, 7, 25, 127])
def test_hue_agrees_with_torchvision_on_pillow(photograph: Pixels, turn: int) -> None:
    """Both pass through 256 levels of hue and saturation, and round differently."""
    expected = pillow.adjust_hue(
        Image.fromarray(photograph), (turn + 0.5 * np.sign(turn)) / 255 if abs(turn) < 127 else turn / 254
    )
    difference = _difference(c.with_hue(photograph, turn), expected)
    assert difference.mean() < 0.7
    assert np.quantile(difference, 0.999) <= 7
    assert difference.max() <= 16


def test_no_turn_and_no_factor_leave_the_image_alone(photograph: Pixels) -> None:
    assert apply_colour(photograph, Colour()) is photograph
    kept = apply_colour_batch(torch.from_numpy(photograph).permute(2, 0, 1)[None], torch.tensor([Colour().numbers()]))
    np.testing.assert_array_equal(_levels(kept[0]), photograph)


def _by_torchvision(image: Image.Image, crop: Crop, size: int, flip: bool, colour: Colour) -> Image.Image:
    view = pillow.resized_crop(image, crop.top, crop.left, crop.height, crop.width, [size, size])
    view = pillow.hflip(view) if flip else view
    for operation in colour.order:
        if operation == c.BRIGHTNESS:
            view = pillow.adjust_brightness(view, colour.brightness)
        elif operation == c.CONTRAST:
            view = pillow.adjust_contrast(view, colour.contrast)
        elif operation == c.SATURATION:
            view = pillow.adjust_saturation(view, colour.saturation)
        elif colour.hue:
            view = pillow.adjust_hue(view, (colour.hue + 0.5 * np.sign(colour.hue)) / 255)
    return pillow.rgb_to_grayscale(view, 3) if colour.grey else view


def test_whole_views_agree_with_torchvision_given_the_same_numbers(photograph: Pixels) -> None:
    """The numbers are drawn here once more, in the order in which a view draws them."""
    transform = augmented_image(96)
    image = Image.fromarray(photograph)
    means = []
    for seed in range(40):
        torch.manual_seed(seed)
        view = transform(image)
        torch.manual_seed(seed)
        pixels, numbers = transform.pixels(image, 1)
        torch.manual_seed(seed)
        flip, *uniform = torch.rand(1 + COLOUR_NUMBERS + CROP_NUMBERS, dtype=torch.float64).tolist()
        colour = OFFICIAL.draw(uniform[:COLOUR_NUMBERS])
        crop = draw_crop(400, 320, 0.2, uniform[COLOUR_NUMBERS:])
        expected = _by_torchvision(image, crop, 96, flip < 0.5, colour)
        on_device = apply_colour_batch(pixels, numbers)[0]
        for made in (view, on_device):
            difference = _difference(_levels(made), expected)
            means.append(difference.mean())
            assert difference.mean() < 1.5
            assert np.quantile(difference, 0.999) <= 16
    assert np.mean(means) < 0.6


def test_device_and_cpu_agree_in_every_order(photograph: Pixels) -> None:
    small = np.array(Image.fromarray(photograph).resize((50, 40)))
    factors = ((1.4, 0.6, 1.3, 20), (0.6, 1.4, 0.6, -25), (1.2, 1.2, 0.0, 3))
    colours = [
        Colour(order, *factor, grey)
        for order, factor, grey in itertools.product(itertools.permutations(range(4)), factors, (False, True))
    ]
    images = torch.from_numpy(small).permute(2, 0, 1).expand(len(colours), -1, -1, -1)
    views = apply_colour_batch(images, torch.tensor([colour.numbers() for colour in colours]))
    for view, colour in zip(views, colours, strict=True):
        difference = _difference(_levels(view), apply_colour(small, colour))
        assert difference.mean() < 1
        assert np.quantile(difference, 0.999) <= 9


def _dataset(photograph: Pixels, transform: Any, views: int | None = 2, on_device: bool = False) -> ViewsDataset:
    inputs = [Image.fromarray(photograph), Image.fromarray(photograph[::-1, 50:])]
    return ViewsDataset(Split(inputs, torch.zeros(2, 1), ["a", "b"]), transform, views, on_device)


@pytest.mark.parametrize("views", [None, 1, 3])
def test_the_loader_leaves_colours_to_the_device(photograph: Pixels, views: int | None) -> None:
    draws = [Draw(0, 5), Draw(1, 6)]
    whole, part = (
        default_collate([_dataset(photograph, augmented_image(32), views, on_device)[draw] for draw in draws])
        for on_device in (False, True)
    )
    assert part["x"].dtype == torch.uint8
    assert part["colour"].shape == (*whole["x"].shape[:-3], 9)
    done = finish_on_device(part)
    assert set(done) == {"x", "y", "index"}
    assert "colour" in part  # what was given stays as it was
    assert done["x"].shape == whole["x"].shape
    assert (done["x"] - whole["x"]).abs().mean() < 1 / 127.5
    assert finish_on_device(whole) is whole


def test_evaluation_is_the_same_on_a_device(photograph: Pixels) -> None:
    whole, part = (
        default_collate([_dataset(photograph, centred_image(32), None, on_device)[i] for i in range(2)])
        for on_device in (False, True)
    )
    assert part["x"].dtype == torch.uint8
    assert "colour" not in part
    assert torch.equal(finish_on_device(part)["x"], whole["x"])


def test_a_seed_decides_and_nothing_outside_is_touched(photograph: Pixels) -> None:
    dataset = _dataset(photograph, augmented_image(32))
    before = torch.get_rng_state()
    first = dataset[Draw(0, 1)]["x"]
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(dataset[Draw(0, 1)]["x"], first)
    assert not torch.equal(dataset[Draw(0, 2)]["x"], first)
    assert not torch.equal(first[0], first[1])  # views differ
    assert not torch.equal(dataset[0]["x"], dataset[0]["x"])  # without a seed, fresh draws


def test_evaluation_is_torchvisions_resize_and_centre_crop(photograph: Pixels) -> None:
    normalise = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    for size, resize in ((224, 256), (64, 73), (30, 30)):
        expected = v2.Compose([v2.Resize(resize), v2.CenterCrop(size), *normalise])
        transform = centred_image(size, 30 if size == 30 else None)
        for part in (photograph, photograph[:, :250], photograph[100:200]):
            image = Image.fromarray(part)
            assert torch.equal(transform(image), expected(image))


def test_normalising_is_torchvisions() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    to_float = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)])
    out = torch.empty(2, 3, 16, 16)
    c.write_normalised(out[1], levels)
    assert torch.equal(out[1], to_float(levels))
    assert torch.equal(c.normalise(torch.from_numpy(levels).permute(2, 0, 1)), out[1])


@pytest.mark.parametrize("transform", [augmented_image(20), centred_image(20)])
def test_kinds_of_images_are_worth_the_same(photograph: Pixels, transform: Any) -> None:
    read_only = photograph.copy()
    read_only.flags.writeable = False
    sources = [Image.fromarray(photograph), photograph, read_only, torch.from_numpy(photograph).permute(2, 0, 1)]
    views = []
    for source in sources:
        torch.manual_seed(0)
        views.append(transform(source))
    assert views[0].shape == (3, 20, 20)
    assert views[0].dtype == torch.float32
    assert all(torch.equal(view, views[0]) for view in views)


def test_a_grey_pillow_image_is_taken_as_rgb(photograph: Pixels) -> None:
    grey = Image.fromarray(photograph).convert("L")
    np.testing.assert_array_equal(to_pixels(grey), np.asarray(grey.convert("RGB")))
    assert torch.equal(centred_image(20)(grey), centred_image(20)(grey.convert("RGB")))


@pytest.mark.parametrize(
    "bad", [torch.zeros(3, 4, 4), torch.zeros(4, 4, 3, dtype=torch.uint8), np.zeros((4, 4)), "a.jpg"]
)
def test_what_is_no_image_is_refused(bad: Any) -> None:
    for transform in (augmented_image(20), centred_image(20)):
        with pytest.raises(TypeError, match="an image must be a Pillow image"):
            transform(bad)


def test_the_defaults_are_the_official_settings() -> None:
    transform = augmented_image()
    assert (transform.size, transform.min_scale, transform.flip) == (224, 0.2, 0.5)
    assert transform.colour == OFFICIAL


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"size": 0}, "size must"),
        ({"min_scale": 0.0}, "min_scale must"),
        ({"flip": 1.5}, "flip must"),
        ({"jitter": -0.1}, "jitter must"),
        ({"hue": 0.6}, "hue must"),
        ({"contrast": -1.0}, "contrast must"),
        ({"grayscale": 2.0}, "grayscale must"),
    ],
)
def test_bad_settings_are_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        augmented_image(**bad)


def test_a_square_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="resize must be at least size"):
        centred_image(64, 32)


@pytest.mark.parametrize(
    "how", [{}, {"subsampling": 0}, {"subsampling": 1}, {"progressive": True}, {"quality": 100}, {"optimize": True}]
)
def test_both_decoders_give_the_same_pixels(photograph: Pixels, tmp_path: Path, how: dict[str, Any]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photograph[:317, :399]).save(path, **how)
    np.testing.assert_array_equal(read_pixels(path), np.asarray(open_rgb(path)))


def test_other_files_are_left_to_pillow(photograph: Pixels, tmp_path: Path) -> None:
    image = Image.fromarray(photograph)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees: `open_rgb` does not, so neither decoder may
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    image.convert("L").save(tmp_path / "grey.jpg")
    image.convert("P").save(tmp_path / "palette.png")
    files = PixelFiles(ImageFiles(sorted(tmp_path.iterdir())))
    assert len(files) == 4
    for i, path in enumerate(files.paths):
        np.testing.assert_array_equal(files[i], np.asarray(open_rgb(path)))


def test_a_broken_file_is_refused_in_the_same_words(photograph: Pixels, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photograph).save(path)
    whole = path.read_bytes()
    for length in (0, 50, 700, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:length])
        messages = []
        for files in (ImageFiles([path]), PixelFiles(ImageFiles([path]))):
            with pytest.raises(UserError) as raised:
                files[0]
            messages.append(str(raised.value))
        assert messages[0] == messages[1]
