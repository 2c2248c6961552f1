import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rnc_lightning.synthetic
from rnc_lightning.synthetic import synthetic_data_sets, write_synthetic
from rnc_lightning.synthetic.write import WRITERS
from rnc_lightning.system.errors import UserError

SMALL: list[tuple[str, dict[str, Any]]] = [
    ("agedb", {"samples": 30, "size": 24}),
    ("imdb_wiki", {"samples": 40, "size": 24}),
    ("tuab", {"samples": 10, "seconds": 4}),
    ("tuab", {"samples": 10, "seconds": 4, "layout": "v2"}),
    ("mpiifacegaze", {"samples": 15, "size": 24}),
    ("mpiifacegaze", {"samples": 15, "size": 24, "layout": "raw"}),
    ("mpiifacegaze", {"samples": 15, "size": 24, "layout": "hdf5"}),
    ("skyfinder", {"samples": 20, "size": 24}),
]


@pytest.mark.parametrize(("name", "more"), SMALL)
def test_the_seed_decides_the_bytes(
    name: str, more: dict[str, Any], tmp_path: Path, contents: Callable[[Path], dict[str, str]]
) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_synthetic(name, tmp_path / folder, seed=seed, quiet=True, **more)
    first, second, other = (contents(tmp_path / folder) for folder in "abc")
    assert first == second
    data = [{digest for path, digest in files.items() if not path.endswith(".txt")} for files in (first, other)]
    assert not data[0] & data[1]  # short texts (reports) may agree by chance


def test_several_data_sets_share_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "synthetic"
    for name, more in (SMALL[0], SMALL[7]):
        write_synthetic(name, out, quiet=True, seed=4, **more)
    assert sorted(path.name for path in out.iterdir()) == ["AgeDB", "SYNTHETIC_DATA.txt", "agedb.csv", "skyfinder"]
    text = (out / "SYNTHETIC_DATA.txt").read_text()
    assert "made by a program" in text
    assert "no real person and no real place" in text
    assert list(synthetic_data_sets(out)) == ["agedb", "skyfinder"]
    assert "write_synthetic('agedb', samples=30, size=24, seed=4, traps=True)" in text


def test_the_marker_is_written_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(out: Path, **_: object) -> None:
        assert synthetic_data_sets(tmp_path / "synthetic")
        raise UserError("seen")

    monkeypatch.setitem(WRITERS, "agedb", _with_signature_of_agedb(look))
    with pytest.raises(UserError, match="seen"):
        write_synthetic("agedb", tmp_path / "synthetic", quiet=True)
    assert not (tmp_path / "synthetic").exists()


def test_nothing_is_left_of_an_interrupted_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: Callable[[Path], dict[str, str]]
) -> None:
    def stop(out: Path, **_: object) -> None:
        (out / "AgeDB").mkdir()
        (out / "agedb.csv").write_text("age,path,split\n")
        raise KeyboardInterrupt

    write_synthetic("skyfinder", tmp_path, samples=20, size=24, quiet=True)
    before = contents(tmp_path)
    monkeypatch.setitem(WRITERS, "agedb", _with_signature_of_agedb(stop))
    with pytest.raises(KeyboardInterrupt):
        write_synthetic("agedb", tmp_path, quiet=True)
    assert contents(tmp_path) == before


def test_an_incomplete_data_set_keeps_its_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_synthetic("agedb", tmp_path, samples=30, size=24, quiet=True)
    replace = Path.replace

    def fail(source: Path, target: Path) -> Path:
        if source.name == "agedb.csv":
            raise OSError("disk gone")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write_synthetic("agedb", tmp_path, samples=31, size=24, overwrite=True, quiet=True)
    monkeypatch.undo()
    assert not (tmp_path / "agedb.csv").exists()  # so it is not taken for a complete data set
    assert "samples=31" in synthetic_data_sets(tmp_path)["agedb"]
    write_synthetic("agedb", tmp_path, samples=32, size=24, overwrite=True, quiet=True)
    assert len((tmp_path / "agedb.csv").read_text(encoding="utf-8").splitlines()) == 33
    assert not (tmp_path / ".agedb.unfinished").exists()


def _with_signature_of_agedb(function: Callable[..., None]) -> Callable[..., None]:
    function.__wrapped__ = WRITERS["agedb"]  # type: ignore[attr-defined]
    return function


def test_real_data_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "AgeDB").mkdir()
    with pytest.raises(UserError, match=r"has files but no SYNTHETIC_DATA\.txt"):
        write_synthetic("agedb", tmp_path, samples=30, size=24, overwrite=True, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["AgeDB"]
    synthetic = tmp_path / "synthetic"
    write_synthetic("skyfinder", synthetic, samples=20, size=24, quiet=True)
    (synthetic / "AgeDB").mkdir()
    with pytest.raises(UserError, match="does not list agedb"):
        write_synthetic("agedb", synthetic, samples=30, size=24, overwrite=True, quiet=True)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not a folder"):
        write_synthetic("agedb", tmp_path / "file", quiet=True)


def test_replacing_a_data_set_needs_overwrite(tmp_path: Path, contents: Callable[[Path], dict[str, str]]) -> None:
    write_synthetic("agedb", tmp_path, samples=40, size=24, quiet=True)
    before = contents(tmp_path)
    with pytest.raises(UserError, match="already has a synthetic agedb"):
        write_synthetic("agedb", tmp_path, samples=30, size=24, quiet=True)
    assert contents(tmp_path) == before
    write_synthetic("agedb", tmp_path, samples=30, size=24, overwrite=True, quiet=True)
    assert len(list((tmp_path / "AgeDB").iterdir())) == 30
    assert "samples=30" in synthetic_data_sets(tmp_path)["agedb"]


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("agebd", {}, "agebd: unknown data set; did you mean agedb"),
        ("tuab", {"size": 32}, "size: unknown option of tuab; it has samples, seconds"),
        ("agedb", {"layout": "raw"}, "layout: unknown option of agedb"),
        ("skyfinder", {"samples": 1}, "samples: this data set needs at least 20, got 1"),
    ],
)
def test_arguments_that_do_not_fit(name: str, more: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        write_synthetic(name, tmp_path / "synthetic", quiet=True, **more)
    assert not (tmp_path / "synthetic").exists()


def test_writers_know_nothing_of_the_readers() -> None:
    for file in Path(rnc_lightning.synthetic.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [module for module in modules if module.startswith("rnc_lightning.data")], file
            if isinstance(node, ast.ImportFrom) and node.module == "rnc_lightning":
                assert [alias.name for alias in node.names] == ["__version__"], file
