"""Your own features: the columns of a table, or the arrays of an .npz file."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import Table, is_file, read_labels
from rnc_lightning.datasets.reading.user_table import check_user_rows, column_names, read_user_table
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.datasets.table_datamodule import UserTableDataModule
from rnc_lightning.datasets.transform import Description
from rnc_lightning.datasets.unlabelled import Unlabelled, UserInputs, blank_split, read_whole_table
from rnc_lightning.system.errors import UserError, first_line

log = logging.getLogger(__name__)


class ArrayDataModule(UserTableDataModule):
    """Rows of numbers, standardised with the training split's means and standard deviations.

    The table is a CSV or Parquet file, or an .npz file with `x` (N, F) and `y` (N,) or (N, D). In an .npz file the
    split column, the groups and the id are arrays (N,) with those names, and the columns of x are called x0, x1, ...

    Args:
        channels: Number F of inputs that the encoder expects; checked against the table.
        inputs: Input columns; null: all numeric columns that have no other role.
        id: Column with the name of each row, also used in split files; null: the row number.
        standardize: Whether each input is scaled to mean 0 and standard deviation 1 over the training split.
        **table: Arguments of `UserTableDataModule` and `RegressionDataModule`.

    Raises:
        ValueError: If a target is among the inputs, or arguments contradict each other.
    """

    def __init__(
        self,
        *,
        channels: int | None = None,
        inputs: Sequence[str] | None = None,
        id: str | None = None,
        standardize: bool = True,
        **table: Any,
    ) -> None:
        super().__init__(**table)
        if inputs is not None and (both := [name for name in inputs if name in self.columns.target]):
            raise ValueError(f"inputs: {', '.join(both)} is a target: a target cannot be an input")
        if inputs is not None and not inputs:
            raise ValueError("inputs: name at least one column, or null for all numeric columns")
        self.channels = channels
        self.inputs = None if inputs is None else [str(name) for name in inputs]
        self.id = None if id is None else str(id)
        self.standardize = standardize

    def split_problem(self, splits: Mapping[SplitName, Split]) -> str | None:
        """Set if a split is empty, or `channels` is not the number of inputs."""
        if (problem := super().split_problem(splits)) is not None:
            return problem
        count = splits["train"].inputs[0].shape[0]
        if self.channels == count:
            return None
        return f"input.channels={self.channels}, but {self.csv} has {count} inputs: set input.channels={count}"

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the table; rows that cannot be used become problems."""
        table, inputs = self._read_table()
        log.info("%s: %d inputs: %s", self.title, len(inputs), ", ".join(inputs))
        values, good = read_labels(table, inputs, problems)
        names = [f"row {number}" for number in table.frame.index] if self.id is None else table.texts(self.id)
        if self.id is not None:
            for i in [i for i, name in enumerate(names) if not name]:
                problems.add(f"{self.id} missing", table.where(i))
                good[i] = False
        rows = check_user_rows(table, names, good, self.columns, self.division, problems, what=self.id or "row")
        values = values[rows.positions]
        centre, scale = np.zeros(len(inputs)), np.ones(len(inputs))
        if self.standardize and (training := rows.of("train")):
            if constant := [inputs[i] for i in np.flatnonzero(np.ptp(values[training], axis=0) == 0)]:
                log.warning("%s: constant inputs in the training split: %s", self.title, ", ".join(constant))
            centre, scale = standardisation(values[training])
        self.preparation = {"inputs": inputs, "centre": centre.tolist(), "scale": scale.tolist()}
        tensor = torch.tensor((values - centre) / scale, dtype=torch.float32)
        return rows.splits(lambda chosen: tensor[chosen])

    def example_input(self) -> Tensor | None:
        """A row of zeros."""
        return None if self.preparation is None else torch.zeros(len(self.preparation["inputs"]))

    def describe_input(self) -> Description | None:
        """The input columns, and the mean and scale of each."""
        if self.preparation is None:
            return None
        words = (
            f"{len(self.preparation['inputs'])} numbers in the order of `input.inputs` in config.json. Subtract "
            "`centre` from each and divide by `scale`; both come from the training rows."
        )
        return Description({"kind": "numbers", **self.preparation}, words).then(self.eval_transform)

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Rows of a table, or of `x` (N, F) in an .npz file, prepared as in training."""
        assert self.preparation is not None
        rows, columns = read_rows(inputs.path, self.preparation, problems)
        return Unlabelled(columns, [blank_split(rows)])

    def _read_table(self) -> tuple[Table, list[str]]:
        """The table and the names of its input columns."""
        others = [*self.columns.required, *([self.id] if self.id is not None else [])]
        if self.csv.suffix.lower() == ".npz":
            table = npz_table(self.csv, self.columns.target, others[len(self.columns.target) :])
        else:
            inputs = column_names(self.csv, others) if self.inputs is None else self.inputs
            table = read_user_table(self.csv, [*others, *inputs])
        if self.inputs is not None:
            if absent := [name for name in self.inputs if name not in table.frame.columns]:
                raise UserError(f"{self.csv} has no column {', '.join(absent)} (data.inputs)")
            return table, list(self.inputs)
        return table, numeric_columns(table, others)


def standardisation(training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column of the training rows (M, F). Constant columns get a deviation of 1.

    >>> [part.tolist() for part in standardisation(np.array([[0.0, 5.0], [2.0, 5.0]]))]
    [[1.0, 5.0], [1.0, 1.0]]
    """
    constant = np.ptp(training, axis=0) == 0  # the computed deviation of equal numbers may differ from 0
    mean = np.where(constant, training[0], training.mean(axis=0))
    return mean, np.where(constant, 1.0, training.std(axis=0))


def numeric_columns(table: Table, others: Sequence[str]) -> list[str]:
    """The columns, except `others`, in which most of the non-empty cells are numbers.

    A single text cell among numbers is a mistake in the data, which is reported later.

    Raises:
        UserError: If there is no such column.
    """
    numeric: list[str] = []
    skipped: list[str] = []
    for name in table.frame.columns:
        if name in others:
            continue
        filled = np.array([text != "" for text in table.texts(name)])
        numbers = np.isfinite(table.numbers(name)) & filled
        (numeric if 2 * numbers.sum() > filled.sum() else skipped).append(name)
    if not numeric:
        raise UserError(f"{table.path} has no numeric column except {', '.join(others)}: there are no inputs")
    if skipped:
        log.info("%s: columns without numbers are not used as inputs: %s", table.path.name, ", ".join(skipped))
    return numeric


def npz_table(path: Path, target: Sequence[str], others: Sequence[str]) -> Table:
    """The arrays of an .npz file as a table: x (N, F) as x0, x1, ..., y (N,) or (N, D) with the targets' names.

    Args:
        path: The file.
        target: D names for the columns of y.
        others: Further arrays (N,) to read, such as groups.

    Raises:
        UserError: If the file or an array is missing, or their shapes do not match.
    """
    if not is_file(path):
        raise UserError(f"there is no {path}; data.csv is the path of the table, relative to the current folder")
    arrays = _load_npz(path, ["x", "y", *others], str(path))
    x, y = arrays.pop("x"), arrays.pop("y")
    y = y[:, None] if y.ndim == 1 else y
    shapes = ", ".join(f"{key} {array.shape}" for key, array in {"x": x, "y": y, **arrays}.items())
    if x.ndim != 2 or y.ndim != 2 or any(a.ndim != 1 for a in arrays.values()) or not len(x):
        raise UserError(f"{path}: x must be (N, F), y (N,) or (N, D), other arrays (N,); they are {shapes}")
    if len({len(array) for array in (x, y, *arrays.values())}) > 1:
        raise UserError(f"{path}: the arrays differ in length: {shapes}")
    if y.shape[1] != len(target):
        raise UserError(f"{path}: y has {y.shape[1]} columns, and data.target names {len(target)}: {', '.join(target)}")
    inputs = {f"x{f}": x[:, f] for f in range(x.shape[1])}
    if clash := sorted(set(inputs) & {*target, *others}):
        raise UserError(f"{path}: {', '.join(clash)} is the name of an input: use another name for the target")
    columns = inputs | dict(zip(target, y.T, strict=True)) | arrays
    return Table(path, pd.DataFrame(columns))


def read_rows(inputs: Path, preparation: Mapping[str, Any], problems: Problems) -> tuple[Tensor, pd.DataFrame]:
    """Rows of numbers (N, F), prepared as in training, and their table; rows with missing numbers become problems.

    Args:
        inputs: A table, or an .npz file with `x` (N, F).
        preparation: `ArrayDataModule.preparation` of the training data.
        problems: Receives the rows that cannot be used.

    Raises:
        UserError: If the file cannot be read, or lacks an input.
    """
    columns = [str(name) for name in preparation["inputs"]]
    table = _unlabelled_npz(inputs) if inputs.suffix.lower() == ".npz" else read_whole_table(inputs, columns)
    if absent := [name for name in columns if name not in table.frame.columns]:
        raise UserError(f"inputs={inputs} has no {', '.join(absent)}, which the run used as inputs in training")
    values, good = read_labels(table, columns, problems)
    values = (values[good] - np.array(preparation["centre"])) / np.array(preparation["scale"])
    frame = table.frame[good]
    if inputs.suffix.lower() == ".npz":
        frame = pd.DataFrame({"row": np.flatnonzero(good)})
    return torch.tensor(values, dtype=torch.float32), frame


def _unlabelled_npz(path: Path) -> Table:
    if not is_file(path):
        raise UserError(f"inputs={path}: there is no such file or folder")
    x = _load_npz(path, ["x"], f"inputs={path}")["x"]
    if x.ndim != 2 or not len(x):
        raise UserError(f"inputs={path}: x must be (N, F), got {x.shape}")
    return Table(path, pd.DataFrame({f"x{f}": x[:, f] for f in range(x.shape[1])}))


def _load_npz(path: Path, keys: Sequence[str], what: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if absent := [key for key in keys if key not in file.files]:
                raise UserError(f"{what} has no array {', '.join(absent)}; it has {', '.join(file.files)}")
            return {key: file[key] for key in keys}
    except UserError:
        raise
    except Exception as error:  # a damaged file can raise almost anything
        raise UserError(f"{what} cannot be read as .npz: {first_line(error)}") from error
