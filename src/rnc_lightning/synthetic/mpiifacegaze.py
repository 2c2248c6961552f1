"""Synthetic data in the three layouts of MPIIFaceGaze: processed by GazeHub, raw images, normalised in HDF5."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.synthetic.checks import check_arguments, check_package
from rnc_lightning.synthetic.gaze import Person, Pose, direction, draw_person, draw_pose, landmarks, paint_scene
from rnc_lightning.synthetic.painting import Painting, save_jpeg

_PERSONS = 15
_HEADER = "Face Left Right Origin WhichEye 3DGaze 3DHead 2DGaze 2DHead Rmat Smat GazeOrigin"
_HALF_FACE = 95.0  # mm
_FACE_SCALE = 0.5  # half a face's height, as a fraction of the face picture's side


@dataclass(frozen=True)
class _Subject:
    """One of the fifteen people and their samples."""

    name: str  # p00 to p14
    person: Person
    draws: list[np.random.Generator]  # the source of each picture
    labelled: int  # the pictures after this many get no label

    def poses(self) -> Iterator[tuple[int, Pose, np.random.Generator]]:
        """Index, pose and source of each picture."""
        for i, generator in enumerate(self.draws):
            yield i, draw_pose(self.person, generator), generator


def write_mpiifacegaze(
    out: Path,
    samples: int = 3000,
    size: int = 96,
    seed: int = 0,
    traps: bool = True,
    layout: Literal["gazehub", "raw", "hdf5"] = "gazehub",
    on_sample: Callable[[], object] = lambda: None,
) -> None:
    """Write `MPIIFaceGaze/` with the samples spread evenly over fifteen people, p00 to p14.

    * `gazehub`: `Image/pXX/{face,left,right}/<n>.jpg` and `Label/pXX.label`; angles are yaw, pitch; rows of the right
      eye are mirrored.
    * `raw`: `pXX/dayYY/NNNN.jpg` and `pXX/pXX.txt`; the face is somewhere in a wider picture.
    * `hdf5`: `MPIIFaceGaze_normalizad/pXX.mat`; angles are pitch, yaw.

    With traps, the first two layouts have pictures without a label.

    Args:
        out: Folder to write into.
        samples: Number of labelled pictures; pitch is -40 to 10 degrees, yaw -45 to 45.
        size: Side of the face pictures in pixels; those of eyes are 60 x 36.
        seed: The same seed gives the same bytes.
        traps: Whether to write pictures without a label.
        layout: One of the three layouts above.
        on_sample: Called after each sample.

    Raises:
        UserError: For fewer than 15 samples, a size below 16, an unknown layout, or `hdf5` if h5py is not installed.
    """
    writers = {"gazehub": _write_gazehub, "raw": _write_raw, "hdf5": _write_hdf5}
    check_arguments(samples, _PERSONS, size, layout, list(writers))
    if layout == "hdf5":
        check_package("h5py", "HDF5", "hdf5")
    for i in range(_PERSONS):
        labelled = samples // _PERSONS + (i < samples % _PERSONS)
        pictures = labelled + (traps and layout != "hdf5")
        subject = _Subject(
            name=f"p{i:02d}",
            person=draw_person(np.random.default_rng(derive_seed(seed, "mpiifacegaze", "person", i))),
            draws=[np.random.default_rng(derive_seed(seed, "mpiifacegaze", "sample", i, k)) for k in range(pictures)],
            labelled=labelled,
        )
        writers[layout](out / "MPIIFaceGaze", subject, size, on_sample)


def _write_gazehub(root: Path, subject: _Subject, size: int, on_sample: Callable[[], object]) -> None:
    """Write faces, eyes and the label file of one person."""
    lines = [_HEADER]
    for i, pose, generator in subject.poses():
        eye = str(generator.choice(["left", "right"]))
        for kind, pixels in _draw_face_and_eyes(subject.person, pose, size, generator).items():
            path = root / "Image" / subject.name / kind / f"{i + 1}.jpg"
            save_jpeg(np.ascontiguousarray(pixels[:, ::-1]) if eye == "right" else pixels, path, quality=92)
        if i < subject.labelled:
            lines.append(_label(subject.name, i, eye, pose, float(generator.normal(600, 50))))
            on_sample()
    path = root / "Label" / f"{subject.name}.label"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _draw_face_and_eyes(
    person: Person, pose: Pose, size: int, generator: np.random.Generator
) -> dict[str, NDArray[np.uint8]]:
    """The face and both eyes in the same light; `left` is the person's left eye, on the right of the picture."""
    light = int(generator.integers(2**62))
    centres = landmarks(person, pose)[:4].reshape(2, 2, 2).mean(axis=1)
    pictures = {"face": _paint(Painting(size, size, scale=_FACE_SCALE), person, pose, light)}
    for kind, (x, y) in zip(("left", "right"), centres[::-1], strict=True):
        unit = 90  # pixels in half a face's height
        eye = Painting(36, 60, centre=(0.5 - y * unit / 36, 0.5 - x * unit / 60), scale=unit / 36)
        pictures[kind] = _paint(eye, person, pose, light)
    return pictures


def _paint(painting: Painting, person: Person, pose: Pose, light: int) -> NDArray[np.uint8]:
    paint_scene(painting, person, pose, np.random.default_rng(light))
    return painting.finished()


def _label(name: str, index: int, eye: str, pose: Pose, distance: float) -> str:
    """A row of the label file, for the picture as saved (mirrored for the right eye)."""
    side = -1 if eye == "right" else 1
    yaw, head_yaw = side * pose.yaw, side * pose.head_yaw
    vectors: list[Iterable[float]] = [
        direction(pose.pitch, yaw),
        (pose.head_pitch, head_yaw, 0.0),
        (yaw, pose.pitch),
        (head_yaw, pose.head_pitch),
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 600 / distance),
        (0.1, 0.2, distance),
    ]
    pictures = [f"{name}/{kind}/{index + 1}.jpg" for kind in ("face", "left", "right")]
    fields = [",".join(f"{value:.6f}" for value in vector) for vector in vectors]
    return " ".join([*pictures, _raw_name(index), eye, *fields])


def _write_raw(root: Path, subject: _Subject, size: int, on_sample: Callable[[], object]) -> None:
    """Write pictures by day and the text file of one person."""
    lines = []
    for i, pose, generator in subject.poses():
        pixels, numbers = _take_picture(subject.person, pose, size, generator)
        save_jpeg(pixels, root / subject.name / _raw_name(i), quality=92)
        if i < subject.labelled:
            eye = str(generator.choice(["left", "right"]))
            lines.append(" ".join([_raw_name(i), *(f"{number:.4f}" for number in numbers), eye]))
            on_sample()
    (root / subject.name / f"{subject.name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _raw_name(index: int) -> str:
    return f"day{1 + index // 40:02d}/{1 + index % 40:04d}.jpg"


def _take_picture(
    person: Person, pose: Pose, size: int, generator: np.random.Generator
) -> tuple[NDArray[np.uint8], list[float]]:
    """A wider picture by a pinhole camera, and the 26 numbers of its row: screen, landmarks, head, face and target."""
    height, width = round(1.8 * size), round(3.2 * size)
    focal = _FACE_SCALE * size * 600 / _HALF_FACE  # pixels
    depth = generator.uniform(560, 680)
    room = np.array([width, height]) / 2 - 1.1 * focal * _HALF_FACE / depth  # keeps the whole face inside
    offset = generator.uniform(-room, room)
    centre = np.array([*(offset * depth / focal), depth])
    gaze = direction(pose.pitch, pose.yaw)
    target = centre - gaze * depth / gaze[2]  # on the screen, which is in the camera's plane
    middle = offset + np.array([width, height]) / 2
    unit = focal * _HALF_FACE / depth
    scale = unit / min(height, width)
    painting = Painting(height, width, centre=(middle[1] / height, middle[0] / width), scale=scale)
    paint_scene(painting, person, pose, generator)
    points = middle + unit * landmarks(person, pose)
    on_screen = np.rint([640 - 3.6 * target[0], 3.6 * target[1]])
    head = (pose.head_pitch, pose.head_yaw, 0.0)
    numbers = [*on_screen, *points.ravel(), *head, *centre, *centre, *target]
    return painting.finished(), [float(number) for number in numbers]


def _write_hdf5(root: Path, subject: _Subject, size: int, on_sample: Callable[[], object]) -> None:
    """Write the HDF5 file of one person: (N, 3, size, size) pixels as blue, green, red, and (N, 16) numbers."""
    import h5py

    folder, count = root / "MPIIFaceGaze_normalizad", subject.labelled
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / f"{subject.name}.mat", "w") as file:
        data = file.create_dataset("Data/data", (count, 3, size, size), dtype=np.float32, chunks=(1, 3, size, size))
        label = file.create_dataset("Data/label", (count, 16), dtype=np.float64)
        for i, pose, generator in subject.poses():
            painting = Painting(size, size, scale=_FACE_SCALE)
            pixels = _paint(painting, subject.person, pose, int(generator.integers(2**62)))
            data[i] = pixels[:, :, ::-1].transpose(2, 0, 1)
            points = size / 2 + _FACE_SCALE * size * landmarks(subject.person, pose)
            label[i] = [pose.pitch, pose.yaw, pose.head_pitch, pose.head_yaw, *points.ravel()]
            on_sample()
