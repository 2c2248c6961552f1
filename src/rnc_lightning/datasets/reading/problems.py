"""Collects everything that is wrong with a data set's files, so that the user sees it all at once."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rnc_lightning.system.errors import UserError

OnBad = Literal["error", "skip"]


@dataclass(frozen=True)
class Problem:
    """One sample that cannot be used.

    Attributes:
        kind: What is wrong, in the same words for all problems of a kind: `unreadable image`, `age missing`.
        where: The file, and the row if there is one.
        detail: The bad value or a library's error message; may be empty.
    """

    kind: str
    where: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}" + (f" ({self.detail})" if self.detail else "")


class Problems:
    """A list of problems that a reader adds to while it skips the bad samples.

    >>> problems = Problems()
    >>> problems.add("age missing", "faces.csv, row 7")
    >>> problems.counts
    {'age missing': 1}
    """

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    def add(self, kind: str, where: str, detail: str = "") -> None:
        """Record a sample that cannot be used and was skipped."""
        self._problems.append(Problem(kind, where, detail))

    def __len__(self) -> int:
        return len(self._problems)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems)

    @property
    def counts(self) -> dict[str, int]:
        """Number of problems by kind, the most frequent first."""
        return dict(Counter(problem.kind for problem in self._problems).most_common())

    @property
    def lines(self) -> list[str]:
        """Each problem as a line of text."""
        return [str(problem) for problem in self._problems]

    @property
    def samples(self) -> str:
        """How many samples have at least one problem, such as `3 samples`."""
        count = len({problem.where for problem in self._problems})
        return f"{count:,} sample{'' if count == 1 else 's'}"

    def raise_if_any(self, dataset: str) -> None:
        """Raise an error if there are any problems.

        Raises:
            UserError: Lists every problem in its details.
        """
        if not self._problems:
            return
        kinds = ", ".join(f"{count} x {kind}" for kind, count in self.counts.items())
        raise UserError(
            f"{dataset}: {self.samples} cannot be used ({kinds}). Fix them, or train without them: "
            "data.on_bad=skip. They are:",
            self.lines,
        )
