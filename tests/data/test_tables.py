from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnc_lightning.data.problems import Problems
from rnc_lightning.data.tables import climbs_out, duplicates, labels, read_table
from rnc_lightning.errors import UserError

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
    values, good = labels(read_table(tmp_path / "t.csv", ["a", "b"]), ["a", "b"], problems, [(0, 10), (0, 100)])
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


def test_a_separator_at_the_end_of_each_row_shifts_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,age\na,1,\nb,2,\n")
    table = read_table(tmp_path / "t.csv", ["path", "age"])
    assert (table.texts("path"), table.numbers("age").tolist()) == (["a", "b"], [1.0, 2.0])


def test_duplicates_name_both_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\nx\ny\nx\nx\n")
    problems = Problems()
    table = read_table(tmp_path / "t.csv", ["a"])
    assert duplicates(table.texts("a"), table, "path", problems).tolist() == [False, False, True, True]
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
    assert climbs_out(path) is out


def test_kept_rows_keep_their_numbers(tmp_path: Path) -> None:
    table = read_table(_write(tmp_path / "t.csv"), ["path"]).kept(np.array([False, True, True]))
    assert [table.where(i) for i in range(len(table))] == ["t.csv, row 3", "t.csv, row 4"]
