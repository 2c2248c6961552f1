"""Your own features: the columns of a table, or the arrays of an .npz file."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnc_lightning.datasets.reading.imputation import METHODS, filled, fit_fill
from rnc_lightning.datasets.reading.input_columns import is_index_name, numeric_columns, warn_of_row_numbers
from rnc_lightning.datasets.reading.numbers import NumberFormat
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.random_split import row_contents
from rnc_lightning.datasets.reading.tables import Table, absence, is_file, read_labels
from rnc_lightning.datasets.reading.user_table import check_user_rows, column_names, read_user_table
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.datasets.table_datamodule import UserTableDataModule
from rnc_lightning.datasets.transform import Description
from rnc_lightning.datasets.unlabelled import Unlabelled, UserInputs, blank_split, read_whole_table
from rnc_lightning.system.archives import check_npz
from rnc_lightning.system.errors import UserError, first_line

log = logging.getLogger(__name__)


class ArrayDataModule(UserTableDataModule):
    """Rows of numbers, standardised with the training split's means and standard deviations.

    The table is a CSV or Parquet file, or an .npz file with `x` (N, F) and `y` (N,) or (N, D). In an .npz file the
    split column, the groups and the id are arrays (N,) with those names, and the columns of x are called x0, x1, ...

    Args:
        channels: Number F of inputs that the encoder expects; checked against the table.
        inputs: Input columns; null: all numeric columns that have no other role.
        exclude: Columns that are no inputs, if `inputs` is null.
        missing: What to do about missing inputs: `error` makes the row a problem; `mean` and `median` replace them by
            that of the training rows. A row without any input is always a problem.
        id: Column with the name of each row, also used in split files; null: the row number, and in split files the
            row's content.
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
        exclude: Sequence[str] = (),
        missing: str = "error",
        id: str | None = None,
        standardize: bool = True,
        **table: Any,
    ) -> None:
        super().__init__(**table)
        if inputs is not None and (both := [name for name in inputs if name in self.columns.target]):
            raise ValueError(f"inputs: {', '.join(both)} is a target: a target cannot be an input")
        if inputs is not None and not inputs:
            raise ValueError("inputs: name at least one column, or null for all numeric columns")
        if exclude and inputs is not None:
            raise ValueError("exclude: only if inputs is null; otherwise name fewer inputs")
        if missing not in ("error", *METHODS):
            raise ValueError(f"missing must be error, mean or median, got {missing!r}")
        self.channels = channels
        self.exclude = [exclude] if isinstance(exclude, str) else [str(name) for name in exclude]
        self.missing = missing
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
        values, good = read_labels(table, inputs, problems, partial=self.missing != "error")
        names, contents = [f"row {number}" for number in table.frame.index], None
        if self.id is not None:
            names = table.texts(self.id)
            for i in [i for i, name in enumerate(names) if not name]:
                problems.add(f"{self.id} missing", table.where(i))
                good[i] = False
        elif self.division is not None:
            contents = row_contents(table, [name for name in table.frame.columns if not is_index_name(name)])
            self.row_contents = dict(zip(names, contents, strict=True))
        rows = check_user_rows(
            table, names, good, self.columns, self.division, problems, what=self.id or "row", contents=contents
        )
        values = values[rows.positions]
        warn_of_row_numbers(values, inputs, self.title)
        tensor = torch.tensor(self._prepare(values, inputs, rows.of("train")), dtype=torch.float32)
        return rows.splits(lambda chosen: tensor[chosen])

    def _prepare(self, values: np.ndarray, inputs: Sequence[str], training: Sequence[int]) -> np.ndarray:
        """Inputs (N, F) prepared with statistics of the training rows, which become `preparation`."""
        fill: dict[str, list[float]] = {}
        if self.missing != "error" and training:
            replacement = fit_fill(values[training], self.missing, inputs, self.title)
            fill = {"fill": replacement.tolist()}
            values = filled(values, replacement)
        centre, scale = np.zeros(len(inputs)), np.ones(len(inputs))
        if self.standardize and training:
            if constant := [inputs[i] for i in np.flatnonzero(np.ptp(values[training], axis=0) == 0).tolist()]:
                log.warning("%s: constant inputs in the training split: %s", self.title, ", ".join(constant))
            centre, scale = standardisation(values[training])
        self.preparation = {"inputs": list(inputs), **fill, "centre": centre.tolist(), "scale": scale.tolist()}
        return (values - centre) / scale

    def example_input(self) -> Tensor | None:
        """A row of zeros."""
        return None if self.preparation is None else torch.zeros(len(self.preparation["inputs"]))

    def describe_input(self) -> Description | None:
        """The input columns, and the mean and scale of each."""
        if self.preparation is None:
            return None
        fill = "Replace missing ones by `fill`. " if "fill" in self.preparation else ""
        words = (
            f"{len(self.preparation['inputs'])} numbers in the order of `input.inputs` in config.json. {fill}Subtract "
            "`centre` from each and divide by `scale`; both come from the training rows."
        )
        return Description({"kind": "numbers", **self.preparation}, words).then(self.eval_transform)

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Rows of a table, or of `x` (N, F) in an .npz file, prepared as in training."""
        assert self.preparation is not None
        rows, columns = read_rows(inputs.path, self.preparation, problems, self.form)
        return Unlabelled(columns, [blank_split(rows)])

    def _read_table(self) -> tuple[Table, list[str]]:
        """The table and the names of its input columns."""
        others = [*self.columns.required, *([self.id] if self.id is not None else [])]
        if self.csv.suffix.lower() == ".npz":
            table = npz_table(self.csv, self.columns.target, others[len(self.columns.target) :])
        else:
            inputs = self.inputs or []
            if self.inputs is None or (self.id is None and self.division is not None):  # then rows go by their content
                inputs = [*inputs, *column_names(self.csv, others)]
            table = read_user_table(self.csv, [*others, *inputs], self.form)
        if absent := [name for name in (*(self.inputs or ()), *self.exclude) if name not in table.frame.columns]:
            key = "data.inputs" if self.inputs is not None else "data.exclude"
            raise UserError(f"{self.csv} has no column {', '.join(absent)} ({key})")
        return table, self.inputs or numeric_columns(table, others, self.exclude)


def standardisation(training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column of the training rows (M, F). Constant columns get a deviation of 1.

    >>> [part.tolist() for part in standardisation(np.array([[0.0, 5.0], [2.0, 5.0]]))]
    [[1.0, 5.0], [1.0, 1.0]]
    """
    constant = np.ptp(training, axis=0) == 0  # the computed deviation of equal numbers may differ from 0
    mean = np.where(constant, training[0], training.mean(axis=0))
    return mean, np.where(constant, 1.0, training.std(axis=0))


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
        raise UserError(f"{absence(path)}; data.csv is the path of the table, relative to the current folder")
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


def read_rows(
    inputs: Path, preparation: Mapping[str, Any], problems: Problems, form: NumberFormat | None = None
) -> tuple[Tensor, pd.DataFrame]:
    """Rows of numbers (N, F), prepared as in training, and their table; rows that cannot be used become problems.

    Args:
        inputs: A table, or an .npz file with `x` (N, F).
        preparation: `ArrayDataModule.preparation` of the training data.
        problems: Receives the rows that cannot be used.
        form: How numbers are written; None: found out.

    Raises:
        UserError: If the file cannot be read, or lacks an input.
    """
    columns = [str(name) for name in preparation["inputs"]]
    table = _unlabelled_npz(inputs) if inputs.suffix.lower() == ".npz" else read_whole_table(inputs, columns, form)
    if absent := [name for name in columns if name not in table.frame.columns]:
        raise UserError(f"inputs={inputs} has no {', '.join(absent)}, which the run used as inputs in training")
    values, good = read_labels(table, columns, problems, partial="fill" in preparation)
    if "fill" in preparation:
        values = filled(values, np.array(preparation["fill"]))
    values = (values[good] - np.array(preparation["centre"])) / np.array(preparation["scale"])
    frame = table.frame[good]
    if inputs.suffix.lower() == ".npz":
        frame = pd.DataFrame({"row": np.flatnonzero(good)})
    return torch.tensor(values, dtype=torch.float32), frame


def _unlabelled_npz(path: Path) -> Table:
    if not is_file(path):
        raise UserError(f"inputs={path}: {absence(path, 'such file or folder')}")
    x = _load_npz(path, ["x"], f"inputs={path}")["x"]
    if x.ndim != 2 or not len(x):
        raise UserError(f"inputs={path}: x must be (N, F), got {x.shape}")
    return Table(path, pd.DataFrame({f"x{f}": x[:, f] for f in range(x.shape[1])}))


def _load_npz(path: Path, keys: Sequence[str], what: str) -> dict[str, np.ndarray]:
    try:
        check_npz(path, keys)
        with np.load(path, allow_pickle=False) as file:
            if absent := [key for key in keys if key not in file.files]:
                raise UserError(f"{what} has no array {', '.join(absent)}; it has {', '.join(file.files)}")
            return {key: file[key] for key in keys}
    except UserError:
        raise
    except Exception as error:  # a damaged file can raise almost anything
        raise UserError(f"{what} cannot be read as .npz: {first_line(error)}") from error
