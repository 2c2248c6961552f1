"""Tables of your own: columns, splits and groups, whatever the inputs are."""

import csv
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.random_split import Division
from rnc_lightning.datasets.reading.user_files import find_files
from rnc_lightning.datasets.reading.user_table import (
    UserColumns,
    UserRows,
    check_user_rows,
    choose_division,
    read_user_table,
)
from rnc_lightning.datasets.splits import Split
from rnc_lightning.system.errors import UserError

Row = dict[str, Any]


def _people(count: int = 60) -> list[Row]:
    """Rows with an age of one decimal, and ten people of whom some have many rows and some have few."""
    return [
        {"path": f"faces/{i:03d}.png", "age": i + i / 10, "person": f"p{(i * i) % 10}", "id": f"s{i}"}
        for i in range(count)
    ]


def _write(path: Path, rows: Iterable[Row], separator: str = ",", comma: bool = False, quote: bool = False) -> Path:
    """Write a CSV with the standard library, which the reader does not use."""
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        quoting = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
        writer = csv.writer(file, delimiter=separator, lineterminator="\n", quoting=quoting)
        writer.writerow(rows[0])
        for row in rows:
            cells = [str(cell) for cell in row.values()]
            writer.writerow(
                [c.replace(".", ",") if comma and k == "age" else c for k, c in zip(row, cells, strict=True)]
            )
    return path


def _read(path: Path, problems: Problems | None = None, columns: UserColumns | None = None, **split: Any) -> UserRows:
    """The rows of a table without files; a row is known by its id."""
    columns = columns or UserColumns(["age"], group="person")
    table = read_user_table(path, ["id", *columns.required])
    problems = Problems() if problems is None else problems
    good = np.ones(len(table), dtype=bool)
    return check_user_rows(
        table, table.texts("id"), good, columns, choose_division(split, columns), problems, what="id"
    )


def _by_name(rows: UserRows) -> dict[str, tuple[str, float]]:
    return {name: (part, float(y[0])) for name, part, y in zip(rows.names, rows.parts, rows.targets, strict=True)}


def _recode(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    "write",
    [
        lambda path, rows: _recode(_write(path, rows), lambda content: b"\xef\xbb\xbf" + content),
        lambda path, rows: _recode(_write(path, rows), lambda content: content.replace(b"\n", b"\r\n")),
        lambda path, rows: _write(path, rows, separator=";"),
        lambda path, rows: _write(path, rows, separator="\t"),
        lambda path, rows: _write(path, rows, separator="|"),
        lambda path, rows: _write(path, rows, separator=";", comma=True),
        lambda path, rows: _write(path, rows, comma=True, quote=True),
        lambda path, rows: _recode(
            _write(path, rows, separator=";", comma=True),
            lambda content: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"),
        ),
    ],
    ids=["bom", "crlf", "semicolon", "tab", "bar", "decimal-comma", "quoted-decimal-comma", "spreadsheet"],
)
def test_the_same_table_in_other_hands_gives_the_same_splits(tmp_path: Path, write: Callable[..., Path]) -> None:
    rows = _people()
    plain = _by_name(_read(_write(tmp_path / "plain.csv", rows)))
    assert {name: age for name, (_, age) in plain.items()} == {row["id"]: pytest.approx(row["age"]) for row in rows}
    problems = Problems()
    assert _by_name(_read(write(tmp_path / "other.csv", rows), problems)) == plain
    assert not len(problems)


@pytest.mark.parametrize("suffix", [".parquet", ".pq"])
def test_parquet_equals_csv(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("pyarrow")
    rows = _people()
    pd.DataFrame(rows).to_parquet(tmp_path / f"people{suffix}")
    plain = _by_name(_read(_write(tmp_path / "people.csv", rows)))
    assert _by_name(_read(tmp_path / f"people{suffix}")) == plain


def test_the_split_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = _people()
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    for by in ("sample", "group"):
        first = _by_name(_read(_write(tmp_path / "a.csv", rows), by=by))
        assert _by_name(_read(_write(tmp_path / "b.csv", shuffled), by=by)) == first
        assert _by_name(_read(tmp_path / "a.csv", by=by, seed=1)) != first


def test_a_group_stays_in_one_part_by_default_and_only_then(tmp_path: Path) -> None:
    rows = _people()
    path = _write(tmp_path / "people.csv", rows)

    def torn(found: UserRows) -> int:
        person = {row["id"]: row["person"] for row in rows}
        parts: dict[str, set[str]] = {}
        for name, part in zip(found.names, found.parts, strict=True):
            parts.setdefault(person[name], set()).add(part)
        return sum(len(where) > 1 for where in parts.values())

    assert torn(_read(path)) == 0 == torn(_read(path, by="group", seed=7))
    assert torn(_read(path, by="sample")) > 0
    assert set(_read(path).parts) == {"train", "val", "test"}


def test_the_default_of_by_follows_the_group_column() -> None:
    grouped, alone = UserColumns(["age"], group="person"), UserColumns(["age"])
    assert choose_division({"by": None}, grouped) == Division(by="group")
    assert choose_division({"by": "sample"}, grouped) == Division(by="sample")
    assert choose_division({"val": 0.2, "seed": 4}, alone) == Division(by="sample", val=0.2, seed=4)
    assert choose_division({"by": None, "file": None}, UserColumns(["age"], split="part")) is None


@pytest.mark.parametrize(
    ("split", "columns", "message"),
    [
        ({"by": "group"}, {}, "split.by=group needs the column of the groups, such as data.group=person"),
        ({"by": "camera"}, {"group": "person"}, "split.by must be sample or group, got 'camera'"),
        ({"by": "group"}, {"split": "part", "group": "person"}, "split_column=part .*: leave split.by"),
        ({"file": "split.csv"}, {"split": "part"}, "split_column=part .*: leave split.by and split.file null"),
        ({"val": 0.9}, {}, "sum to less than 1"),
    ],
)
def test_contradicting_arguments_are_refused(split: Row, columns: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_division(split, UserColumns(["age"], **columns))


@pytest.mark.parametrize(
    ("target", "plausible", "message"),
    [
        ([], {}, "name at least one column"),
        (["a", "b", "a"], {}, "a is named twice"),
        (["a"], {"b": [0, 1]}, "plausible: b is not among the targets a"),
        (["a"], {"a": [1, 0]}, r"plausible.a must be two numbers, such as \[0, 120\], got \[1, 0\]"),
        (["a"], {"a": 3}, r"plausible.a must be two numbers, such as \[0, 120\], got 3"),
        (["a"], {"a": ["0", "x"]}, "plausible.a must be two numbers"),
        (["a"], {"a": [1]}, "plausible.a"),
    ],
)
def test_columns_that_make_no_sense_are_refused(target: list[str], plausible: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UserColumns(target, plausible=plausible)


def test_words_of_a_split_column(tmp_path: Path) -> None:
    words = ["train", "TRAIN", " Train ", "val", "Validation", "valid", "DEV", "test", "Test", "trane", "", "training"]
    rows = [{"id": f"s{i}", "age": i, "part": word} for i, word in enumerate(words)]
    problems = Problems()
    found = _read(_write(tmp_path / "t.csv", rows), problems, UserColumns(["age"], split="part"))
    assert found.parts == ["train"] * 3 + ["val"] * 4 + ["test"] * 2
    assert found.names == [f"s{i}" for i in range(9)]
    assert [str(problem) for problem in problems] == [
        "part other than train, val, test: t.csv, row 11 ('trane')",
        "part missing: t.csv, row 12",
        "part other than train, val, test: t.csv, row 13 ('training')",
    ]


def test_every_bad_row_is_told_at_once(tmp_path: Path) -> None:
    rows = _people(30)
    rows[1]["age"] = ""
    rows[2]["age"] = "NaN"
    rows[3]["age"] = "old"
    rows[4]["age"] = "inf"
    rows[5]["age"] = 121
    rows[6]["age"] = -1
    rows[7]["person"] = " "
    rows[9]["id"] = rows[8]["id"]
    problems = Problems()
    columns = UserColumns(["age"], group="person", plausible={"age": [0, 120]})
    found = _read(_write(tmp_path / "people.csv", rows), problems, columns)
    assert sorted(str(problem) for problem in problems) == [
        "age missing: people.csv, row 3",
        "age missing: people.csv, row 4",
        "age not a finite number: people.csv, row 5 ('old')",
        "age not a finite number: people.csv, row 6 ('inf')",
        "age outside 0 to 120: people.csv, row 7 (121)",
        "age outside 0 to 120: people.csv, row 8 (-1)",
        "id that occurs more than once: people.csv, row 11 (s8, first in row 10)",
        "person missing: people.csv, row 9",
    ]
    assert found.names == ["s0", "s8", *(f"s{i}" for i in range(10, 30))]
    assert [found.table.where(i) for i in (0, 1, 2)] == [f"people.csv, row {n}" for n in (2, 10, 12)]
    assert found.positions == [0, 8, *range(10, 30)]


def test_an_empty_group_is_no_problem_where_groups_decide_nothing(tmp_path: Path) -> None:
    rows = [{**row, "person": "" if i < 5 else row["person"], "part": "train"} for i, row in enumerate(_people())]
    path = _write(tmp_path / "people.csv", rows)
    for columns, split in (
        (UserColumns(["age"], group="person"), {"by": "sample"}),
        (UserColumns(["age"], group="person", split="part"), {}),
    ):
        problems = Problems()
        assert len(_read(path, problems, columns, **split)) == len(rows)
        assert not len(problems)


def test_a_name_in_two_splits_is_worse_than_one_that_comes_twice(tmp_path: Path) -> None:
    rows = [
        {"id": name, "age": 1, "part": part}
        for name, part in [("a", "train"), ("a", "train"), ("b", "train"), ("b", "test"), ("c", "val"), ("b", "val")]
    ]
    problems = Problems()
    found = _read(_write(tmp_path / "t.csv", rows), problems, UserColumns(["age"], split="part"))
    assert sorted(str(problem) for problem in problems) == [
        "id in two splits: t.csv, row 5 (b, test; train in t.csv, row 4)",
        "id in two splits: t.csv, row 7 (b, val; train in t.csv, row 4)",
        "id that occurs more than once: t.csv, row 3 (a, first in row 2)",
    ]
    assert list(zip(found.names, found.parts, strict=True)) == [("a", "train"), ("b", "train"), ("c", "val")]


def test_groups_in_two_splits_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = ["train", "train", "val", "val", "test", "test"]
    people = ["ann", "bob", "ann", "", "cid", ""]
    rows = [
        {"id": i, "age": i, "person": person, "part": part}
        for i, (person, part) in enumerate(zip(people, parts, strict=True))
    ]
    columns = UserColumns(["age"], split="part", group="person")
    with caplog.at_level(logging.WARNING):
        found = _read(_write(tmp_path / "t.csv", rows), None, columns)
    assert len(found) == 6
    assert "1 of 4 groups (column person) occur in more than one split, ann:" in caplog.text


def test_a_written_split_is_reused(tmp_path: Path) -> None:
    path = _write(tmp_path / "people.csv", _people())
    drawn = _read(path, seed=5)
    file = tmp_path / "split.csv"
    lines = [f"{name},{part}" for name, part in zip(drawn.names, drawn.parts, strict=True)]
    file.write_text("name,split\n" + "\n".join(lines[::-1]), encoding="utf-8")
    assert _by_name(_read(path, file=str(file))) == _by_name(drawn) != _by_name(_read(path))
    file.write_text("\n".join(["name,split", *lines[1:]]), encoding="utf-8")
    with pytest.raises(UserError, match="does not contain 1 of the 60 samples, for example s0"):
        _read(path, file=str(file))


def test_too_few_rows_after_problems_are_told_as_the_problems(tmp_path: Path) -> None:
    rows = [{**row, "age": "" if i > 1 else 1} for i, row in enumerate(_people(10))]
    problems = Problems()
    found = _read(_write(tmp_path / "people.csv", rows), problems, UserColumns(["age"]))
    assert problems.counts == {"age missing": 8}
    assert len(found) == 2
    with pytest.raises(UserError, match="cannot be divided"):
        _read(_write(tmp_path / "few.csv", _people(2)), columns=UserColumns(["age"]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no .*t.csv. data.csv is the path of the table"),
        ("id,age,person\n", "t.csv has no rows below its header"),
        ("id,years,person\n1,2,a\n", "t.csv has no column age; its columns are id, years, person"),
        ("", "t.csv is not a CSV table"),
    ],
)
def test_a_table_that_cannot_be_read_at_all(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        _read(tmp_path / "t.csv")


def test_paths_are_looked_for_in_the_folder_and_nowhere_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "faces").mkdir(parents=True)
    for file in (home / "faces/a.png", home / "faces/b c.png", home / "faces/d.png", tmp_path / "secret.png"):
        file.touch()
    written = [
        "faces/a.png",
        "./faces//b c.png",
        str(home / "faces/d.png"),
        "faces\\a.png",
        "faces/none.png",
        "../secret.png",
        "faces/../../secret.png",
        str(tmp_path / "secret.png"),
        "",
        "faces",
        "C:\\faces\\a.png",
    ]
    table = read_user_table(_write(home / "t.csv", [{"path": path, "age": 1} for path in written]), ["path"])
    problems = Problems()
    names, files, good = find_files(table, "path", home, problems)
    assert names[:4] == ["faces/a.png", "faces/b c.png", "faces/d.png", "faces/a.png"]
    assert good.tolist() == [True] * 4 + [False] * 7
    assert [file.resolve() for file in files[:3]] == [home / f"faces/{n}.png" for n in ("a", "b c", "d")]
    kinds = ["missing file", *["path outside the folder"] * 3, "path missing", "not a file"]
    assert [(p.kind, p.where) for p in problems] == [
        (kind, f"t.csv, row {row}") for kind, row in zip([*kinds, "path outside the folder"], range(6, 13), strict=True)
    ]


def test_a_relative_folder_knows_its_absolute_paths(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/a.png").touch()
    _write(Path("t.csv"), [{"path": str(tmp_path / "faces/a.png")}])
    names, _, good = find_files(read_user_table(Path("t.csv"), ["path"]), "path", Path(), Problems())
    assert names == ["faces/a.png"]
    assert good.all()


def test_a_wrong_folder_is_one_line_and_not_a_list(tmp_path: Path) -> None:
    table = read_user_table(_write(tmp_path / "t.csv", _people()), ["path"])
    with pytest.raises(
        UserError, match=r"none of the files in column path exists, for example .*faces/000.png; data.root"
    ):
        find_files(table, "path", tmp_path, Problems())


def _two_targets(path: Path) -> Path:
    path.write_text("id,y,z\na,1,2\nb,,3\nc,4,NA\nd,,\ne,x,5\nf,6,inf\ng,7,200\n")
    return path


def test_partly_labelled_rows_are_problems_unless_allowed(tmp_path: Path) -> None:
    path = _two_targets(tmp_path / "t.csv")
    for partial, names in ((False, ["a"]), (True, ["a", "b", "c"])):
        problems = Problems()
        table = read_user_table(path, ["id", "y", "z"])
        columns = UserColumns(["y", "z"], plausible={"z": [0, 100]}, partial=partial)
        good = np.ones(len(table), dtype=bool)
        rows = check_user_rows(table, table.texts("id"), good, columns, Division(), problems)
        assert rows.names == names
        found = [str(problem) for problem in problems]
        assert ("y missing: t.csv, row 3" in found) is ("z missing: t.csv, row 4" in found) is not partial
        assert {"y missing: t.csv, row 5", "z missing: t.csv, row 5"} <= set(found)
        assert {"y not a finite number: t.csv, row 6 ('x')", "z not a finite number: t.csv, row 7 ('inf')"} < set(found)
        assert "z outside 0 to 100: t.csv, row 8 (200)" in found
    np.testing.assert_array_equal(rows.targets, [[1, 2], [np.nan, 3], [4, np.nan]])


def test_a_split_has_missing_labels_only_where_that_is_said() -> None:
    targets = torch.tensor([[1.0, np.nan], [2.0, 3.0]])
    assert Split([0, 1], targets, ["a", "b"], partial=True).labels.isnan().sum() == 1
    for wrong, partial in ((targets, False), (torch.full((2, 2), np.nan), True), (targets.nan_to_num(np.inf), True)):
        with pytest.raises(ValueError, match="NaN or infinite"):
            Split([0, 1], wrong, ["a", "b"], partial=partial)
