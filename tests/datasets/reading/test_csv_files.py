"""CSV files of spreadsheet programs."""

from pathlib import Path

import pytest

from rnc_lightning.datasets.reading.tables import read_table
from rnc_lightning.system.errors import UserError

TEXT = "größe;alter\n1,5;20\n2,5;30\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("first", ["", "sep=;\n", "SEP=;\n", '"sep=;"\n'])
def test_marks_and_a_line_with_the_separator_change_nothing(tmp_path: Path, encoding: str, first: str) -> None:
    (tmp_path / "t.csv").write_bytes((first + TEXT).replace("\n", "\r\n").encode(encoding))
    table = read_table(tmp_path / "t.csv", ["größe", "alter"])
    assert table.numbers("größe").tolist() == [1.5, 2.5]
    assert table.where(0) == f"t.csv, row {3 if first else 2}"  # as a spreadsheet program numbers it


def test_the_separator_that_is_said_is_taken(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=#\na#b,c\n1#2\n")
    assert read_table(tmp_path / "t.csv", ["a", "b,c"]).texts("b,c") == ["2"]
    (tmp_path / "t.csv").write_text("sep=;\na;b\n1;2\n3;4;5\n")
    with pytest.raises(UserError, match="line 4"):
        read_table(tmp_path / "t.csv", ["a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXT.encode("latin-1"), r"t\.csv is not UTF-8 \(row 1: 'größe;alte.*' if it is Latin-1\): save it as UTF-8"),
        ("name;a\nMüller;1\n".encode("cp1252"), r"is not UTF-8 \(row 2: 'Müller;1' if it is Latin-1\)"),
        (TEXT.encode("utf-16-le"), "is not text in UTF-8: it has bytes of 0"),
        (b"PK\x03\x04\x00\x00", "is compressed: unpack it first"),  # a spreadsheet under a wrong name
        (b'"' + b"a" * 140_000 + b'",b\n1,2\n', "its first row has no separator"),
    ],
)
def test_what_is_no_such_text_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "t.csv", ["alter"])
