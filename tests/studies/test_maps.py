import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnc_lightning.command_line.compose import compose_config
from rnc_lightning.runs.parts import Parts
from rnc_lightning.studies import maps
from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.studies.maps import Maps
from rnc_lightning.studies.settings import load_study
from rnc_lightning.system.errors import UserError

StandIn = Callable[..., StudyRun]
METHODS = {"l1": "L1", "rnc": "RnC"}
CLAIMS = {"neighbours_difference": "Nearer", "excess": "Less of the camera"}
# Pairs near in target, 0 and 1 or 10 and 12, are of different cameras.
SAMPLES = (("7/a.jpg", 0.0), ("8/b.jpg", 1.0), ("7/c.jpg", 10.0), ("8/d.jpg", 12.0))
PLACES = {"l1": (0.0, 10.0, 0.1, 10.1), "rnc": (0.0, 1.0, 10.0, 12.0)}  # by camera; by target


@pytest.fixture
def runs(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> list[StudyRun]:
    monkeypatch.setattr(maps, "NEIGHBOURS", 1)
    return [
        stand_in(
            method,
            seed,
            {},
            {"mae": 2.0 + seed, "spearman": 0.5},
            [(name, y, y, (x, 0.0)) for (name, y), x in zip(SAMPLES, PLACES[method], strict=True)],
        )
        for method in METHODS
        for seed in range(2)
    ]


def study(methods: dict[str, str] = METHODS, pattern: str | None = r"^(\d+)/") -> Maps:
    nuisance = None if pattern is None else {"name": "camera", "pattern": pattern}
    return Maps(methods, "Title", "Question?", CLAIMS, nuisance, seeds=2)


def test_neighbours_by_hand(runs: list[StudyRun]) -> None:
    findings = study().findings(runs)
    assert findings.tables[0].rows == [
        ["L1", "2.50 ± 0.71", "0.500 ± 0.000", "10.50 ± 0.00", "100.00 ± 0.00", "100.00 ± 0.00"],
        ["RnC", "2.50 ± 0.71", "0.500 ± 0.000", "1.50 ± 0.00", "0.00 ± 0.00", "0.00 ± 0.00"],
    ]
    assert findings.tables[0].headings[-2:] == ["neighbours of the same camera (%)", "more than by chance (%)"]
    nearer, less = findings.claims
    assert (nearer.mean, nearer.unit, nearer.verdict) == (pytest.approx(100 * 9 / 10.5), "%", "holds")
    assert (less.mean, less.unit, less.verdict) == (100, "points", "holds")


def test_reversed_effects_do_not_hold(runs: list[StudyRun]) -> None:
    findings = study({"rnc": "RnC", "l1": "L1"}).findings(runs)
    assert [claim.verdict for claim in findings.claims] == ["does not hold"] * 2


def test_without_a_nuisance(runs: list[StudyRun], tmp_path: Path, figures: Any) -> None:
    findings = study(pattern=None).findings(runs)
    assert len(findings.tables[0].headings) == len(findings.tables[0].rows[0]) == 4
    assert [claim.claim for claim in findings.claims] == ["Nearer"]
    assert findings.draw is not None
    findings.draw(tmp_path / "figure.png")
    assert len(figures[0].axes) == 2 + 1  # maps and the colour bar


def test_missing_runs_are_dashes_and_another_seed_is_drawn(runs: list[StudyRun], tmp_path: Path, figures: Any) -> None:
    (there,) = [run for run in runs if (run.method, run.seed) == ("rnc", 1)]
    findings = study().findings([there])
    assert findings.tables[0].rows[0] == ["L1", *["-"] * 5]
    assert findings.tables[0].rows[1][1] == "3.00"
    assert not findings.claims
    assert findings.draw is not None
    findings.draw(tmp_path / "figure.png")
    above, below, _ = figures[0].axes
    assert len(above.collections[0].get_offsets()) == 4
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["7", "8"]


def test_a_pattern_that_finds_nothing_is_reported_with_a_name(runs: list[StudyRun]) -> None:
    with pytest.raises(UserError, match=r"study\.nuisance\.pattern=\^x\(\.\) finds nothing in '7/a\.jpg'"):
        study(pattern="^x(.)").findings(runs)


@pytest.mark.parametrize(("data", "values"), [("digits", 8), ("skyfinder", 4), ("mpiifacegaze", 2)])
def test_patterns_of_spurious_targets_are_those_of_the_data_s_names(
    data: str, values: int, synthetic_files: Callable[[str], Path]
) -> None:
    options = ["data.eval_angles=1"] if data == "digits" else [f"paths.data_dir={synthetic_files(data)}"]
    chosen = load_study("spurious_targets", [f"data={data}"], Path("runs"))
    assert isinstance(chosen.study, Maps)
    assert chosen.study.nuisance is not None
    split = Parts(compose_config([f"data={data}", *options])).data().splits["test"]
    names = split.names if split.groups is None else split.groups.names
    findings = [re.search(chosen.study.nuisance["pattern"], name) for name in names]
    assert all(findings)
    assert len({match[1] for match in findings if match}) == values
