"""The table of competing methods: when there is one, its rows and their order, gains and published values."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest

from rnc_lightning.reports.contents import COMPETING, REGRESSION, group_of
from rnc_lightning.reports.read_runs import read_runs
from rnc_lightning.reports.table import Cell, MetricTable, Report, build_report


def _report(runs: Path) -> Report:
    report = build_report(*read_runs(runs))
    assert report.problems == []
    return report


def _table(report: Report, dataset: str = "digits", kind: str = COMPETING, metric: str = "mae") -> MetricTable:
    (found,) = (t for t in report.tables if (t.dataset, t.kind, t.metric) == (dataset, kind, metric))
    return found


def _cells(report: Report, dataset: str = "digits", kind: str = COMPETING) -> dict[tuple[str, str], Cell]:
    return {(cell.row.name, cell.row.scheme): cell for cell in _table(report, dataset, kind).cells}


def test_rows_stand_in_groups_in_the_papers_order(write: Callable[..., Path], runs: Path) -> None:
    for added in (["rnc"], ["conr"], ["fds"], ["lds"], ["ranksim", "conr"], ["ordinal_entropy"], ["ranksim"]):
        write("digits", "l1", 0, added=added)
    write("digits", "l1", 0, added=["lds", "fds"])
    write("digits", "mse", 0, added=["ranksim"])
    for name in ("balanced_mse", "lde", "l2cs_net", "l1", "mse", "rnc_l1", "rnc_mse"):
        write("digits", name, 0)
    for name in ("rnc_l1", "supremix_l1", "supcon_l1", "dino_l1", "simclr_l1"):
        write("digits", name, 0)
        write("digits", name, 0, scheme="fine_tune")
    write("digits", "rnc_l1", 0, added=["lds"])
    write("digits", "rnc_l1", 0, added=["ranksim", "lds"], scheme="fine_tune")
    write("digits", "rnc_l1", 0, scheme="regularization")
    rows = [cell.row for cell in _table(_report(runs)).cells]
    groups = {group: [row.label for row in found] for group, found in groupby(rows, key=group_of)}
    assert list(groups.items()) == [
        ("Linear probing", ["SimCLR(L1)", "DINO(L1)", "SupCon(L1)", "SupReMix(L1)", "RnC(L1), + LDS"]),
        (
            "Fine-tuning",
            [
                *(f"{name}(L1), fine-tuned" for name in ("SimCLR", "DINO", "SupCon", "SupReMix", "RnC")),
                "RnC(L1), fine-tuned, + RankSim + LDS",
            ],
        ),
        (
            "Regression methods",
            [
                "L1", "LDS + FDS", "L2CS-Net", "LDE", "RankSim", "Ordinal Entropy", "LDS", "FDS", "ConR",
                "Balanced MSE", "RnC as regularizer", "RnC(L1), as regularizer", "RankSim + ConR", "RankSim (MSE)",
            ],
        ),
        ("Rank-N-Contrast", ["RnC(L1)"]),
    ]  # fmt: skip
    assert len({row.identity for row in rows}) == len(rows) == len({(row.name, row.scheme) for row in rows})


@pytest.mark.parametrize(
    ("names", "added", "kinds"),
    [
        (["l1", "rnc_l1"], [], [REGRESSION]),
        (["l1", "rnc_l1", "corn"], [], [REGRESSION]),
        (["l1", "rnc_l1"], ["conr"], [COMPETING]),
        (["simclr_l1"], [], [COMPETING]),
        (["lde"], [], [COMPETING]),
        (["l1", "rnc_mse", "lde"], [], [REGRESSION, COMPETING]),
        (["corn"], ["ranksim"], [REGRESSION, COMPETING]),
    ],
)
@pytest.mark.parametrize("status", ["finished", "failed"])
def test_which_tables_there_are(
    write: Callable[..., Path], runs: Path, names: list[str], added: list[str], kinds: list[str], status: str
) -> None:
    for name in names:
        write("digits", name, 0, status=status)
    if added:
        write("digits", "l1", 0, added=added, status=status)
    report = _report(runs)
    assert [table.kind for table in report.main_tables] == kinds
    for kind in kinds:
        assert (
            _cells(report, kind=kind).keys() >= {("l1", "end_to_end"), ("rnc_l1", "linear_probe")} or "l1" not in names
        )


def test_competing_heads_add_no_line_to_the_table_of_regression_methods(write: Callable[..., Path], runs: Path) -> None:
    for name in ("mse", "l2cs_net"):
        write("digits", name, 0)
    write("waves", "huber", 0)
    listed = _cells(_report(runs), "waves", REGRESSION)
    assert list(listed) == [
        ("mse", "end_to_end"), ("rnc_mse", "linear_probe"), ("huber", "end_to_end"), ("rnc_huber", "linear_probe"),
    ]  # fmt: skip


def test_rows_with_other_additions_are_never_averaged(write: Callable[..., Path], runs: Path) -> None:
    same = {"setting": "5e771f6000000000", "method": "l1"}
    for index, added in enumerate(([], ["lds"], ["lds", "fds"], ["lds_fds"])):
        for seed in range(2):
            write("digits", "l1", seed, 5.0 + index, added=added, folder=f"{index}_{seed}", **same)
    report = _report(runs)
    cells = [cell for cell in _table(report).cells if cell.row.seeds]
    assert sorted((cell.row.extras, cell.mean, cell.sd) for cell in cells) == [
        ((), 5.0, 0.0), (("lds",), 6.0, 0.0), (("lds", "fds"), 7.0, 0.0), (("lds_fds",), 8.0, 0.0),
    ]  # fmt: skip
    assert report.warnings == []


def test_gains_are_over_the_same_head_with_nothing_added(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, 6.0)
    write("digits", "l1", 0, 5.0, added=["ranksim"], options={"regularizers.ranksim.weight": "2"})
    write("digits", "l1", 0, 5.5, added=["lds", "fds"], options={"weighting": "lds", "calibration.bins": "9"})
    write("digits", "mse", 0, 8.0)
    write("digits", "mse", 0, 7.75, added=["ranksim"])
    write("digits", "lde", 0, 4.0)
    write("digits", "simclr_l1", 0, 9.0, options={"recipe.objective_lr.simclr": "0.3", "objective.temperature": "1"})
    write("digits", "dino_l1", 0, 5.0, scheme="regularization")
    write("digits", "rnc_l1", 0, 4.0, added=["lds"])
    write("digits", "l1", 0, 5.0, added=["conr"], options={"data.size": "16"})
    report = _report(runs)
    gains = {cell.row.label: cell.gain.mean if cell.gain else None for cell in _table(report).cells if cell.row.seeds}
    assert gains == {
        "SimCLR(L1)": -3.0, "RnC(L1), + LDS": 2.0, "L1": None, "LDS + FDS": 0.5, "LDE": None, "RankSim": 1.0,
        "ConR": None, "DINO(L1), as regularizer": 1.0, "RankSim (MSE)": 0.25,
    }  # fmt: skip
    unpaired = [note for note in report.notes if "no gain" in note]
    assert unpaired == [
        "digits, ConR (data.size=16): no gain, the head alone has no run with the same overrides (data.size=16)."
    ]


def test_the_papers_rows_are_listed_with_their_values(write: Callable[..., Path], runs: Path) -> None:
    for dataset in ("agedb", "skyfinder", "mpiifacegaze"):
        gaze = {"test": {"mae": 0.1, "angular": 6.0, "r2": 0.7}} if dataset == "mpiifacegaze" else {}
        write(dataset, "l1", 0, 7.0, added=["lds", "fds"], **gaze)
    report = _report(runs)
    found = _cells(report, "agedb")
    assert (found["lds_fds", "end_to_end"].published, found["lds_fds", "end_to_end"].status) == (6.45, "finished")
    assert found["lds_fds", "end_to_end"].difference == pytest.approx(0.55)
    missing = {key: cell.published for key, cell in found.items() if cell.status == "no run"}
    assert missing == {
        ("simclr_l1", "linear_probe"): 9.59, ("dino_l1", "linear_probe"): 10.26, ("supcon_l1", "linear_probe"): 8.13,
        ("simclr_l1", "fine_tune"): 6.57, ("dino_l1", "fine_tune"): 6.61, ("supcon_l1", "fine_tune"): 6.55,
        ("l1", "end_to_end"): 6.63, ("ranksim", "end_to_end"): 6.51, ("ordinal_entropy", "end_to_end"): 6.47,
        ("rnc_l1", "linear_probe"): 6.14,
    }  # fmt: skip
    found = _cells(report, "skyfinder")
    assert found["lds_fds", "end_to_end"].published is None
    assert found["lde", "end_to_end"].published == 2.92
    (gaze_table,) = (table for table in report.main_tables if table.dataset == "mpiifacegaze")
    values = {cell.row.name: cell.published for cell in gaze_table.cells}
    assert (gaze_table.metric, values["l2cs_net"], values["rnc_l1"]) == ("angular", 5.45, 5.27)
    assert "ordinal_entropy" not in values
    assert not any(table.has_published_agedb for table in report.tables)


def test_on_other_data_the_values_on_agedb_stand_aside(write: Callable[..., Path], runs: Path) -> None:
    write("digits", "l1", 0, added=["ranksim"])
    write("digits", "simclr_l1", 0, scheme="fine_tune")
    write("digits", "lde", 0)
    write("digits", "rnc_mse", 0)
    report = _report(runs)
    assert {name: cell.published_agedb for (name, _), cell in _cells(report).items()} == {
        "simclr_l1": 6.57, "l1": 6.63, "lde": None, "ranksim": 6.51, "rnc_l1": 6.14,
    }  # fmt: skip
    assert [(table.has_published_agedb, table.has_published) for table in report.tables] == [
        (False, False), (False, False), (True, False), (False, False),
    ]  # fmt: skip
    assert any("published for AgeDB, which is other data" in note for note in report.notes)


def test_methods_with_rates_of_their_own_are_compared(write: Callable[..., Path], runs: Path) -> None:
    common = {"data.size": "16", "recipe.end_to_end.epochs": "20", "recipe.pretrain.epochs": "15"}
    write("digits", "l1", 0, 6.0, options={**common, "recipe.end_to_end.lr": "0.1"})
    write("digits", "l1", 0, 5.0, options={**common, "recipe.end_to_end.lr": "0.02"}, added=["ranksim"])
    rates = {"recipe.pretrain.lr": "0.5", "recipe.linear_probe.lr": "0.02"}
    write("digits", "simclr_l1", 0, 8.0, options={**common, **rates})
    cells = _cells(_report(runs))
    gains = {name: cell.gain.mean for (name, _), cell in cells.items() if cell.gain}
    assert gains == {"ranksim": 1.0, "simclr_l1": -2.0}
