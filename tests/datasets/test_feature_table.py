"""Plain features of your own: columns of a table, or arrays."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from rnc_lightning.datasets.feature_table import ArrayDataModule, read_rows, standardisation
from rnc_lightning.datasets.feature_transforms import augmented_array, plain_array
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.user_table import column_names
from rnc_lightning.system.errors import UserError

BY_ROW = {"val": 0.25, "test": 0.25}


def _frame(count: int = 40) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": generator.normal(5, 3, count).round(3),
            "city": [f"c{i % 4}" for i in range(count)],
            "b": generator.integers(0, 9, count),
            "y": generator.uniform(-1, 1, count).round(4),
            "person": [i % 8 for i in range(count)],
            "number": range(100, 100 + count),
        }
    )


def _module(path: Path, **more: Any) -> ArrayDataModule:
    settings: dict[str, Any] = {"target": ["y"], "split": BY_ROW, "batch_size": 8, "channels": 2, **more}
    return ArrayDataModule(csv=str(path), train_transform=augmented_array(), eval_transform=plain_array(), **settings)


def _read(path: Path, **more: Any) -> ArrayDataModule:
    module = _module(path, **more)
    module.setup()
    return module


def _write(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(path, index=False)
    return path


def _tensor(module: ArrayDataModule, part: Any) -> Tensor:
    inputs = module.splits[part].inputs
    assert isinstance(inputs, Tensor)
    return inputs


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """A table with two inputs, a target, a group, an id and a column of words."""
    return _write(tmp_path / "my.csv", _frame())


def test_inputs_are_the_columns_of_numbers_standardised_by_the_training_rows(csv: Path) -> None:
    module = _read(csv, group="person", id="number")
    frame = _frame().set_index("number")
    rows = {part: [int(name) for name in split.names] for part, split in module.splits.items()}
    assert sorted(number for found in rows.values() for number in found) == list(frame.index)
    training = frame.loc[rows["train"], ["a", "b"]]
    for part in ("train", "val", "test"):
        expected = (frame.loc[rows[part], ["a", "b"]] - training.mean()) / training.std(ddof=0)
        torch.testing.assert_close(_tensor(module, part), torch.tensor(expected.to_numpy(), dtype=torch.float32))
        assert module.splits[part].targets[:, 0].tolist() == pytest.approx(frame.loc[rows[part], "y"].tolist())
    torch.testing.assert_close(_tensor(module, "train").mean(dim=0), torch.zeros(2), atol=1e-6, rtol=0)
    assert not torch.allclose(_tensor(module, "test").mean(dim=0), torch.zeros(2), atol=1e-3)
    people = [set(frame.loc[rows[part], "person"]) for part in rows]
    assert sum(len(found) for found in people) == 8  # each person in one part


def test_inputs_may_be_chosen_and_left_as_they_are(csv: Path) -> None:
    module = _read(csv, inputs=["b", "number"], standardize=False)
    frame = _frame()
    for part, split in module.splits.items():
        rows = [int(name.removeprefix("row ")) - 2 for name in split.names]
        assert _tensor(module, part).tolist() == frame.loc[rows, ["b", "number"]].to_numpy().tolist()


def test_which_columns_were_taken_is_said(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        _module(csv, group="person").read(Problems())
    assert "my.csv: 3 inputs: a, b, number" in caplog.text
    assert "columns without numbers are not used as inputs: city" in caplog.text


def test_an_index_column_without_a_name_is_no_input(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _frame().to_csv(tmp_path / "my.csv")  # pandas writes its index
    with caplog.at_level(logging.INFO):
        _read(tmp_path / "my.csv", channels=4)
    assert "4 inputs: a, b, person, number" in caplog.text


@pytest.mark.parametrize(
    "write",
    [
        lambda path, frame: path.write_text(frame.to_csv(index=False), encoding="utf-8-sig"),
        lambda path, frame: path.write_bytes(frame.to_csv(index=False).replace("\n", "\r\n").encode()),
        lambda path, frame: frame.to_csv(path, index=False, sep=";", decimal=","),
        lambda path, frame: frame.to_csv(path, index=False, sep="\t"),
        lambda path, frame: frame.to_csv(path, index=False, quoting=1),
        lambda path, frame: frame.rename(columns={"b": "b, in mm; new"}).to_csv(path, index=False),
    ],
    ids=["bom", "crlf", "semicolon-comma", "tab", "quoted", "separators-in-a-name"],
)
def test_the_same_table_in_other_hands(csv: Path, tmp_path: Path, write: Callable[[Path, pd.DataFrame], Any]) -> None:
    plain = _read(csv, group="person", id="number")
    write(tmp_path / "other.csv", _frame())
    other = _read(tmp_path / "other.csv", group="person", id="number")
    assert other.fingerprint == plain.fingerprint


def test_parquet_equals_csv(csv: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    _frame().to_parquet(tmp_path / "my.parquet")
    other = _read(tmp_path / "my.parquet", id="number", channels=3)
    assert other.fingerprint == _read(csv, id="number", channels=3).fingerprint


def test_with_an_id_the_split_does_not_depend_on_the_order_of_the_rows(csv: Path, tmp_path: Path) -> None:
    shuffled = _frame().sample(frac=1, random_state=1)
    one, other = (_read(path, id="number", inputs=["a", "b"]) for path in (csv, _write(tmp_path / "b.csv", shuffled)))
    for part, split in one.splits.items():
        assert sorted(split.names) == sorted(other.splits[part].names)


def test_arrays_of_an_npz_file(tmp_path: Path) -> None:
    frame = _frame()
    x, y = frame[["a", "b"]].to_numpy(), frame["y"].to_numpy()
    parts = np.array(["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    np.savez(tmp_path / "my.npz", x=x, y=y, part=parts, person=frame["person"])
    module = _read(tmp_path / "my.npz", split_column="part", split={})
    expected = (x - x[:20].mean(axis=0)) / x[:20].std(axis=0)
    for part, chosen in (("train", slice(0, 20)), ("val", slice(20, 30)), ("test", slice(30, 40))):
        torch.testing.assert_close(_tensor(module, part), torch.tensor(expected[chosen], dtype=torch.float32))
        assert module.splits[part].targets[:, 0].tolist() == pytest.approx(y[chosen].tolist())  # type: ignore[index]
    grouped = _read(tmp_path / "my.npz", group="person")
    found = [{int(name.removeprefix("row ")) % 8 for name in split.names} for split in grouped.splits.values()]
    assert sum(len(people) for people in found) == 8
    np.savez(tmp_path / "my.npz", x=x, y=np.stack([y, 2 * y], axis=1))
    two = _read(tmp_path / "my.npz", target=["y", "z"], inputs=["x1"], channels=1)
    assert two.splits["train"].targets.shape == (20, 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((4, 2))}, "my.npz has no array y; it has x"),
        ({"x": np.zeros(4), "y": np.zeros(4)}, r"x must be \(N, F\).*they are x \(4,\), y \(4, 1\)"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(3)}, r"differ in length: x \(4, 2\), y \(3, 1\)"),
        ({"x": np.zeros((4, 2)), "y": np.zeros((4, 3))}, "y has 3 columns, and data.target names 1: y"),
        ({"x": np.array([["a"]], dtype=object), "y": np.zeros(1)}, "cannot be read as .npz"),
        (None, "there is no .*my.npz"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, np.ndarray] | None, message: str) -> None:
    if arrays is not None:
        np.savez(tmp_path / "my.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message):
        _read(tmp_path / "my.npz")


def test_a_file_that_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "my.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UserError, match=r"my.npz cannot be read as .npz"):
        _read(tmp_path / "my.npz")


def test_constant_inputs_become_zero_and_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = _frame().assign(city=0.1, part=["train"] * 30 + ["val"] * 5 + ["test"] * 5)
    frame.loc[35:, "city"] = 0.3
    module = _read(_write(tmp_path / "my.csv", frame), inputs=["city", "a"], split_column="part", split={})
    assert (_tensor(module, "train")[:, 0] == 0).all()
    torch.testing.assert_close(_tensor(module, "test")[:, 0], torch.full((5,), 0.2))
    assert "constant inputs in the training split: city" in caplog.text


def test_standardisation_keeps_its_digits_far_from_zero() -> None:
    values = 1e9 + np.array([[0.0], [1.0], [2.0]])
    expected = (np.array([0.0, 1.0, 2.0]) - 1.0) / np.sqrt(2 / 3)
    centre, scale = standardisation(values)
    np.testing.assert_allclose(((values - centre) / scale)[:, 0], expected, atol=1e-6)


def test_every_bad_row_is_told_at_once_with_its_column(tmp_path: Path) -> None:
    frame = _frame().astype({"b": object, "y": object, "number": object})
    frame.loc[0, "a"] = np.nan
    frame.loc[1, "b"] = "many"
    frame.loc[2, "y"] = "?"
    frame.loc[3, "number"] = None
    frame.loc[5, "number"] = frame.loc[4, "number"]
    frame.loc[6, "a"] = np.inf
    path = _write(tmp_path / "my.csv", frame)
    with pytest.raises(UserError, match=r"my\.csv: 6 samples cannot be used") as raised:
        _read(path, id="number", group="person")
    assert sorted(raised.value.details) == [
        "a missing: my.csv, row 2",
        "a not a finite number: my.csv, row 8 ('inf')",
        "b not a finite number: my.csv, row 3 ('many')",
        "number missing: my.csv, row 5",
        "number that occurs more than once: my.csv, row 7 (104, first in row 6)",
        "y not a finite number: my.csv, row 4 ('?')",
    ]
    module = _read(path, id="number", group="person", on_bad="skip")
    assert sum(module.counts.values()) == 34


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_the_right_number_of_inputs_is_told(csv: Path, channels: int | None) -> None:
    with pytest.raises(UserError, match=r"^input.channels=.*, but .*my.csv has 2 inputs: set input.channels=2$"):
        _read(csv, group="person", id="number", channels=channels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": ["a", "y"]}, "inputs: y is a target"),
        ({"inputs": []}, "inputs: name at least one column"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(csv: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _module(csv, **settings)


def test_tables_that_cannot_be_read_at_all(csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column c; its columns are"):
        _read(csv, inputs=["a", "c"])
    with pytest.raises(UserError, match="no column z; its columns are"):
        _read(csv, target=["z"])
    with pytest.raises(UserError, match="no numeric column except y"):
        _read(_write(tmp_path / "words.csv", _frame()[["y", "city"]]))
    (tmp_path / "twice.csv").write_text("a,a,y\n1,2,3\n")
    with pytest.raises(UserError, match="has the column a twice"):
        _read(tmp_path / "twice.csv")
    (tmp_path / "latin.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    with pytest.raises(UserError, match="is not UTF-8"):
        _read(tmp_path / "latin.csv")


def test_names_are_split_by_the_separator_that_finds_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b;"c;d";y\n1;2;3\n', encoding="utf-8-sig")
    assert column_names(tmp_path / "t.csv", ["y"]) == ["a,b", "c;d", "y"]


def test_other_inputs_are_other_data(csv: Path, tmp_path: Path) -> None:
    frame = _frame()
    frame.loc[0, "a"] += 1
    other = _write(tmp_path / "other.csv", frame)
    assert _read(csv, inputs=["a", "b"]).fingerprint != _read(other, inputs=["a", "b"]).fingerprint


def test_noise_has_the_strength_asked_for() -> None:
    torch.manual_seed(0)
    features = torch.tensor([3.0, -2.0])
    views = torch.stack([augmented_array(noise=0.5)(features) for _ in range(20_000)])
    torch.testing.assert_close(views.mean(dim=0), features, atol=0.02, rtol=0)
    torch.testing.assert_close(views.std(dim=0), torch.full((2,), 0.5), atol=0.02, rtol=0)
    assert views.T.corrcoef()[0, 1].abs() < 0.03  # each feature has its own


def test_dropout_sets_features_to_their_mean() -> None:
    torch.manual_seed(0)
    views = torch.stack([augmented_array(noise=0.0, dropout=0.3)(torch.tensor([3.0, -2.0])) for _ in range(20_000)])
    assert set(views[:, 0].tolist()) == {0.0, 3.0}
    torch.testing.assert_close((views == 0).float().mean(dim=0), torch.full((2,), 0.3), atol=0.015, rtol=0)
    assert ((views == 0).float().T.corrcoef()[0, 1]).abs() < 0.03


def test_views_differ_and_evaluation_does_not(csv: Path) -> None:
    module = _read(csv, inputs=["a", "b"]).for_stage(seed=0, batch_size=8, views=2)
    batch = next(iter(module.train_dataloader()))
    assert batch["x"].shape == (8, 2, 2)
    assert not torch.equal(batch["x"][:, 0], batch["x"][:, 1])
    torch.testing.assert_close(next(iter(module.test_dataloader()))["x"], _tensor(module, "test"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": -0.1}, "noise must be 0 or more"),
        ({"dropout": 1.0}, "dropout must be from 0"),
        ({"dropout": -1}, "dr"),
    ],
)
def test_strengths_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        augmented_array(**settings)


def test_a_target_named_like_an_input_of_an_npz_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "my.npz", x=np.ones((5, 2)), y=np.ones(5))
    with pytest.raises(UserError, match="x0 is the name of an input"):
        _read(tmp_path / "my.npz", target=["x0"])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"\x93NUMPY\x01\x00"])
def test_damaged_npz_files_end_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "my.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as \.npz"):
        _read(tmp_path / "my.npz", target=["y"])


@pytest.mark.parametrize("offset", [0, 20240113, 1_700_000_000, 1e9])
def test_large_labels_stay_apart(offset: float, tmp_path: Path) -> None:
    """float32 has steps of 2 at 20240113 and of 128 at unix seconds."""
    frame = _frame().assign(y=lambda rows: offset + np.arange(len(rows)) / 8)
    module = _read(_write(tmp_path / "my.csv", frame), id="number", inputs=["a", "b"])
    found = {}
    for split in module.splits.values():
        assert split.targets.dtype == torch.float64
        found |= dict(zip(split.names, split.targets[:, 0].tolist(), strict=True))
    assert [found[str(number)] for number in frame["number"]] == frame["y"].tolist()


def test_a_constant_target_is_refused(tmp_path: Path) -> None:
    frame = _frame().assign(y=20240113, part=["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    frame.loc[30:, "y"] = 7  # the other parts do not matter
    path = _write(tmp_path / "my.csv", frame)
    with pytest.raises(UserError, match=r"my\.csv: the target y is 20240113 in all 20 training samples: there is"):
        _read(path, split_column="part", split=None)


def test_a_constant_or_missing_target_among_several_is_refused(tmp_path: Path) -> None:
    frame = _frame().assign(z=np.nan, part=["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    frame.loc[20:, "z"] = 1.0
    both = {"target": ["y", "z"], "split_column": "part", "split": None, "inputs": ["a", "b"], "partial_targets": True}
    path = _write(tmp_path / "my.csv", frame)
    with pytest.raises(UserError, match=r"my\.csv: the target z has no label in the training samples\. Choose"):
        _read(path, **both)
    frame.loc[[3, 4], "z"] = 5.0
    with pytest.raises(UserError, match="the target z is 5 in all 2 training samples"):
        _read(_write(path, frame), **both)
    frame.loc[4, "z"] = 6.0
    splits = _read(_write(path, frame), **both).splits
    assert splits["train"].targets[:, 1].isnan().sum() == 18
    assert splits["val"].targets[:, 1].tolist() == [1.0] * 10
    with pytest.raises(UserError, match="18 x z missing"):
        _read(path, **{**both, "partial_targets": False})


def test_missing_inputs_get_the_average_of_the_training_rows(tmp_path: Path) -> None:
    frame = _frame().assign(part=["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    frame.loc[[2, 25, 35], "a"] = np.nan
    frame.loc[30, "b"] = np.nan
    path = _write(tmp_path / "my.csv", frame)
    settings: dict[str, Any] = {"split_column": "part", "split": None, "inputs": ["a", "b"]}
    with pytest.raises(UserError, match="4 samples cannot be used"):
        _read(path, **settings)
    for method in ("mean", "median"):
        module = _read(path, missing=method, **settings)
        training = frame.loc[:19, ["a", "b"]]
        fill = training.mean() if method == "mean" else training.median()
        assert module.preparation is not None
        assert module.preparation["fill"] == pytest.approx(fill.tolist())
        complete = frame[["a", "b"]].fillna(fill)
        expected = (complete - complete[:20].mean()) / complete[:20].std(ddof=0)
        found = torch.cat([_tensor(module, part) for part in ("train", "val", "test")])
        torch.testing.assert_close(found, torch.tensor(expected.to_numpy(), dtype=torch.float32))
        description = module.describe_input()
        assert description is not None
        assert "Replace missing ones by `fill`." in description.words
        again, _ = read_rows(path, module.preparation, problems := Problems())
        torch.testing.assert_close(again, found)
        assert not len(problems)
    frame.loc[1, ["a", "b"]] = np.nan
    with pytest.raises(UserError, match="1 sample cannot be used") as raised:
        _read(_write(path, frame), missing="mean", **settings)
    assert list(raised.value.details) == ["a missing: my.csv, row 3", "b missing: my.csv, row 3"]
    with pytest.raises(ValueError, match="missing must be error, mean or median, got 'zero'"):
        _module(path, missing="zero")


def test_a_split_without_names_is_found_again_after_sorting(csv: Path, tmp_path: Path) -> None:
    """The inputs chosen for a run do not matter; a changed row does."""
    first = _read(csv, channels=4)
    first.write_division(tmp_path / "split.csv")
    file = {"file": str(tmp_path / "split.csv")}
    part_of = {y: part for part, split in first.splits.items() for y in split.targets[:, 0].tolist()}
    resorted = _write(tmp_path / "other.csv", _frame().sort_values("y"))
    for settings in ({"channels": 4}, {"inputs": ["b", "a"]}):
        again = _read(resorted, split=file, **settings)
        assert {y: part for part, split in again.splits.items() for y in split.targets[:, 0].tolist()} == part_of
    _frame().sort_values("a").to_csv(tmp_path / "index.csv")  # the numbers of rows are no content
    assert _read(tmp_path / "index.csv", split=file, channels=4).counts == first.counts
    frame = _frame()
    frame.loc[7, "city"] = "another"
    with pytest.raises(UserError, match="does not contain 1 of the 40 rows, for example row 9"):
        _read(_write(tmp_path / "changed.csv", frame), split=file, channels=4)
    (tmp_path / "split.csv").write_text("name,split\nrow 2,train\n")
    with pytest.raises(UserError, match="nothing shows that these are the same rows"):
        _read(csv, split=file, channels=4)


def test_columns_may_be_excluded(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = _read(csv, exclude=["number", "person"])
    assert module.preparation is not None
    assert module.preparation["inputs"] == ["a", "b"]
    assert "follows the order" not in caplog.text
    _read(csv, channels=4)
    assert caplog.text.count("my.csv: the input number follows the order of the rows") == 1
    with pytest.raises(UserError, match=r"has no column c \(data\.exclude\)"):
        _read(csv, exclude=["c"])
    with pytest.raises(ValueError, match="exclude: only if inputs is null"):
        _module(csv, inputs=["a"], exclude=["b"])


def test_german_numbers_need_the_option_where_they_may_be_two_numbers(tmp_path: Path) -> None:
    rows = [f"{i / 8:.3f};{1000 + 37 * i:,};{i}" for i in range(20)]
    text = "a;b;y\n" + "\n".join(rows).replace(".", ";;").replace(",", ".").replace(";;", ",")
    (tmp_path / "my.csv").write_text(text + "\n")
    with pytest.raises(
        UserError, match=r"^my\.csv, row 2, column b: '1\.000' may be 1000 or 1\.000: set data\.decimal=c"
    ):
        _read(tmp_path / "my.csv")
    module = _read(tmp_path / "my.csv", decimal="comma", thousands="point", standardize=False)
    found = {
        float(y): x.tolist() for s in module.splits.values() for x, y in zip(s.inputs, s.targets[:, 0], strict=True)
    }
    assert found == {float(i): [i / 8, 1000 + 37 * i] for i in range(20)}
