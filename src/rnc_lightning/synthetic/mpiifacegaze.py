"""Synthetic data in the three layouts of MPIIFaceGaze: processed as by GazeHub, as photographed, normalised in HDF5."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.synthetic.checks import check_layout, check_samples, check_size
from rnc_lightning.synthetic.gaze import Look, Looker, direction, draw_look, draw_looker, landmarks, paint_scene
from rnc_lightning.synthetic.painting import Painting, save_jpeg
from rnc_lightning.system.errors import UserError

_PERSONS = 15
_HEADER = "Face Left Right Origin WhichEye 3DGaze 3DHead 2DGaze 2DHead Rmat Smat GazeOrigin"
_HALF_FACE = 95.0  # mm
_IN_FACE = 0.5  # half a face's height, as a share of the face picture's side


def write_mpiifacegaze(
    out: Path,
    samples: int = 3000,
    size: int = 96,
    seed: int = 0,
    traps: bool = True,
    layout: Literal["gazehub", "raw", "hdf5"] = "gazehub",
    on_sample: Callable[[], object] = lambda: None,
) -> None:
    """Write `MPIIFaceGaze/` for fifteen people, p00 to p14, who share the samples evenly.

    Layouts: `gazehub`: `Image/pXX/{face,left,right}/<n>.jpg` and `Label/pXX.label`, angles as yaw, pitch, rows of the
    right eye mirrored; `raw`: `pXX/dayYY/NNNN.jpg` and `pXX/pXX.txt`, the face somewhere in a wider picture; `hdf5`:
    `MPIIFaceGaze_normalizad/pXX.mat`, angles as pitch, yaw. With traps, the first two hold pictures without a label.

    Args:
        out: Folder to write into.
        samples: Labelled pictures: pitch -40 to 10 degrees, yaw -45 to 45.
        size: Side of the face in pixels; eyes have 60 x 36.
        seed: The same seed gives the same bytes.
        traps: Whether to write pictures without a label.
        layout: Which of the three.
        on_sample: Called after each sample.

    Raises:
        UserError: For fewer than 15 samples, a size below 16, an unknown layout, or `hdf5` without h5py.
    """
    check_samples(samples, _PERSONS)
    check_size(size)
    check_layout(layout, ("gazehub", "raw", "hdf5"))
    if layout == "hdf5":
        _require_h5py()
    root = out / "MPIIFaceGaze"
    for person in range(_PERSONS):
        count = samples // _PERSONS + (person < samples % _PERSONS)
        looker = draw_looker(np.random.default_rng(derive_seed(seed, "mpiifacegaze", "person", person)))
        draws = [
            np.random.default_rng(derive_seed(seed, "mpiifacegaze", "sample", person, i)) for i in range(count + traps)
        ]
        if layout == "gazehub":
            _write_processed(root, f"p{person:02d}", looker, draws, count, size, on_sample)
        elif layout == "raw":
            _write_raw(root, f"p{person:02d}", looker, draws, count, size, on_sample)
        else:
            _write_hdf5(root / "MPIIFaceGaze_normalizad", person, looker, draws[:count], size, on_sample)


def _write_processed(
    root: Path,
    person: str,
    looker: Looker,
    draws: list[np.random.Generator],
    count: int,
    size: int,
    on_sample: Callable[[], object],
) -> None:
    """Faces, eyes and the label file of one person; draws beyond the count leave pictures without a label."""
    lines = [_HEADER]
    for i, generator in enumerate(draws):
        look = draw_look(looker, generator)
        which = str(generator.choice(["left", "right"]))
        mirrored = which == "right"
        pictures = _face_and_eyes(looker, look, size, generator)
        for kind, pixels in pictures.items():
            path = root / "Image" / person / kind / f"{i + 1}.jpg"
            save_jpeg(np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels, path, quality=92)
        if i < count:
            lines.append(_label(person, i, which, look, float(generator.normal(600, 50))))
            on_sample()
    path = root / "Label" / f"{person}.label"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _face_and_eyes(
    looker: Looker, look: Look, size: int, generator: np.random.Generator
) -> dict[str, NDArray[np.uint8]]:
    """The face and both eyes under the same light; `left` is the person's left eye, on the right of the picture."""
    light = int(generator.integers(2**62))
    middles = landmarks(looker, look)[:4].reshape(2, 2, 2).mean(axis=1)
    pictures = {"face": _paint(Painting(size, size, scale=_IN_FACE), looker, look, light)}
    for kind, (x, y) in zip(("left", "right"), middles[::-1], strict=True):
        unit = 90  # pixels of an eye picture to half a face
        eye = Painting(36, 60, centre=(0.5 - y * unit / 36, 0.5 - x * unit / 60), scale=unit / 36)
        pictures[kind] = _paint(eye, looker, look, light)
    return pictures


def _paint(painting: Painting, looker: Looker, look: Look, light: int) -> NDArray[np.uint8]:
    paint_scene(painting, looker, look, np.random.default_rng(light))
    return painting.finished()


def _label(person: str, index: int, which: str, look: Look, distance: float) -> str:
    """A row of the label file, for the picture as it was saved."""
    side = -1 if which == "right" else 1
    yaw, head_yaw = side * look.yaw, side * look.head_yaw
    vectors: list[Iterable[float]] = [
        direction(look.pitch, yaw),
        (look.head_pitch, head_yaw, 0.0),
        (yaw, look.pitch),
        (head_yaw, look.head_pitch),
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 600 / distance),
        (0.1, 0.2, distance),
    ]
    pictures = [f"{person}/{kind}/{index + 1}.jpg" for kind in ("face", "left", "right")]
    origin = f"day{1 + index // 40:02d}/{1 + index % 40:04d}.jpg"
    return " ".join([*pictures, origin, which, *(",".join(f"{value:.6f}" for value in vector) for vector in vectors)])


def _write_raw(
    root: Path,
    person: str,
    looker: Looker,
    draws: list[np.random.Generator],
    count: int,
    size: int,
    on_sample: Callable[[], object],
) -> None:
    """Pictures by day and the text file of one person."""
    lines = []
    for i, generator in enumerate(draws):
        name = f"day{1 + i // 40:02d}/{1 + i % 40:04d}.jpg"
        look = draw_look(looker, generator)
        pixels, numbers = _photograph(looker, look, size, generator)
        save_jpeg(pixels, root / person / name, quality=92)
        if i < count:
            lines.append(" ".join([name, *(f"{n:.4f}" for n in numbers), str(generator.choice(["left", "right"]))]))
            on_sample()
    (root / person / f"{person}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _photograph(
    looker: Looker, look: Look, size: int, generator: np.random.Generator
) -> tuple[NDArray[np.uint8], list[float]]:
    """A wider picture by a pinhole camera, and the 26 numbers that describe it."""
    height, width = round(1.8 * size), round(3.2 * size)
    focal = _IN_FACE * size * 600 / _HALF_FACE  # pixels
    depth = generator.uniform(560, 680)
    room = np.array([width, height]) / 2 - 1.1 * focal * _HALF_FACE / depth  # keeps the whole face inside
    offset = generator.uniform(-room, room)
    centre = np.array([*(offset * depth / focal), depth])
    gaze = direction(look.pitch, look.yaw)
    target = centre - gaze * depth / gaze[2]  # on the screen, which lies in the camera's plane
    middle = offset + np.array([width, height]) / 2
    unit = focal * _HALF_FACE / depth
    scale = unit / min(height, width)
    painting = Painting(height, width, centre=(middle[1] / height, middle[0] / width), scale=scale)
    paint_scene(painting, looker, look, generator)
    points = middle + unit * landmarks(looker, look)
    on_screen = np.rint([640 - 3.6 * target[0], 3.6 * target[1]])
    head = (look.head_pitch, look.head_yaw, 0.0)
    numbers = [*on_screen, *points.ravel(), *head, *centre, *centre, *target]
    return painting.finished(), [float(number) for number in numbers]


def _write_hdf5(
    folder: Path,
    person: int,
    looker: Looker,
    draws: list[np.random.Generator],
    size: int,
    on_sample: Callable[[], object],
) -> None:
    """Colour planes in the order blue, green, red, and sixteen numbers a picture, of one person."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / f"p{person:02d}.mat", "w") as file:
        data = file.create_dataset(
            "Data/data", (len(draws), 3, size, size), dtype=np.float32, chunks=(1, 3, size, size)
        )
        label = file.create_dataset("Data/label", (len(draws), 16), dtype=np.float64)
        for i, generator in enumerate(draws):
            look = draw_look(looker, generator)
            pixels = _paint(Painting(size, size, scale=_IN_FACE), looker, look, int(generator.integers(2**62)))
            data[i] = pixels[:, :, ::-1].transpose(2, 0, 1)
            points = size / 2 + _IN_FACE * size * landmarks(looker, look)
            label[i] = [look.pitch, look.yaw, look.head_pitch, look.head_yaw, *points.ravel()]
            on_sample()


def _require_h5py() -> None:
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        raise UserError("HDF5 files need h5py: pip install 'rnc-lightning[hdf5]'") from error
