from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rnc_lightning.studies import theory
from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.studies.loss_floor import ordered_excess, random_batch_excess
from rnc_lightning.studies.theory import Theory

StandIn = Callable[..., StudyRun]
Trained = Callable[[int, Sequence[float]], StudyRun]


@pytest.fixture(scope="module")
def computed() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Few random batches, and ordered features."""
    return random_batch_excess(seed=0, repeats=1), ordered_excess()


@pytest.fixture
def trained(stand_in: StandIn, computed: tuple[pd.DataFrame, pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> Trained:
    """Makes a run with Spearman's correlation at each epoch, while the excess falls from 2 by halves."""
    monkeypatch.setattr(theory, "random_batch_excess", lambda seed: computed[0].copy())
    monkeypatch.setattr(theory, "ordered_excess", computed[1].copy)

    def make(seed: int, spearman: Sequence[float]) -> StudyRun:
        run = stand_in("rnc", seed, {}, {"mae": 1.0})
        stage = run.path / "stages" / "pretrain"
        stage.mkdir(parents=True)
        epochs = range(len(spearman))
        excess = [2.0 / 2**epoch for epoch in epochs]
        pd.DataFrame({"epoch": epochs, "train/excess": excess}).to_csv(stage / "metrics.csv", index=False)
        kept = pd.DataFrame({"epoch": epochs, "diagnostics/spearman": spearman})
        kept.to_csv(stage / "diagnostics.csv", index=False)
        return run

    return make


def test_all_three_theorems(trained: Trained, tmp_path: Path, figures: Any) -> None:
    findings = Theory().findings([trained(0, [0.1, 0.5, 0.4, 0.9]), trained(1, [0.1, 0.2, 0.3, 0.4])])
    rows = dict(findings.tables[0].rows)
    assert rows["random batches"] == "24"
    assert rows["of them below L*"] == rows["of them above the bound"] == "0"
    assert rows["training, seed 0: loss - L* in the first and the last epoch"] == "2.00, 0.25"
    assert rows["training, seed 0: ordinality at first and at last"] == "0.100, 0.900"
    assert rows["training, seed 0: rank correlation of the two over epochs"] == "-0.800"
    assert [claim.verdict for claim in findings.claims] == ["holds"] * 3
    assert findings.claims[2].measured.endswith("-0.80, -1.00")
    assert findings.data["part"].value_counts().to_dict() == {"random": 24, "ordered": 38, "training": 8}
    assert findings.draw is not None
    findings.draw(tmp_path / "figure.png")
    assert len(figures[0].axes) == 4


@pytest.mark.parametrize(("spearman", "verdict"), [([0.9, 0.5, 0.4], "does not hold"), ([0.5], "open")])
def test_training_that_goes_the_other_way_or_nowhere(trained: Trained, spearman: list[float], verdict: str) -> None:
    findings = Theory().findings([trained(0, spearman)])
    assert findings.claims[2].verdict == verdict


def test_broken_theorems_would_be_seen(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    batches, ordered = theory.random_batch_excess(0), theory.ordered_excess()
    batches.loc[3, "excess"] = -1e-9
    ordered.loc[5, "excess"] = ordered.loc[5, "bound"] * 1.01
    monkeypatch.setattr(theory, "random_batch_excess", lambda seed: batches)
    monkeypatch.setattr(theory, "ordered_excess", lambda: ordered)
    findings = Theory().findings([trained(0, [0.1, 0.2])])
    assert [claim.verdict for claim in findings.claims] == ["does not hold", "does not hold", "holds"]
    assert dict(findings.tables[0].rows)["of them below L*"] == "1"
    assert dict(findings.tables[0].rows)["of them above the bound"] == "1"
