"""What every data set can do before anything becomes a batch: be read, checked, cut down, told from others."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rnc_lightning.datasets.images.source import decoded_fast, decoded_once
from rnc_lightning.datasets.reading.file_check import drop_unreadable
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import OnBad, Problems
from rnc_lightning.datasets.reading.random_split import Division, write_division
from rnc_lightning.datasets.reading.training_subset import TrainingSubset, write_subset
from rnc_lightning.datasets.splits import Split, SplitName, fingerprint
from rnc_lightning.datasets.unlabelled import Unlabelled, UserInputs
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.synthetic_marker import MARKER, WHOLE

log = logging.getLogger(__name__)


class DataSource(ABC):
    """Three splits, and what is known of them. It knows nothing of views, batches and stages.

    Args:
        on_bad: `error` refuses data with samples that cannot be used, all of them listed; `skip` leaves them out
            and counts them.
        check_files: Whether each file is opened once before training, so that a broken one is found then. What was
            found good is remembered in `cache_dir` by size and time.
        cache_dir: Where things are kept that take long to compute; null keeps nothing.
        cache: Whether image files are decoded once, into `cache_dir`, and read from there as bytes: the same pixels
            sooner, for 3 bytes each.
        cache_side: Shorter side to which the cache scales larger images down; null keeps every pixel.
        subset: Which training samples are used; None: all.

    Raises:
        ValueError: For other `on_bad`, or a cache without a place.
    """

    terms: ClassVar[str] = "The data are your own; state here who may use them, and what was learnt from them."
    published: ClassVar[Published | None] = None  # what the paper used, for data sets of the paper
    root: Path | None = None  # where the files are, for data sets that lie in files
    division: Division | None = None  # how the splits were drawn, where nobody published them
    preparation: dict[str, Any] | None = None  # what of the training data goes into every input, plain: means, say

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
            raise ValueError("cache needs a place: cache_dir is null")
        if cache_side is not None and (isinstance(cache_side, bool) or cache_side < 1 or not cache):
            raise ValueError(f"cache_side must be a whole number from 1 up and needs cache=true, got {cache_side}")
        self.on_bad = on_bad
        self.check_files = check_files
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self.cache = cache
        self.cache_side = cache_side
        self.subset = subset or TrainingSubset()
        self.splits: dict[SplitName, Split] = {}
        self.drawn: dict[SplitName, list[str]] = {}  # names by part, before files were opened
        self.skipped: dict[str, int] = {}
        self._whole: dict[SplitName, Split] = {}  # before the subset was taken, where there is one

    @abstractmethod
    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the three splits, leaving out samples that cannot be used.

        Args:
            problems: Gets each sample that was left out, with its file and row.

        Raises:
            UserError: With a remedy, where nothing can be read at all.
        """

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Inputs without labels, as `read` would give them to the test. Nothing else of the data set need be there.

        Args:
            inputs: Where they lie.
            problems: Gets what cannot be used.

        Raises:
            UserError: Where there is nothing to predict from, or the data set does not say how it reads such inputs.
        """
        kind = type(self)
        raise UserError(
            f"{self.title} does not say how it reads inputs without labels: give {kind.__module__}.{kind.__name__} a "
            "method unlabelled(inputs, problems) that returns Unlabelled(columns, splits)"
        )

    def example_input(self) -> Any | None:
        """A raw input, for the shape of what is made of it; None as long as nothing was read."""
        return self.splits["test"].inputs[0] if self.splits else None

    def content_digest(self) -> bytes:
        """What identifies the inputs beside names and targets, for the fingerprint.

        Of files it is their sizes: reading all of them to tell whether they changed would take minutes.
        """
        inputs = [split.inputs for split in self.splits.values()]
        return b"".join(
            path.stat().st_size.to_bytes(8, "little") for files in inputs for path in getattr(files, "paths", ())
        )

    def read_once(self) -> None:
        """Read the splits where they have not been read yet.

        Raises:
            UserError: Where samples cannot be used and are not to be skipped, with all of them; or a split is empty.
        """
        if self.splits:
            return
        splits, problems = self.inspect()
        if self.on_bad == "error":
            problems.raise_if_any(self.title)
        for kind, count in problems.counts.items():
            log.warning("%s: left out: %d x %s", self.title, count, kind)
        if (refusal := self.split_problem(splits)) is not None:
            raise UserError(refusal)
        if self.cache and self.cache_dir is not None:
            self.splits = decoded_once(splits, self.cache_dir / "images", self.cache_side)
        else:
            self.splits = decoded_fast(splits)
        self.skipped = problems.counts

    def inspect(self) -> tuple[dict[SplitName, Split], Problems]:
        """Read the splits and open every file: what can be used, and what cannot.

        Raises:
            UserError: Where nothing can be read at all; problems found until then are its details.
        """
        problems = Problems()
        try:
            splits = self.read(problems)
        except UserError as error:
            if not len(problems) or error.details:
                raise
            raise UserError(
                f"{error}. Found before: {problems.samples} that cannot be used:", problems.lines
            ) from error
        self.drawn = {part: list(_group_names(split)) for part, split in splits.items()}
        if not self.subset.takes_all:
            self._whole, splits = splits, self.subset.apply(splits)
        if self.check_files:
            splits = {
                part: drop_unreadable(split, problems, self.cache_dir, f"files of {self.title}")
                for part, split in splits.items()
            }
        return splits, problems

    def split_problem(self, splits: Mapping[SplitName, Split]) -> str | None:
        """Why nothing can be trained on these splits though each of their samples is sound; None where it can."""
        if empty := [name for name, split in splits.items() if not len(split)]:
            return f"{self.title}: nothing is left in {' and '.join(empty)}: check the split and the files"
        return None

    @property
    def title(self) -> str:
        """The data set's name in messages."""
        return type(self).__name__.removesuffix("DataModule")

    @property
    def target_names(self) -> Sequence[str] | None:
        """Names of the target's columns, where they are not fixed but chosen by the user."""
        return None

    @property
    def synthetic_parts(self) -> tuple[str, ...]:
        """What of a sample a program made: `inputs` and `target` where the marker lies beside the files, else nothing.

        A data set of real inputs with a synthetic target says `synthetic_parts = ("target",)`.
        """
        if self.root is None:
            return ()
        root = self.root.resolve()
        marked = any((folder / MARKER).is_file() for folder in (root, *root.parents[:4]))
        return WHOLE if marked else ()

    @property
    def synthetic(self) -> bool:
        """Whether all of it is synthetic."""
        return set(self.synthetic_parts) == set(WHOLE)

    def write_division(self, path: Path) -> None:
        """Write a drawn split as `split.csv`, which `data.split.file` reads; nothing for a published one.

        Samples that turned out to be unreadable are in it too: the same draw fits the same table.
        """
        if self.division is not None:
            write_division(path, self.drawn)

    def write_subset(self, path: Path) -> None:
        """Write as `subset.csv` which samples training and validation use, where not all of them do."""
        if self._whole:
            write_subset(path, self._whole, self.splits)

    @property
    def counts(self) -> dict[str, int]:
        """Samples in each split; where samples belong together, the groups."""
        return {name: len(_group_names(split)) for name, split in self.splits.items()}

    @property
    def fingerprint(self) -> str:
        """Hash of all names, targets and inputs, to tell whether two runs saw the same data."""
        return fingerprint(self.splits, self.content_digest())


def _group_names(split: Split) -> Sequence[str]:
    return split.names if split.groups is None else split.groups.names
