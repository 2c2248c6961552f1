"""Numbers in all the ways in which tables have them."""

from pathlib import Path

import numpy as np
import pytest

from rnc_lightning.datasets.reading.numbers import AmbiguousNumberError, Evidence, NumberFormat, parse_numbers
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import read_labels, read_table
from rnc_lightning.system.errors import UserError

NAN = np.nan


def _parse(cells: list[str], decimal: str | None = None, thousands: str | None = None, **evidence: bool) -> list[float]:
    return parse_numbers(cells, NumberFormat(decimal, thousands), lambda: Evidence(**evidence)).tolist()


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1.5", "-2", "+3e-2", ".5", "5."], [1.5, -2.0, 0.03, 0.5, 5.0]),
        (["1,5", "919", "1,171"], [1.5, 919.0, 1.171]),
        (["0.919", "1.171"], [0.919, 1.171]),
        (["1171.5", "1.171"], [1171.5, 1.171]),
        (["2.345", "1.171"], [2.345, 1.171]),  # no other column speaks against it
        (["1.171,5", "1.171", "919"], [1171.5, 1171.0, 919.0]),
        (["1.171.000", "12"], [1171000.0, 12.0]),
        (["1,171.5", "1,171"], [1171.5, 1171.0]),
        (["1'171", "1\u2019171.25"], [1171.0, 1171.25]),
        (["1 171", "1\u00a0171", "1\u202f171", "1\u2009171,5"], [1171.0, 1171.0, 1171.0, 1171.5]),
        (["\u22121.5"], [-1.5]),  # the minus sign of word processors
        (["", "NA", "n/a", "None", "7"], [NAN, NAN, NAN, NAN, 7.0]),
        (["12 %", "5€", "1_0", "0x1", "1,23,456", "1 1", "1.1.1", "\u0661", "inf", "'5'"], [NAN] * 10),
        (["True", "FALSE", ""], [1.0, 0.0, NAN]),
        (["True", "1"], [NAN, 1.0]),
        (["yes", "no"], [NAN, NAN]),  # in either format: text
        ([], []),
    ],
)
def test_what_is_certain_is_read(cells: list[str], numbers: list[float]) -> None:
    np.testing.assert_array_equal(_parse(cells), numbers)


@pytest.mark.parametrize(
    ("cells", "evidence", "cell"),
    [
        (["919", "1.171"], {}, "1.171"),
        (["919", "1.171"], {"commas": True}, "1.171"),
        (["2.345", "1.171"], {"commas": True}, "2.345"),
        (["2.345", "1.171"], {"commas": True, "points": True}, "2.345"),
        (["2.345", "1.171"], {"semicolons": True}, "2.345"),
        (["1,5", "1.171"], {}, "1.171"),
        (["1.5", "1,171"], {}, "1,171"),
        (["1,171"], {}, "1,171"),
        (["1,171"], {"commas": True, "points": True}, "1,171"),
        (["1,171", "1.171"], {}, "1,171"),
        (["1.5", "1,5"], {}, "1,5"),
        (["1.171.000", "1.5"], {}, "1.171.000"),
    ],
)
def test_what_may_be_two_numbers_is_refused(cells: list[str], evidence: dict[str, bool], cell: str) -> None:
    with pytest.raises(AmbiguousNumberError) as raised:
        _parse(cells, **evidence)
    assert raised.value.cell == cell


def test_other_columns_decide_where_a_column_does_not() -> None:
    assert _parse(["1,171"], commas=True) == [1.171]
    assert _parse(["919", "1.171"], points=True) == [919.0, 1.171]
    assert _parse(["2.345"], points=True, semicolons=True) == [2.345]


@pytest.mark.parametrize(
    ("decimal", "thousands", "numbers"),
    [
        ("comma", "point", [919.0, 1171.0, 0.5, NAN]),
        (",", ".", [919.0, 1171.0, 0.5, NAN]),
        ("point", None, [919.0, 1.171, NAN, 2.5]),
        ("comma", None, [919.0, NAN, 0.5, NAN]),  # without a thousands mark, 1.171 is no number
        (None, "point", [919.0, 1171.0, 0.5, NAN]),
    ],
)
def test_what_the_user_says_is_followed(decimal: str | None, thousands: str | None, numbers: list[float]) -> None:
    np.testing.assert_array_equal(_parse(["919", "1.171", "0,5", "2.5"], decimal, thousands), numbers)


@pytest.mark.parametrize(("decimal", "thousands"), [("dot", None), (None, "dot"), ("point", "."), ("comma", ",")])
def test_marks_that_make_no_sense_are_refused(decimal: str | None, thousands: str | None) -> None:
    with pytest.raises(ValueError, match=r"^(decimal|thousands)"):
        NumberFormat(decimal, thousands)


def test_a_number_is_the_nearest_float64() -> None:
    texts = ["0.1", "1.1754943508222875e-38", "20240113.000000004", "123456789.123456789", "1700000000.1"]
    assert _parse(texts) == [float(text) for text in texts]


GERMAN = "id;preis;gewicht\na;0,5;919\nb;1,25;1.171\nc;2,5;12\n"


def test_german_thousands_points_are_refused_in_one_line_with_the_option(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(GERMAN)
    table = read_table(path, ["gewicht"], form=NumberFormat())
    assert read_table(path, ["preis"]).numbers("preis").tolist() == [0.5, 1.25, 2.5]
    with pytest.raises(UserError) as raised:
        table.numbers("gewicht")
    assert str(raised.value) == (
        "t.csv, row 3, column gewicht: '1.171' may be 1171 or 1.171: set data.decimal=comma data.thousands=point, or "
        "data.decimal=point"
    )
    with pytest.raises(UserError, match=r"may be 1171 or 1\.171: write 1171 or 1\.1710$"):
        read_table(path, ["gewicht"]).numbers("gewicht")  # a table without options
    said = read_table(path, ["gewicht"], form=NumberFormat("comma", "point"))
    assert said.numbers("gewicht").tolist() == [919.0, 1171.0, 12.0]
    assert said.select(np.array([False, True, False])).numbers("gewicht").tolist() == [1171.0]


def test_a_few_rows_are_read_like_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id;a;b\n1;0,5;1,171\n2;1,5;2,345\n")
    table = read_table(tmp_path / "t.csv", ["b"])
    assert table.numbers("b").tolist() == [1.171, 2.345]
    assert table.select(np.array([False, True])).numbers("b").tolist() == [2.345]


def test_numbers_in_quotes_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n"1.5","1,171.5"\n"2","1,171"\n')
    table = read_table(tmp_path / "t.csv", ["a", "b"])
    assert (table.numbers("a").tolist(), table.numbers("b").tolist()) == ([1.5, 2.0], [1171.5, 1171.0])


def test_a_column_of_signs_is_one_line_and_a_single_one_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n45 %,1\n50 %,€ 2\n55 %,3\n")
    table = read_table(tmp_path / "t.csv", ["a", "b"])
    with pytest.raises(UserError, match=r"^t\.csv, row 2, column a: '45 %' is a number with a sign"):
        read_labels(table, ["a"], Problems())
    problems = Problems()
    read_labels(table, ["b"], problems)
    assert [str(problem) for problem in problems] == ["b not a finite number: t.csv, row 3 ('€ 2')"]
