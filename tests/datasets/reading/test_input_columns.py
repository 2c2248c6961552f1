"""Which columns are taken as inputs."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnc_lightning.datasets.reading.input_columns import follows_row_order, numeric_columns, warn_of_row_numbers
from rnc_lightning.datasets.reading.tables import read_table
from rnc_lightning.datasets.reading.user_table import column_names
from rnc_lightning.system.errors import UserError


def _chosen(path: Path, exclude: tuple[str, ...] = ()) -> list[str]:
    return numeric_columns(read_table(path, column_names(path, ["y"])), ["y"], exclude)


def _write(folder: Path, frame: pd.DataFrame, index: bool = False) -> list[Path]:
    frame.to_csv(folder / "t.csv", index=index)
    frame.to_parquet(folder / "t.parquet", index=index)
    return [folder / "t.csv", folder / "t.parquet"]


def test_csv_and_parquet_give_the_same_inputs(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "number": [1, 2, 3],
            "truth": [True, False, True],
            "gaps": [True, None, False],
            "answer": ["yes", "no", "yes"],
            "day": pd.to_datetime(["2020-01-01", "2020-01-02", None]),
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "kind": pd.Categorical(["a", "b", "a"]),
            "digits": ["007", "008", "009"],
            "empty": [np.nan] * 3,
            "mostly": ["1", "2", "x"],
            "hardly": ["NA", "NA", "3"],
            "share": ["1 %", "2 %", "3 %"],
            "y": [1.0, 2.0, 3.0],
        }
    )
    for path in _write(tmp_path, frame):
        assert _chosen(path) == ["number", "truth", "gaps", "whole", "digits", "mostly", "hardly"], path
        table = read_table(path, ["truth", "gaps", "whole"])
        assert table.numbers("truth").tolist() == [1.0, 0.0, 1.0]
        np.testing.assert_array_equal(table.numbers("gaps"), [1.0, np.nan, 0.0])
        assert table.texts("whole") == ["1", "", "3"]


def test_the_named_index_of_a_parquet_file_is_a_column_as_in_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [3, 1, 2], "a": [1, 5, 2], "y": [1.0, 2.0, 3.0]}).set_index("id")
    for path in _write(tmp_path, frame, index=True):
        assert _chosen(path) == ["id", "a"]
        assert read_table(path, ["id"]).texts("id") == ["3", "1", "2"]


def test_columns_of_row_numbers_are_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"Unnamed: 0": [3, 1, 2], "Unnamed: 0.1": [1, 2, 0], "a": [1, 5, 2], "y": [1.0, 2.0, 3.0]})
    with caplog.at_level(logging.INFO):
        for path in _write(tmp_path, frame.drop(columns="Unnamed: 0.1")):
            assert _chosen(path) == ["a"]
    assert caplog.text.count("columns of row numbers are not used as inputs: Unnamed: 0") == 2
    frame[["a", "y"]].to_csv(tmp_path / "index.csv")  # pandas writes its index under an empty name
    assert _chosen(tmp_path / "index.csv") == ["a"]
    assert _chosen(_write(tmp_path, frame)[0]) == ["a"]


def test_excluded_columns_and_signs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _write(tmp_path, pd.DataFrame({"a": [1, 2], "b": [3, 4], "c": ["€ 1", "€ 2"], "y": [1.0, 2.0]}))[0]
    assert _chosen(path, ("b",)) == ["a"]
    assert "a sign of currency or percent are not used as inputs: c. Write plain numbers" in caplog.text
    with pytest.raises(UserError, match="no numeric column"):
        _chosen(path, ("a", "b"))


def test_text_with_a_doubtful_number_is_no_reason_to_refuse_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;note;y\n1,5;1.171;2\n2,5;none of it;3\n3,5;later;4\n")
    assert _chosen(tmp_path / "t.csv") == ["a"]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.arange(20), True),
        (100.0 - 10 * np.arange(20), True),
        (np.arange(20) // 5, True),  # in steps
        (np.log1p(np.arange(20)), True),
        (np.random.default_rng(0).permutation(20), True),  # the rows were numbered and then sorted by something else
        (np.where(np.arange(20) == 7, np.nan, np.arange(20)), True),
        (np.random.default_rng(0).normal(size=20), False),
        (np.random.default_rng(0).integers(0, 9, 20), False),
        (np.arange(20) > 9, False),  # two values
        (np.full(20, 3.0), False),
        (np.full(20, np.nan), False),
        (np.arange(2), False),
    ],
)
def test_what_follows_the_order_of_the_rows(values: np.ndarray, found: bool) -> None:
    assert follows_row_order(values.astype(float)) is found


def test_the_warning_names_the_columns_and_the_option(caplog: pytest.LogCaptureFixture) -> None:
    values = np.stack([np.arange(9.0), np.arange(9.0) % 4, -np.arange(9.0)], axis=1)
    warn_of_row_numbers(values, ["no", "a", "time"], "my.csv")
    (record,) = caplog.records
    assert "my.csv: the input no, time follows the order of the rows" in record.getMessage()
    assert record.getMessage().endswith("leave it out with 'data.exclude=[no,time]'")
    warn_of_row_numbers(values[:, 1:2], ["a"], "my.csv")
    assert len(caplog.records) == 1
