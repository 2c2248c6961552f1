"""MPIIFaceGaze in any of its three layouts, divided by persons. The target is (pitch, yaw) in degrees, pitch first."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch

from rnc_lightning.datasets.images.datamodule import ImagesDataModule
from rnc_lightning.datasets.mpiifacegaze.gazehub import label_files, read_gazehub
from rnc_lightning.datasets.mpiifacegaze.hdf5 import matlab_files, read_hdf5
from rnc_lightning.datasets.mpiifacegaze.raw import read_raw, text_files
from rnc_lightning.datasets.mpiifacegaze.samples import Eye, GazeSamples, person_of
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.random_split import write_division
from rnc_lightning.datasets.splits import PARTS, Split, SplitName
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)

Layout = Literal["auto", "gazehub", "hdf5", "raw"]

_HOW_TO_GET = (
    "MPIIFaceGaze (for non-commercial use): get it from "
    "https://perceptualui.org/research/datasets/MPIIFaceGaze and put in {root} either Image/ and Label/ as GazeHub's "
    "script makes them (https://phi-ai.buaa.edu.cn/Gazehub), or p00.mat to p14.mat of MPIIFaceGaze_normalized.zip, "
    "or p00/ to p14/ of MPIIFaceGaze.zip. "
    "Elsewhere: set data.root=..., paths.data_dir=... or the environment variable RNC_DATA."
)


class MPIIFaceGazeDataModule(ImagesDataModule):
    """Faces and gaze directions of 15 persons, no person in two parts.

    Args:
        root: Folder of the data set.
        layout: `gazehub`, `hdf5`, `raw`, or `auto`: the first of them that lies in `root`.
        persons: Numbers of the persons for `val` and `test`, 3 for p03; all others are for training.
        eye: `left` or `right` takes the samples of that eye in MPIIGaze's evaluation subset, `both` takes all. The
            faces of GazeHub's right ones are mirrored pictures with a mirrored gaze.
        per_person: Samples taken of each person, drawn with `per_person_seed`; None takes all.
        per_person_seed: Seed of that draw, which depends on it and on the samples' names alone.
        crop_margin: For the raw layout, what to add around the landmarks on each side, as a share of their extent.
        **loading: Arguments of `RegressionDataModule`.

    Raises:
        ValueError: For another layout or eye, persons that overlap or are no numbers, or a number out of range.
    """

    terms: ClassVar[str] = (
        "MPIIFaceGaze: CC BY-NC-SA 4.0 (https://www.perceptualui.org/research/datasets/MPIIFaceGaze): no commercial "
        "use, and the authors are to be named."
    )

    published: ClassVar[Published] = Published(
        counts={"train": 33000, "val": 6000, "test": 6000},
        note="The counts (11, 2 and 2 persons of 3,000 faces) and the paper's range (pitch -40 to 10, yaw -45 to 45 "
        "degrees) are unconfirmed. Which persons are validation and test is not public: ours is a choice.",
    )

    def __init__(
        self,
        *,
        root: str,
        layout: Layout = "auto",
        persons: Mapping[str, Sequence[int]],
        eye: Eye = "both",
        per_person: int | None = None,
        per_person_seed: int = 0,
        crop_margin: float = 0.5,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        for key, value, words in (("layout", layout, get_args(Layout)), ("eye", eye, get_args(Eye))):
            if value not in words:
                raise ValueError(f"{key} must be {', '.join(words[:-1])} or {words[-1]}, got {value!r}")
        if per_person is not None and per_person < 1:
            raise ValueError(f"per_person must be a whole number from 1 up, or null for all, got {per_person}")
        if not 0 <= crop_margin <= 5:
            raise ValueError(f"crop_margin must be between 0 and 5, got {crop_margin}")
        self.root = Path(root)
        self.layout: Layout = layout
        self.persons = check_persons(persons)
        self.eye: Eye = eye
        self.per_person = per_person
        self.per_person_seed = per_person_seed
        self.crop_margin = crop_margin

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the label files; samples that cannot be used become problems.

        Raises:
            UserError: If there is no such layout, or not those persons.
        """
        assert self.root is not None
        layout, files = find_layout(self.root, self.layout)
        _check_present(self.persons, {person_of(file) for file in files}, self.root)
        samples = self._samples(layout, problems)
        if self.per_person is not None:
            samples = draw_per_person(samples, self.per_person, self.per_person_seed)
        part_of = {person: part for part, persons in self.persons.items() for person in persons}
        parts = np.array([part_of.get(person, "train") for person in samples.persons.tolist()], dtype="U5")
        return {part: _split(samples.take(np.flatnonzero(parts == part))) for part in PARTS}

    def write_division(self, path: Path) -> None:
        """Write which samples were drawn, where `per_person` is set; a split by persons stands in the configuration."""
        if self.per_person is not None:
            write_division(path, self.drawn)

    def _samples(self, layout: str, problems: Problems) -> GazeSamples:
        assert self.root is not None
        if layout == "gazehub":
            return read_gazehub(self.root, self.eye, problems)
        if layout == "raw":
            return read_raw(self.root, self.eye, self.crop_margin, problems)
        if self.eye != "both":
            raise UserError(f"data.eye={self.eye}: the HDF5 layout does not say which eye a sample is of; set both")
        return read_hdf5(self.root, problems)


def find_layout(root: Path, wanted: Layout) -> tuple[str, list[Path]]:
    """The layout to read and its label files, one a person.

    Raises:
        UserError: If it is not in `root`.
    """
    files = {"gazehub": label_files(root), "hdf5": matlab_files(root), "raw": text_files(root)}
    there = [layout for layout, found in files.items() if found]
    if wanted == "auto" and there:
        beside = f"; {' and '.join(there[1:])} are there too: data.layout=..." if there[1:] else ""
        log.info("MPIIFaceGaze: reading the %s layout in %s%s", there[0], root, beside)
        return there[0], files[there[0]]
    if wanted not in there:
        what = "no layout of MPIIFaceGaze" if wanted == "auto" else f"no {wanted} layout of MPIIFaceGaze"
        instead = f" (there is {', '.join(there)})" if there else ""
        raise UserError(f"there is {what} in {root}{instead}. {_HOW_TO_GET.format(root=root)}")
    return wanted, files[wanted]


def check_persons(persons: Mapping[str, Sequence[int]]) -> dict[SplitName, list[int]]:
    """The persons of validation and test, whole numbers and none of them twice.

    Raises:
        ValueError: Else.

    >>> check_persons({"val": [3], "test": [4]})
    {'val': [3], 'test': [4]}
    """
    if set(persons) != {"val", "test"} or not all(persons.values()):
        raise ValueError(
            f"persons must be given for val and test, such as {{val: [11, 12], test: [13, 14]}}, got {persons}"
        )
    everyone = [*persons["val"], *persons["test"]]
    if wrong := [person for person in everyone if isinstance(person, bool) or not isinstance(person, int)]:
        raise ValueError(f"persons must be whole numbers (3 for p03), got {wrong[0]!r}")
    if twice := sorted({person for person in everyone if everyone.count(person) > 1}):
        raise ValueError(f"persons: {_names(twice)} given more than once; a person belongs to one part")
    return {"val": list(persons["val"]), "test": list(persons["test"])}


def draw_per_person(samples: GazeSamples, per_person: int, seed: int) -> GazeSamples:
    """At most so many samples of each person, in the order that they had."""
    taken: list[int] = []
    for person in sorted(set(samples.persons.tolist())):
        rows = sorted(np.flatnonzero(samples.persons == person).tolist(), key=lambda row: samples.names[row])
        if len(rows) < per_person:
            log.warning("MPIIFaceGaze: p%02d has %d samples, fewer than per_person=%d", person, len(rows), per_person)
        order = np.random.default_rng(derive_seed(seed, "per_person", person)).permutation(len(rows))
        taken += [rows[i] for i in order[:per_person].tolist()]
    return samples.take(np.array(sorted(taken), dtype=np.int64))


def _check_present(persons: Mapping[SplitName, Sequence[int]], there: set[int], root: Path) -> None:
    for part, wanted in persons.items():
        if lacking := sorted(set(wanted) - there):
            raise UserError(f"data.persons.{part}: no {_names(lacking)} in {root}; there are {_names(sorted(there))}")
    if not there.difference(*persons.values()):
        raise UserError(f"data.persons: validation and test take all persons of {root}; none is left for training")


def _names(persons: Sequence[int]) -> str:
    return ", ".join(f"p{person:02}" for person in persons)


def _split(samples: GazeSamples) -> Split:
    return Split(samples.inputs, torch.tensor(samples.angles, dtype=torch.float32), list(samples.names))
