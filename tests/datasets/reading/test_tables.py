import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import find_duplicates, leaves_folder, read_labels, read_table
from rnc_lightning.system.errors import UserError

ROWS = [("a.jpg", "1.5"), ("b c.jpg", "2"), ("d.jpg", "-3")]


def _write(path: Path, separator: str = ",", newline: str = "\n", mark: bytes = b"") -> Path:
    lines = [separator.join(row) for row in (("path", "age"), *ROWS)]
    path.write_bytes(mark + (newline.join(lines) + newline).encode())
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_kind_of_csv_is_the_same_table(tmp_path: Path, separator: str, newline: str, mark: bytes) -> None:
    table = read_table(_write(tmp_path / "t.csv", separator, newline, mark), ["path", "age"])
    assert table.texts("path") == [path for path, _ in ROWS]
    assert table.numbers("age").tolist() == [1.5, 2.0, -3.0]
    assert [table.where(i) for i in range(3)] == ["t.csv, row 2", "t.csv, row 3", "t.csv, row 4"]


def test_parquet_is_the_same_table(tmp_path: Path) -> None:
    pd.DataFrame(ROWS, columns=["path", "age"]).astype({"age": float}).to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", ["path", "age"])
    assert table.texts("path") == [path for path, _ in ROWS]
    assert table.numbers("age").tolist() == [1.5, 2.0, -3.0]


def test_decimal_commas_blank_lines_and_quotes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('path;age\n"a;b.jpg"; 1,5\n\nc.jpg;2,25\n')
    table = read_table(tmp_path / "t.csv", ["path", "age"])
    assert table.texts("path") == ["a;b.jpg", "c.jpg"]
    assert table.numbers("age").tolist() == [1.5, 2.25]
    assert table.where(1) == "t.csv, row 4"  # as an editor numbers it


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,years\na,1\n", "has no column age; its columns are path, years"),
        (b"path,age\na\xff,1\n", "is not UTF-8"),
        (b"", "is not a CSV table"),
        (b"path,age\na,1\nb,2,3,4\n", "is not a CSV table.*line 3"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "t.csv", ["path", "age"])


def test_a_missing_table_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*t\.csv\. Get it from its authors"):
        read_table(tmp_path / "t.csv", ["age"], missing="Get it from its authors.")


def test_labels_name_every_bad_cell(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n,2\nx,nan\n4,inf\n5,600\n")
    problems = Problems()
    values, good = read_labels(read_table(tmp_path / "t.csv", ["a", "b"]), ["a", "b"], problems, [(0, 10), (0, 100)])
    assert good.tolist() == [True, False, False, False, False]
    assert values[0].tolist() == [1.0, 2.0]
    assert sorted(map(str, problems)) == [
        "a missing: t.csv, row 3",
        "a not a finite number: t.csv, row 4 ('x')",
        "b missing: t.csv, row 4",
        "b not a finite number: t.csv, row 5 ('inf')",
        "b outside 0 to 100: t.csv, row 6 (600)",
    ]
    assert problems.counts["a missing"] == 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_numbers_that_double_precision_cannot_tell_apart_are_refused(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"ns": [1_700_000_000_000_000_001, 1_700_000_000_000_000_002], "s": [1_700_000_000] * 2})
    path = tmp_path / f"t{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    table = read_table(path, ["ns", "s"])
    read_labels(table, ["s"], Problems())
    with pytest.raises(UserError, match=r"column ns: 1700000000000000002 and 1700000000000000001 are the same number"):
        read_labels(table, ["ns"], Problems())


def test_a_separator_at_the_end_of_each_row_shifts_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,age\na,1,\nb,2,\n")
    table = read_table(tmp_path / "t.csv", ["path", "age"])
    assert (table.texts("path"), table.numbers("age").tolist()) == (["a", "b"], [1.0, 2.0])


def test_duplicates_name_both_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\nx\ny\nx\nx\n")
    problems = Problems()
    table = read_table(tmp_path / "t.csv", ["a"])
    assert find_duplicates(table.texts("a"), table, "path", problems).tolist() == [False, False, True, True]
    assert [str(problem) for problem in problems] == [
        "path that occurs more than once: t.csv, row 4 (x, first in row 2)",
        "path that occurs more than once: t.csv, row 5 (x, first in row 2)",
    ]


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("a/b.jpg", False),
        ("./a/../b.jpg", False),
        ("..a/b.jpg", False),
        ("../b.jpg", True),
        ("a/../../b.jpg", True),
        ("a\\..\\..\\b.jpg", True),
        ("/b.jpg", True),
        ("C:\\b.jpg", True),
        ("..", True),
    ],
)
def test_paths_that_climb_out(path: str, out: bool) -> None:
    assert leaves_folder(path) is out


def test_kept_rows_keep_their_numbers(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path / "t.csv"), ["path"]).select(np.array([False, True, True]))
    assert [table.where(i) for i in range(len(table))] == ["t.csv, row 3", "t.csv, row 4"]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["20,5", "21", "3,125"], [20.5, 21.0, 3.125]),
        (["0,125", "1,220"], [0.125, 1.22]),
        (["1.234,5", "950"], [1234.5, 950.0]),
        (["1'171", "12"], [1171.0, 12.0]),
        (["1 171", "12\u202f345,5", "1\u00a0000"], [1171.0, 12345.5, 1000.0]),
        (["\u22121.5", "+2"], [-1.5, 2.0]),
        (["1 1", "1_0", "0x1", "1.1.1", "1,23,456"], [np.nan] * 5),
        (["NA", "null", ""], [np.nan] * 3),
        (["1e39", "3"], [np.nan, 3.0]),  # infinite in float32
    ],
)
def test_decimal_commas_are_taken_only_where_they_leave_no_doubt(
    cells: list[str], numbers: list[float], tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("a;b\n" + "".join(f"x;{cell}\n" for cell in cells))
    np.testing.assert_array_equal(read_table(tmp_path / "t.csv", ["a", "b"]).numbers("b"), numbers)


def test_a_decimal_comma_without_quotes_is_not_cut_off(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,age\na,20,5\nb,21,5\n")
    with pytest.raises(
        UserError, match=r"t\.csv, row 2, has 3 cells but the header has 2: put quotes around cells that contain ','"
    ):
        read_table(tmp_path / "t.csv", ["path", "age"])


def test_a_column_twice_is_refused_where_it_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,age,note, age,note\na,1,x,2,y\n")
    with pytest.raises(UserError, match=r"t\.csv has the column age twice"):
        read_table(tmp_path / "t.csv", ["path", "age"])
    assert read_table(tmp_path / "t.csv", ["path"]).texts("path") == ["a"]


def test_dates_are_no_numbers_and_names_are_trimmed_in_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"when ": pd.to_datetime(["2020-01-01", None]), "b": [1, 2]})
    frame.to_parquet(tmp_path / "T.PARQUET")
    table = read_table(tmp_path / "T.PARQUET", ["when", "b"])
    assert np.isnan(table.numbers("when")).all()
    assert table.numbers("b").tolist() == [1.0, 2.0]


def test_na_may_be_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("country,age\nNA,1\n,2\n")
    assert read_table(tmp_path / "t.csv", ["country"]).texts("country") == ["NA", ""]


def test_of_a_wide_table_only_what_is_wanted_is_kept(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(60)]
    rows = [",".join(names), *(",".join(str(i * k) for i in range(60)) for k in range(3))]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    table = read_table(tmp_path / "t.csv", ["c7", "c59"])
    assert list(table.frame.columns) == ["c7", "c59"]
    assert table.numbers("c59").tolist() == [0.0, 59.0, 118.0]
    with pytest.raises(UserError, match="has no column zz; its columns are c0, c1"):
        read_table(tmp_path / "t.csv", ["zz"])


def test_a_table_may_have_a_header_longer_than_a_cell_of_python_s_reader(tmp_path: Path) -> None:
    names = [f"feature_with_a_long_name_{i}" for i in range(6000)]
    rows = [",".join(names), ",".join(map(str, range(6000)))]
    (tmp_path / "wide.csv").write_text("\n".join(rows), encoding="utf-8")
    assert len(rows[0]) > 131_072
    assert read_table(tmp_path / "wide.csv", [names[5999]]).numbers(names[5999]).tolist() == [5999.0]
    (tmp_path / "long.csv").write_text("x" * 200_000 + "\n1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"long\.csv is not a CSV table: its first row has no separator in 200,001"):
        read_table(tmp_path / "long.csv", ["x"])


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_table_is_never_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    for name in ("t.csv", "t.csv.gz"):
        (tmp_path / name).write_bytes(pack(b"a,b\n1,2\n"))
        with pytest.raises(UserError, match=rf"{name} is compressed: unpack it first"):
            read_table(tmp_path / name, ["a"])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    for path in (tmp_path / "t.csv", Path("/dev/zero"), tmp_path):
        with pytest.raises(UserError, match="is not a regular file"):
            read_table(path, ["a"])
