"""The base of every data set: reading, checking, taking a subset, and a fingerprint. No batches here."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rnc_lightning.datasets.images.source import decode_into_cache, decode_on_access
from rnc_lightning.datasets.reading.content import FileContents
from rnc_lightning.datasets.reading.data_identity import DataIdentity, identify
from rnc_lightning.datasets.reading.file_check import drop_unreadable
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import OnBad, Problems
from rnc_lightning.datasets.reading.random_split import Division, write_division
from rnc_lightning.datasets.reading.training_subset import TrainingSubset, write_subset
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.datasets.unlabelled import Unlabelled, UserInputs
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.synthetic_marker import ALL_PARTS, MARKER

log = logging.getLogger(__name__)


class DataSource(ABC):
    """Three splits and what is known about them, independent of views, batches and stages.

    Args:
        on_bad: What to do about samples that cannot be used: `error` lists all of them and stops; `skip` skips and
            counts them.
        check_files: Whether each file is decoded once before training, so that broken files are found early. The bytes
            of every file are hashed in any case, in the same pass: changed data must never pass for the old ones.
        cache_dir: Folder for results that take long to compute, such as the hashes and which files are good; null
            keeps none, and everything is read again at each start.
        cache: Whether image files are decoded once into `cache_dir` and then read from there: the same pixels,
            faster, for 3 bytes per pixel.
        cache_side: The cache scales larger images down to this shorter side; null keeps every pixel.
        subset: Which training samples are used; None: all.

    Raises:
        ValueError: For an unknown `on_bad`, or a cache without a folder.
    """

    terms: ClassVar[str] = "The data are your own; state here who may use the data and models trained on them."
    published: ClassVar[Published | None] = None  # the paper's numbers, if it used this data set
    root: Path | None = None  # folder of the files, if there are files
    division: Division | None = None  # how the splits were drawn, if they are not published
    row_contents: Mapping[str, str] | None = None  # what identifies samples whose names are only numbers of rows
    preparation: dict[str, Any] | None = None  # training statistics applied to every input, such as means

    def __init__(
        self,
        *,
        on_bad: OnBad = "error",
        check_files: bool = True,
        cache_dir: str | None = None,
        cache: bool = False,
        cache_side: int | None = None,
        subset: TrainingSubset | None = None,
    ) -> None:
        if on_bad not in ("error", "skip"):
            raise ValueError(f"on_bad must be error or skip, got {on_bad!r}")
        if cache and cache_dir is None:
            raise ValueError("cache=true needs cache_dir, which is null")
        if cache_side is not None:
            check_whole_number("cache_side", cache_side, 1)
            if not cache:
                raise ValueError(f"cache_side={cache_side} needs cache=true")
        self.on_bad = on_bad
        self.check_files = check_files
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self.contents = FileContents(None if self.cache_dir is None else self.cache_dir / "contents")
        self.cache = cache
        self.cache_side = cache_side
        self.subset = subset or TrainingSubset()
        self.splits: dict[SplitName, Split] = {}
        self.drawn: dict[SplitName, list[str]] = {}  # names in each part, before files were opened
        self.skipped: dict[str, int] = {}
        self._before_subset: dict[SplitName, Split] = {}  # empty if there is no subset
        self._identified: tuple[list[Split], DataIdentity] | None = None

    @abstractmethod
    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the three splits, skipping samples that cannot be used.

        Args:
            problems: Receives each skipped sample, with its file and row.

        Raises:
            UserError: If nothing can be read at all; says how to fix it.
        """

    def prepare(self, splits: dict[SplitName, Split]) -> dict[SplitName, Split]:
        """Complete the inputs by what must be known of all training files, before each file is checked."""
        return splits

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Inputs without labels, prepared like the test inputs from `read`. The data set itself need not be present.

        Args:
            inputs: Where they are.
            problems: Receives what cannot be used.

        Raises:
            UserError: If there is nothing to predict from, or the data set does not implement this.
        """
        kind = type(self)
        raise UserError(
            f"{self.title} cannot read inputs without labels: give {kind.__module__}.{kind.__name__} a method "
            "unlabelled(inputs, problems) that returns Unlabelled(columns, splits)"
        )

    def example_input(self) -> Any | None:
        """A raw input, to find out shapes; None before the data were read."""
        return self.splits["test"].inputs[0] if self.splits else None

    def content_digest(self) -> bytes:
        """What identifies the data in addition to names, targets, and the files or values of the inputs."""
        return b""

    def read_once(self) -> None:
        """Read the splits unless they have been read already.

        Raises:
            UserError: If a split is empty, or samples cannot be used and `on_bad` is `error`; lists all of them.
        """
        if self.splits:
            return
        splits = self._usable_splits()
        if self.cache and self.cache_dir is not None:
            self.splits = decode_into_cache(splits, self.cache_dir / "images", self.cache_side, self.contents)
        else:
            self.splits = decode_on_access(splits)

    def read_identity(self) -> DataIdentity:
        """Read tables and the state of the files, but decode nothing into a cache; what the data are now.

        Raises:
            UserError: As `read_once`.
        """
        if not self.splits:
            self.splits = self._usable_splits()
            try:
                return self.identity
            finally:
                self.splits = {}
        return self.identity

    def _usable_splits(self) -> dict[SplitName, Split]:
        splits, problems = self.inspect()
        if self.on_bad == "error":
            problems.raise_if_any(self.title)
        for kind, count in problems.counts.items():
            log.warning("%s: skipped: %d x %s", self.title, count, kind)
        if (problem := self.split_problem(splits)) is not None:
            raise UserError(problem)
        self.skipped = problems.counts
        return splits

    def inspect(self) -> tuple[dict[SplitName, Split], Problems]:
        """Read the splits and open every file; returns what can be used, and the problems.

        Raises:
            UserError: If nothing can be read at all; problems found until then are its details.
        """
        problems = Problems()
        try:
            splits = self.read(problems)
        except UserError as error:
            if not len(problems) or error.details:
                raise
            raise UserError(
                f"{error}. Found before that: {problems.samples} that cannot be used:", problems.lines
            ) from error
        self.drawn = {part: list(_group_names(split)) for part, split in splits.items()}
        if not self.subset.takes_all:
            self._before_subset, splits = splits, self.subset.apply(splits)
        splits = self.prepare(splits)
        if self.check_files:
            splits = {
                part: drop_unreadable(split, problems, self.contents, f"files of {self.title}")
                for part, split in splits.items()
            }
        return splits, problems

    def split_problem(self, splits: Mapping[SplitName, Split]) -> str | None:
        """Why these splits cannot be used for training although each sample is fine; None if they can."""
        if empty := [name for name, split in splits.items() if not len(split)]:
            return f"{self.title}: no samples are left in {' and '.join(empty)}: check the split and the files"
        return None

    @property
    def title(self) -> str:
        """The data set's name in messages."""
        return type(self).__name__.removesuffix("DataModule")

    @property
    def target_names(self) -> Sequence[str] | None:
        """Names of the target columns if the user chooses them, else None."""
        return None

    @property
    def synthetic_parts(self) -> tuple[str, ...]:
        """Which parts are synthetic: `inputs` and `target` if the marker file is with the data, else none.

        A data set with real inputs and synthetic targets sets `synthetic_parts = ("target",)`.
        """
        if self.root is None:
            return ()
        root = self.root.resolve()
        marked = any((folder / MARKER).is_file() for folder in (root, *root.parents[:4]))
        return ALL_PARTS if marked else ()

    @property
    def synthetic(self) -> bool:
        """Whether inputs and targets are both synthetic."""
        return set(self.synthetic_parts) == set(ALL_PARTS)

    def write_division(self, path: Path) -> None:
        """Write a random split as `split.csv`, which `data.split.file` reads; nothing if the split is published.

        Unreadable samples are included, so that the file fits the same table again.
        """
        if self.division is not None:
            write_division(path, self.drawn, self.row_contents)

    def write_subset(self, path: Path) -> None:
        """Write the samples used for training and validation as `subset.csv`, if not all are used."""
        if self._before_subset:
            write_subset(path, self._before_subset, self.splits)

    @property
    def counts(self) -> dict[str, int]:
        """Number of samples in each split; for grouped samples, of groups."""
        return {name: len(_group_names(split)) for name, split in self.splits.items()}

    @property
    def identity(self) -> DataIdentity:
        """What the data are: names, targets and the content of all inputs, hashed once."""
        splits = list(self.splits.values())
        if self._identified is None or [id(one) for one in self._identified[0]] != [id(one) for one in splits]:
            found = identify(self.splits, self.contents, self.content_digest())
            unknown = [part for part in self.splits if f"{part}/inputs" not in found.hashes]
            if unknown and type(self).content_digest is DataSource.content_digest:
                log.warning(
                    "%s: changed inputs cannot be noticed, because they are neither in memory nor files (`paths`); "
                    "define content_digest()",
                    self.title,
                )
            self._identified = splits, found
        return self._identified[1]

    @property
    def fingerprint(self) -> str:
        """Hash of all names, targets and inputs, to tell whether two runs saw the same data."""
        return self.identity.fingerprint


def _group_names(split: Split) -> Sequence[str]:
    return split.names if split.groups is None else split.groups.names
