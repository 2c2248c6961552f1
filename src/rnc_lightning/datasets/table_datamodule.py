"""The base of data modules for your own table; a subclass defines the inputs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.reading.numbers import NumberFormat
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.user_files import find_files
from rnc_lightning.datasets.reading.user_table import (
    UserColumns,
    UserRows,
    check_user_rows,
    choose_division,
    read_user_table,
)
from rnc_lightning.datasets.splits import Split, SplitName


class UserTableDataModule(RegressionDataModule):
    """Samples listed in your own table; a subclass defines the inputs.

    Args:
        csv: The table.
        target: Columns of labels.
        split_column: Column with train, val (or validation, valid, dev) or test; null draws a random split.
        group: Column of the groups; a random split keeps each group in one part.
        plausible: For each target column the lowest and the highest label to accept.
        partial_targets: Whether rows that lack some of their labels are used (the missing ones are NaN in
            `Split.targets`); if not, they are problems.
        decimal: `point` or `comma`; null: found out from the table, and refused where that leaves a doubt.
        thousands: `point`, `comma`, `apostrophe`, `space` or `none`; null: found out too.
        split: Arguments of `Division`; `by: null` is `group` if there is a group column, else `sample`.
        **loading: Arguments of `RegressionDataModule`.

    Raises:
        ValueError: For arguments that contradict each other.
    """

    def __init__(
        self,
        *,
        csv: str,
        target: Sequence[str] | str,
        split_column: str | None = None,
        group: str | None = None,
        plausible: Mapping[str, Sequence[float]] | None = None,
        partial_targets: bool = False,
        decimal: str | None = None,
        thousands: str | None = None,
        split: Mapping[str, Any] | None = None,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        self.csv = Path(csv)
        self.root = self.csv.parent
        targets = target if isinstance(target, list | tuple) else [target]
        split_column, group = (None if name is None else str(name) for name in (split_column, group))
        bounds = {str(name): ends for name, ends in (plausible or {}).items()}
        self.columns = UserColumns([str(name) for name in targets], split_column, group, bounds, partial_targets)
        self.form = NumberFormat(decimal, thousands)
        self.division = choose_division(split or {}, self.columns)

    @property
    def title(self) -> str:
        """The table's file name, for messages."""
        return self.csv.name

    @property
    def target_names(self) -> Sequence[str]:
        """The columns of labels."""
        return self.columns.target

    def split_problem(self, splits: Mapping[SplitName, Split]) -> str | None:
        """Set if a split is empty, or a target is missing or the same in all training rows."""
        if (problem := super().split_problem(splits)) is not None:
            return problem
        for name, labels in zip(self.columns.target, splits["train"].targets.unbind(dim=1), strict=True):
            if (reason := _nothing_to_learn(labels)) is not None:
                return f"{self.title}: the target {name} {reason}. Choose another target, or check the split"
        return None

    def read_file_rows(self, input: str, problems: Problems) -> tuple[UserRows, list[Path]]:
        """The usable rows of a table of files, and the file of each row.

        Args:
            input: Column of the paths, relative to `self.root`.
            problems: Receives the rows that cannot be used.
        """
        assert self.root is not None
        table = read_user_table(self.csv, [input, *self.columns.required], self.form)
        names, files, good = find_files(table, input, self.root, problems)
        rows = check_user_rows(table, names, good, self.columns, self.division, problems, what=input)
        return rows, [files[i] for i in rows.positions]


def _nothing_to_learn(labels: Tensor) -> str | None:
    """Why one dimension of the training labels (N,), NaN where missing, cannot be learned; None if it can."""
    known = labels[~labels.isnan()]
    if not len(known):
        return "has no label in the training samples"
    if (value := float(known[0])) == known.min() == known.max():
        return f"is {value:.15g} in all {len(known):,} training samples: there is nothing to learn"
    return None
