"""Studies from the command to the files, on synthetic data; the runs are shared, so that none is trained twice."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnc_lightning.command_line.commands import names_in
from rnc_lightning.reports.claims import read_claims
from rnc_lightning.studies.study import run_study
from rnc_lightning.study import main
from rnc_lightning.system.errors import UserError

Imitated = Callable[[str], Path]
SHORT = [
    "encoder=small_resnet",
    "encoder.width=4",
    "input.size=24",
    "data.batch_size=8",
    "data.num_workers=0",
    "recipe.pretrain.lr=0.1",
    *(
        f"recipe.{stage}.epochs=2"
        for stage in ("pretrain", "linear_probe", "fine_tune", "end_to_end", "regularization")
    ),
]
QUIET = "callbacks.diagnostics=null"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def faces(synthetic_files: Imitated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AgeDB and IMDB-WIKI in one data folder."""
    both = tmp_path_factory.mktemp("faces")
    for name in ("agedb", "imdb_wiki"):
        for entry in synthetic_files(name).iterdir():
            if not (both / entry.name).exists():
                (both / entry.name).symlink_to(entry)
    return both


@pytest.fixture
def go(folder: Path, faces: Path, synthetic_files: Imitated) -> Callable[..., Path]:
    """Runs a study with one seed and returns the folder of its results."""

    def call(name: str, data: str, *options: str, slots: int = 1, runs: Path = folder) -> Path:
        root = faces if data in ("agedb", "imdb_wiki") else synthetic_files(data)
        options = (f"data={data}", *SHORT, QUIET, f"paths.data_dir={root}", *options)
        assert run_study(name, options, seeds=1, slots=slots, runs=runs, out=None)
        return runs / f"{name}_{data}"

    return call


def times(folder: Path) -> dict[Path, int]:
    """When each run in a folder ended."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/*/result.json")}


def check(out: Path, claims: int) -> pd.DataFrame:
    assert "**Synthetic data**" in (out / "results.md").read_text()
    assert (out / "figure.png").stat().st_size > 5000
    found = read_claims(out / "claims.csv")
    assert len(found) == claims
    assert all(claim.dataset.endswith("_synthetic") for claim in found)
    assert {claim.verdict for claim in found} <= {"open"}  # of one seed nothing can be said
    return pd.read_csv(out / "results.csv")


def test_robustness(go: Callable[..., Path], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("agedb", "study.corruptions=[fog,contrast]", "study.severities=[5]")
    out = go("robustness", *options)
    assert f"2 runs, 2 of them to be trained: {folder}" in capsys.readouterr().out
    table = check(out, claims=3)
    assert table["corruption"].tolist() == ["none", "fog", "contrast"] * 2
    assert table["mae"].gt(0).all()
    written, before = (out / "results.csv").read_bytes(), times(folder)
    assert len(before) == 2
    assert go("robustness", *options) == out
    assert times(folder) == before
    assert (out / "results.csv").read_bytes() == written
    assert f"2 runs, 0 of them to be trained: {folder}" in capsys.readouterr().out


def test_unseen_targets(go: Callable[..., Path]) -> None:
    table = check(go("unseen_targets", "imdb_wiki", "study.ranges={old: {end: {low: 40}}}"), claims=3)
    assert table["targets"].tolist() == ["all", "seen", "unseen"] * 2
    everything, seen, unseen = (table.loc[table["targets"] == part, "count"] for part in ("all", "seen", "unseen"))
    assert (seen.to_numpy() + unseen.to_numpy() == everything.to_numpy()).all()
    assert unseen.gt(0).all()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Calls the command with options and returns its exit code."""

    def call(*options: str) -> int:
        monkeypatch.setattr(sys, "argv", ["study", *options])
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        assert isinstance(code, int)
        return code

    return call


def test_help_and_what_is_wrong(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--help") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in names_in("study"))
    assert {"robustness", "theory", "ablations"} <= set(names_in("study"))
    for options, message in (
        (["robustnes"], "error: robustnes: unknown study; did you mean robustness?"),
        (["reduced_data", "data=tuab"], "error: the study reduced_data has no value of sizes for data=tuab"),
        (["robustness", "data=agedbb"], "error: "),
        (["robustness", "recipe.epochs=3"], "error: "),
        (["robustness", "slots=0"], "error: slots=0: must be a whole number from 1 up"),
        (["robustness", "seeds=none"], "error: seeds=none: must be a whole number from 1 up"),
    ):
        assert command(*options) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(message)


def test_a_run_that_fails_is_listed_and_the_others_are_reported(
    command: Callable[..., int], tiny_digits: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    short = [option for option in tiny_digits if option.startswith(("data.", "encoder."))]
    options = [*short, "recipe.end_to_end.epochs=1", "study.sizes=[9999,20]", "study.methods={l1: L1, balanced_mse: B}"]
    assert command("reduced_data", "seeds=1", *options, "runs=here") == 1
    shown = capsys.readouterr().out
    assert re.match(r"failed: here/digits_l1/.* and 1 more: data\.subset\.size=9999 is", shown.splitlines()[-1])
    assert "data.subset.size=9999 is more than the" in shown
    out = Path("here/reduced_data_digits")
    assert len(pd.read_csv(out / "results.csv")) == 2
    assert "| 9,999 | - | - | - |" in (out / "results.md").read_text()
    assert (out / "figure.png").is_file()


def test_where_all_fail_nothing_is_written(tiny_digits: list[str]) -> None:
    options = [*tiny_digits, "study.sizes=[9999]", "study.methods={l1: L1, balanced_mse: B}"]
    with pytest.raises(UserError, match="reduced_data: no run finished") as message:
        run_study("reduced_data", options, seeds=1, slots=1, runs=Path("here"), out=None)
    (line,) = message.value.details
    assert " and 1 more: data.subset.size=9999 is more than the" in line
    assert not Path("here/reduced_data_digits").exists()


@pytest.mark.slow
def test_ordinality_takes_the_runs_of_robustness(go: Callable[..., Path], folder: Path) -> None:
    go("robustness", "agedb", "study.corruptions=[fog]", "study.severities=[1]")
    before = times(folder)
    table = check(go("ordinality", "agedb"), claims=2)
    assert times(folder) == before
    assert table[["spearman", "kendall"]].abs().le(1).all(axis=None)


@pytest.mark.slow
def test_reduced_data(go: Callable[..., Path], folder: Path) -> None:
    table = check(go("reduced_data", "imdb_wiki", "study.sizes=[30,20]"), claims=3)
    assert table["train_size"].tolist() == [30, 30, 20, 20]
    for path in times(folder):
        if "data.subset.size=" in path.parent.name:
            size = int(path.parent.name.partition("data.subset.size=")[2].partition(",")[0])
            assert json.loads(path.read_text())["counts"]["train"] == size


@pytest.mark.slow
def test_transfer_on_two_data_sets(go: Callable[..., Path], folder: Path) -> None:
    options = "{source: {}, target: {data: imdb_wiki, data.subset.size: 20}}"
    back = "{source: {data: imdb_wiki, data.subset.size: 30}, target: {}}"
    out = go("transfer", "agedb", f"study.directions={{there: {options}, back: {back}}}")
    table = check(out, claims=4)
    assert table["scheme"].value_counts().to_dict() == {"source": 4, "linear_probe": 4, "fine_tune": 4}
    assert [claim.dataset for claim in read_claims(out / "claims.csv")] == [
        *["imdb_wiki_synthetic"] * 2,
        *["agedb_synthetic"] * 2,
    ]
    started = [json.loads(path.read_text()) for path in times(folder) if "encoder_from" in path.parent.name]
    assert {(run["encoder_from"]["dataset"], run["dataset"]) for run in started} == {
        ("agedb_synthetic", "imdb_wiki_synthetic"),
        ("imdb_wiki_synthetic", "agedb_synthetic"),
    }


@pytest.mark.slow
def test_ablations(go: Callable[..., Path]) -> None:
    options = [f"study.factors.{factor}=null" for factor in ("temperature", "views")]
    options += ["study.factors.positives.levels={8: {objective.positives: 8}}"]
    options += ["study.factors.similarity.levels.negative_l1=null"]
    options += ["study.factors.batch_size.levels={4: {recipe.pretrain.batch_size: 4}}"]
    table = check(go("ablations", "agedb", *options), claims=4)
    assert table["level"].tolist() == ["reference", "8", "cosine", "fine_tune", "regularization", "4"]
    assert table["mae"].nunique() == len(table)  # each level changes what is trained


@pytest.mark.slow
def test_representations_and_spurious_targets_share_runs(go: Callable[..., Path], folder: Path) -> None:
    options = ("skyfinder", "data.split.test=0.4")  # more samples than neighbours
    table = check(go("representations", *options), claims=2)
    assert table["method"].tolist() == ["l1", "supcon", "rnc"]
    before = times(folder)
    table = check(go("spurious_targets", *options), claims=1)
    assert times(folder) == before
    assert table["same"].between(0, 100).all()
    assert table["chance"].nunique() == 1
    assert table["excess"].ne(0).any()
    np.testing.assert_allclose(table["excess"], table["same"] - table["chance"], atol=1e-3)


@pytest.mark.slow
def test_theory(tiny_digits: list[str], tmp_path: Path) -> None:
    options = [option for option in tiny_digits if option.startswith(("data.", "encoder."))]
    assert run_study(
        "theory", [*options, *SHORT[5:], "study.epochs=4"], seeds=1, slots=1, runs=tmp_path, out=tmp_path / "out"
    )
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert table["part"].value_counts().to_dict() == {"random": 480, "ordered": 38, "training": 4}
    assert table.loc[table["part"] == "training", ["excess", "spearman"]].notna().all(axis=None)
    first, second, _ = read_claims(tmp_path / "out" / "claims.csv")
    assert (first.verdict, second.verdict) == ("holds", "holds")


@pytest.mark.slow
def test_two_at_once_give_the_same_results(go: Callable[..., Path], tmp_path: Path) -> None:
    options = ("reduced_data", "imdb_wiki", "study.sizes=[30,20]")
    one = (go(*options) / "results.csv").read_bytes()
    two = (go(*options, slots=2, runs=tmp_path / "beside") / "results.csv").read_bytes()
    assert two == one
