"""Plain features of your own: the columns of a table, or the arrays of an .npz file."""

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
from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)


class ArrayDataModule(UserTableDataModule):
    """Rows of numbers, standardised with the training split's means and standard deviations.

    The table is a CSV or Parquet file, or an .npz file with `x` (N, F) and `y` (N,) or (N, D); the split column, the
    groups and the id are then arrays (N,) in it under their own names, and the columns of x are called x0, x1, ...

    Args:
        channels: Number F of inputs, which the encoder has been told; another is refused with the right one.
        inputs: Columns taken as inputs; null: all columns of numbers that have no other meaning.
        id: Column of what a row is called, in split files too; null: its number.
        standardize: Whether each input is moved and scaled to mean 0 and standard deviation 1 in training.
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
            raise ValueError(f"inputs: {', '.join(both)} is a target, which an input would give away")
        if inputs is not None and not inputs:
            raise ValueError("inputs: name at least one column, or null for all columns of numbers")
        self.channels = channels
        self.inputs = None if inputs is None else [str(name) for name in inputs]
        self.id = None if id is None else str(id)
        self.standardize = standardize

    def split_problem(self, splits: Mapping[SplitName, Split]) -> str | None:
        """Where a split is empty, or `channels` is not the number of inputs."""
        if (refusal := super().split_problem(splits)) is not None:
            return refusal
        count = splits["train"].inputs[0].shape[0]
        if self.channels == count:
            return None
        return f"input.channels: {self.csv} has another number of inputs; tell the encoder input.channels={count}"

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the table; rows that cannot be used become problems."""
        table, inputs = self._table()
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
            self._warn_of_constants(values[training], inputs)
            centre, scale = standardisation(values[training])
        self.preparation = {"inputs": inputs, "centre": centre.tolist(), "scale": scale.tolist()}
        values = (values - centre) / scale
        tensor = torch.tensor(values, dtype=torch.float32)
        return rows.splits(lambda chosen: tensor[chosen])

    def content_digest(self) -> bytes:
        """The inputs."""
        inputs = [split.inputs for split in self.splits.values()]
        return b"".join(tensor.numpy().tobytes() for tensor in inputs if isinstance(tensor, Tensor))

    def example_input(self) -> Tensor | None:
        """Zeros, as many as there are inputs."""
        return None if self.preparation is None else torch.zeros(len(self.preparation["inputs"]))

    def describe_input(self) -> Description | None:
        """The columns, and what each is lessened and divided by."""
        if self.preparation is None:
            return None
        words = (
            f"{len(self.preparation['inputs'])} numbers in the order of `input.inputs` in config.json, each less its "
            "`centre` and divided by its `scale`, which are those of the training rows."
        )
        return Description({"kind": "numbers", **self.preparation}, words).then(self.eval_transform)

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Rows of a table, or of `x` (N, F) in an .npz file, prepared as in training."""
        assert self.preparation is not None
        rows, columns = read_rows(inputs.path, self.preparation, problems)
        return Unlabelled(columns, [blank_split(rows)])

    def _warn_of_constants(self, training: np.ndarray, inputs: Sequence[str]) -> None:
        constant = np.flatnonzero(np.ptp(training, axis=0) == 0).tolist()
        if constant:
            shown = ", ".join(inputs[i] for i in constant)
            log.warning("%s: inputs that are the same in all training rows: %s", self.title, shown)

    def _table(self) -> tuple[Table, list[str]]:
        """The table and its columns of inputs."""
        taken = [*self.columns.required, *([self.id] if self.id is not None else [])]
        if self.csv.suffix.lower() == ".npz":
            table = npz_table(self.csv, self.columns.target, taken[len(self.columns.target) :])
        else:
            others = column_names(self.csv, taken) if self.inputs is None else self.inputs
            table = read_user_table(self.csv, [*taken, *others])
        if self.inputs is not None:
            if absent := [name for name in self.inputs if name not in table.frame.columns]:
                raise UserError(f"{self.csv} has no column {', '.join(absent)} (data.inputs)")
            return table, list(self.inputs)
        return table, numeric_columns(table, taken)


def standardisation(training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the columns of training (M, F), to take from values and to divide them by.

    A column that is the same in all training rows is only moved.

    >>> [part.tolist() for part in standardisation(np.array([[0.0, 5.0], [2.0, 5.0]]))]
    [[1.0, 5.0], [1.0, 1.0]]
    """
    constant = np.ptp(training, axis=0) == 0  # the deviation of equal numbers need not be exactly 0
    mean = np.where(constant, training[0], training.mean(axis=0))
    return mean, np.where(constant, 1.0, training.std(axis=0))


def numeric_columns(table: Table, taken: Sequence[str]) -> list[str]:
    """The columns beside those taken that hold numbers: most of their cells that are not empty are some.

    One cell of text among numbers does not make a column of text: it is a mistake, which is told later.

    Raises:
        UserError: If there is none.
    """
    numeric: list[str] = []
    left: list[str] = []
    for name in table.frame.columns:
        if name in taken:
            continue
        filled = np.array([text != "" for text in table.texts(name)])
        numbers = np.isfinite(table.numbers(name)) & filled
        (numeric if 2 * numbers.sum() > filled.sum() else left).append(name)
    if not numeric:
        raise UserError(f"{table.path} has no column of numbers beside {', '.join(taken)}: nothing to predict from")
    if left:
        log.info("%s: no numbers, so no inputs: %s", table.path.name, ", ".join(left))
    return numeric


def npz_table(path: Path, target: Sequence[str], others: Sequence[str]) -> Table:
    """The arrays of an .npz file as a table: x (N, F) as x0, x1, ..., y (N,) or (N, D) under the targets' names.

    Args:
        path: The file.
        target: D names for the columns of y.
        others: Further arrays (N,) to take, such as groups.

    Raises:
        UserError: If the file or an array is missing, or they do not fit together.
    """
    if not is_file(path):
        raise UserError(f"there is no {path}; data.csv is the path of the table, seen from where you are")
    try:
        with np.load(path, allow_pickle=False) as file:
            if absent := [key for key in ("x", "y", *others) if key not in file.files]:
                raise UserError(f"{path} has no array {', '.join(absent)}; it has {', '.join(file.files)}")
            arrays = {key: file[key] for key in ("x", "y", *others)}
    except UserError:
        raise
    except Exception as error:  # a damaged file can bring up almost anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} cannot be read as .npz: {reason}") from error
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
        raise UserError(f"{path}: {', '.join(clash)} is the name of an input; call the target otherwise")
    columns = inputs | dict(zip(target, y.T, strict=True)) | arrays
    return Table(path, pd.DataFrame(columns))


def read_rows(inputs: Path, preparation: Mapping[str, Any], problems: Problems) -> tuple[Tensor, pd.DataFrame]:
    """Rows of numbers (N, F), prepared as in training, and their table; rows with a number missing become problems.

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
        raise UserError(f"inputs={inputs} has no {', '.join(absent)}, which the run was trained with")
    values, good = read_labels(table, columns, problems)
    values = (values[good] - np.array(preparation["centre"])) / np.array(preparation["scale"])
    frame = table.frame[good]
    if inputs.suffix.lower() == ".npz":
        frame = pd.DataFrame({"row": np.flatnonzero(good)})
    return torch.tensor(values, dtype=torch.float32), frame


def _unlabelled_npz(path: Path) -> Table:
    if not is_file(path):
        raise UserError(f"inputs={path}: there is no such file or folder")
    try:
        with np.load(path, allow_pickle=False) as file:
            x = file["x"]
    except Exception as error:  # a damaged file can bring up almost anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"inputs={path} has no array x that could be read: {reason}") from error
    if x.ndim != 2 or not len(x):
        raise UserError(f"inputs={path}: x must be (N, F), and is {x.shape}")
    return Table(path, pd.DataFrame({f"x{f}": x[:, f] for f in range(x.shape[1])}))
