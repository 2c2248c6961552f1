"""Which runs share a row, which rows are paired, what is said of what is missing."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rnc_lightning.reports.read_runs import read_runs
from rnc_lightning.reports.table import Cell, MetricTable, Report, build_report

ALONE = {0: 6.0, 1: 6.4, 2: 6.1, 3: 6.9}
ON_RNC = {0: 5.5, 1: 5.4, 2: 5.9, 4: 5.0}


def _report(runs: Path) -> Report:
    return build_report(*read_runs(runs))


def _table(report: Report, dataset: str = "digits", metric: str = "mae") -> MetricTable:
    (found,) = (table for table in report.tables if (table.dataset, table.metric) == (dataset, metric))
    return found


def _cells(report: Report, name: str, dataset: str = "digits", metric: str = "mae") -> list[Cell]:
    return [cell for cell in _table(report, dataset, metric).cells if cell.row.name == name]


def _cell(report: Report, name: str, dataset: str = "digits", metric: str = "mae") -> Cell:
    (cell,) = _cells(report, name, dataset, metric)
    return cell


def test_means_gains_and_their_signs(write: Callable[..., Path], runs: Path) -> None:
    for seed, value in ALONE.items():
        write("digits", "mse", seed, value)
    for seed, value in ON_RNC.items():
        write("digits", "rnc_mse", seed, value)
    report = _report(runs)
    cell = _cell(report, "rnc_mse")
    common = [0, 1, 2]
    expected = stats.ttest_rel([ALONE[s] for s in common], [ON_RNC[s] for s in common]).confidence_interval(0.95)
    assert cell.mean == pytest.approx(np.mean(list(ON_RNC.values())))
    assert cell.sd == pytest.approx(np.std(list(ON_RNC.values()), ddof=1))
    assert cell.gain is not None
    assert cell.gain.pairs == 3
    assert (cell.gain.low, cell.gain.high) == pytest.approx((expected.low, expected.high))
    on_r2 = _cell(report, "rnc_mse", metric="r2").gain
    assert on_r2 is not None
    assert on_r2.mean == pytest.approx(cell.gain.mean / 20)  # the R2 of these runs is 1 - mae / 20
    assert _cell(report, "mse").gain is None
    assert (len(cell.values), cell.expected) == (4, 5)
    assert "digits, RnC(MSE): seed 3 not run." in report.notes
    assert "digits, MSE: seed 4 not run." in report.notes
    assert not report.warnings


def test_rows_stand_in_the_papers_order_with_every_head_alone_and_on_rnc(
    write: Callable[..., Path], runs: Path
) -> None:
    for name in ("zeta", "corn", "rnc_dex", "l1"):
        write("digits", name, 0)
    write("digits", "rnc_l1", 0, scheme="regularization")
    write("digits", "rnc_l1", 0, scheme="fine_tune")
    labels = [cell.row.label for cell in _table(_report(runs)).cells]
    assert labels == [
        "L1", "RnC(L1)", "RnC(L1), fine-tuned", "RnC(L1), as regularizer",
        "DEX", "RnC(DEX)", "CORN", "RnC(CORN)", "zeta", "RnC(zeta)",
    ]  # fmt: skip


def test_a_head_found_on_one_data_set_is_missing_on_the_other(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "or", 0)
    write("waves", "l1", 0)
    report = _report(runs)
    for name in ("or", "rnc_or", "rnc_l1"):
        cell = _cell(report, name, "waves")
        assert (cell.status, cell.mean, cell.reason) == ("no run", None, "")
    assert [table.dataset for table in report.main_tables] == ["digits", "waves"]


def test_published_rows_and_differences(write: Callable[..., Path], runs: Path) -> None:
    write("agedb", "rnc_l1", 0, 7.0)
    write("agedb", "rnc_l1", 0, 7.0, scheme="fine_tune")
    report = _report(runs)
    cells = {(cell.row.name, cell.row.scheme): cell for cell in _table(report, "agedb").cells}
    assert cells["rnc_l1", "linear_probe"].published == 6.14
    assert cells["rnc_l1", "linear_probe"].difference == pytest.approx(0.86)
    assert cells["rnc_l1", "fine_tune"].published == 6.36
    assert (cells["corn", "end_to_end"].status, cells["corn", "end_to_end"].difference) == ("no run", None)
    assert cells["corn", "end_to_end"].published == 6.72
    assert len(cells) == 14 + 1
    assert _cell(report, "mse", "agedb", "r2").published == 0.828
    assert not any("no published values" in note for note in report.notes)


def test_the_angular_error_takes_the_place_of_the_mae(write: Callable[..., Path], runs: Path) -> None:
    write("mpiifacegaze", "l1", 0, test={"mae": 0.1, "angular": 6.0, "r2": 0.7}, units=["radians", "radians"])
    report = _report(runs)
    assert [(table.metric, table.unit) for table in report.tables] == [("angular", "degrees"), ("r2", "")]
    assert _cell(report, "l1", "mpiifacegaze", "angular").difference == pytest.approx(6.0 - 5.97)


def test_failed_and_unfinished_runs_are_reported(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0)
    write("digits", "l1", 1, status="failed", reason="the loss became nan.")
    write("digits", "mse", 0, status="failed", reason="no bins")
    write("digits", "huber", 1, status="unfinished")
    report = _report(runs)
    assert [(_cell(report, name).status) for name in ("l1", "mse", "huber", "rnc_l1")] == [
        "finished", "failed", "unfinished", "no run",
    ]  # fmt: skip
    assert "digits, L1: seed 1 failed: the loss became nan." in report.notes
    assert "digits, MSE: seed 0 failed: no bins." in report.notes
    assert "digits, Huber: seed 1 unfinished." in report.notes
    assert report.facts["runs read"] == "1 finished, 2 failed, 1 unfinished; 0 files with problems"


def test_a_seed_without_a_value_is_left_out_of_that_metric_only(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, test={"mae": 5.0, "r2": None})
    write("digits", "l1", 1, test={"mae": 6.0, "r2": 0.5})
    report = _report(runs)
    assert _cell(report, "l1").mean == 5.5
    assert _cell(report, "l1", metric="r2").values == {1: 0.5}
    assert _cell(report, "l1", metric="r2").reason == "seed 0 finished without a finite r2"
    assert "digits, L1: seed 0 finished without a finite r2." in report.notes


def test_different_settings_under_one_name_stay_apart_with_a_warning(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, 5.0, setting="aaaaaaaaaaaa")
    write("digits", "l1", 1, 7.0, setting="bbbbbbbbbbbb")
    write("digits", "rnc_l1", 0, 4.0)
    report = _report(runs)
    assert [(cell.mean, cell.row.details) for cell in _cells(report, "l1")] == [
        (5.0, "setting aaaaaaaa"),
        (7.0, "setting bbbbbbbb"),
    ]
    assert any("DIFFERENT SETTINGS" in warning and "aaaaaaaa" in warning for warning in report.warnings)
    assert _cell(report, "rnc_l1").gain is None  # with which of the two?
    assert "digits, RnC(L1): no gain, the head alone has 2 settings under the same name." in report.notes


def test_different_data_stay_apart_and_are_not_paired(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, 5.0, data_fingerprint="1111111111", constant={"mae": 10.0})
    write("digits", "l1", 1, 7.0, data_fingerprint="2222222222", constant={"mae": 11.0})
    write("digits", "rnc_l1", 0, 4.0, data_fingerprint="1111111111")
    write("digits", "rnc_l1", 1, 4.5, data_fingerprint="3333333333")
    report = _report(runs)
    assert [cell.row.details for cell in _cells(report, "l1")] == ["data 11111111", "data 22222222"]
    first, other = _cells(report, "rnc_l1")
    assert first.gain is not None
    assert (first.gain.mean, first.gain.pairs) == (1.0, 1)
    assert other.gain is None
    assert any("other data" in note for note in report.notes)
    assert any("DIFFERENT DATA" in warning and "1111111111" in warning for warning in report.warnings)
    assert _table(report).constants == {"data 11111111": 10.0, "data 22222222": 11.0, "data 33333333": 12.5}


def test_different_code_in_one_row_is_averaged_with_a_warning(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, 5.0, code=None, git_revision="old")
    write("digits", "l1", 1, 7.0, code=None, git_revision="new-dirty")
    report = _report(runs)
    assert _cell(report, "l1").mean == 6.0
    (warning,) = report.warnings
    assert "DIFFERENT CODE" in warning
    assert "git old" in warning
    assert "git new-dirty" in warning


def test_the_same_code_under_two_revisions_is_no_cause_for_alarm(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, git_revision="old")
    write("digits", "l1", 1, git_revision="new")
    report = _report(runs)
    assert report.warnings == []
    assert report.facts["git revisions"] == "new (1 run), old (1 run)"


def test_a_gain_over_different_code_is_reported(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, code="one", git_revision="old")
    write("digits", "rnc_l1", 0, code="two", git_revision="new")
    report = _report(runs)
    assert any(
        "gain compares DIFFERENT CODE (code one (git old), code two (git new))" in warning
        for warning in report.warnings
    )


@pytest.mark.parametrize("newest", [0, 1])
def test_of_differing_duplicates_the_newest_counts_with_a_warning(
    write: Callable[..., Path], runs: Path, newest: int
) -> None:
    paths = [write("digits", "l1", 0, 5.0 + index, folder=f"copy{index}") for index in range(2)]
    for index, path in enumerate(paths):
        os.utime(path, (1000, 2000 if index == newest else 1000))
    report = _report(runs)
    assert _cell(report, "l1").mean == 5.0 + newest
    (warning,) = report.warnings
    assert f"DIFFERENT results; only the newest is used, digits_l1/copy{newest}/" in warning


def test_equal_duplicates_count_once_with_a_note(write: Callable[..., Path], runs: Path) -> None:
    for index in range(2):
        write("digits", "l1", 0, 5.0, folder=f"copy{index}")
    report = _report(runs)
    assert _cell(report, "l1").values == {0: 5.0}
    assert report.warnings == []
    assert any("equal results" in note for note in report.notes)


def test_variants_pair_with_their_twin_and_stage_one_variants_with_the_plain_row(
    write: Callable[..., Path], runs: Path
) -> None:
    small = {"data.size": "16"}
    write("digits", "l1", 0, 6.0)
    write("digits", "l1", 0, 8.0, options=small)
    write("digits", "rnc_l1", 0, 5.0, options=small)
    write("digits", "rnc_l1", 0, 5.0, options={"recipe.pretrain.lr": "0.1", "objective.temperature": "1"})
    write("digits", "rnc_l1", 0, 5.0, options={**small, "recipe.pretrain.lr": "0.1"})
    write("digits", "rnc_l1", 0, 5.0, options={"encoder.width": "4"})
    report = _report(runs)
    gains = {cell.row.variant: cell.gain.mean if cell.gain else None for cell in _cells(report, "rnc_l1")}
    assert gains == {
        ("data.size=16",): 3.0,
        ("objective.temperature=1", "recipe.pretrain.lr=0.1"): 1.0,
        ("data.size=16", "recipe.pretrain.lr=0.1"): 3.0,
        ("encoder.width=4",): None,
    }
    assert any("no run with the same overrides (encoder.width=4)" in note for note in report.notes)


def test_end_to_end_rows_are_named_by_their_head_whatever_the_method(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "mse", 0, method="rnc")
    assert _cell(_report(runs), "mse").status == "finished"


def test_constants_that_disagree_on_one_fingerprint_are_reported(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, constant={"mae": 12.0})
    write("digits", "l1", 1, constant={"mae": 13.0})
    (warning,) = _report(runs).warnings
    assert "disagree on the constant predictor's mae (12 to 13)" in warning


def test_encoders_and_their_reuse_are_counted(write: Callable[..., Path], runs: Path) -> None:
    for seed in range(2):
        for name in ("l1", "rnc_l1", "rnc_mse", "rnc_or"):
            write("digits", name, seed)
    text = _report(runs).facts["encoders"]
    assert text == "2 distinct in stage one; 4 runs reused one instead of training it again"


def test_notes_say_what_is_synthetic(write: Callable[..., Path], runs: Path) -> None:
    for dataset in ("digits", "agedb_synthetic", "agedb"):
        write(dataset, "l1", 0)
    notes = [note.split()[:4] for note in _report(runs).notes if "synthetic data" in note or "synthetic target" in note]
    assert notes == [["agedb_synthetic", "is", "synthetic", "data"], ["digits", "has", "a", "synthetic"]]
