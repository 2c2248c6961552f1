from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rnc_lightning.studies.loss_floor import (
    excess_bound,
    order_margins,
    ordered_excess,
    random_batch_excess,
    training_history,
)
from rnc_lightning.studies.theory_figure import save_theory_figure
from rnc_lightning.system.errors import UserError


def a_run(path: Path, epochs: int = 6) -> Path:
    stage = path / "stages" / "pretrain"
    stage.mkdir(parents=True)
    epoch = np.arange(1, epochs + 1)
    pd.DataFrame({"epoch": epoch, "train/loss": 4.0, "train/excess": 2 / epoch}).to_csv(stage / "metrics.csv")
    measured = pd.DataFrame({"epoch": epoch[1::2], "diagnostics/spearman": 1 - 1 / epoch[1::2]})
    measured.to_csv(stage / "diagnostics.csv")
    return path


def test_random_batches_lie_above_the_floor_and_follow_the_seed() -> None:
    found = random_batch_excess(seed=1, repeats=2)
    assert len(found) == 2 * 24
    assert (found["excess"] > 0).all()
    assert found["excess"].min() < 0.1  # not only noise, far above
    np.testing.assert_array_equal(found["excess"], found["loss"] - found["floor"])
    assert found[found["labels"] == "whole"]["floor"].max() > 0
    assert (found[(found["labels"] == "continuous") & (found["views"] == 1)]["floor"] == 0).all()
    pd.testing.assert_frame_equal(found, random_batch_excess(seed=1, repeats=2))
    assert not found["excess"].equals(random_batch_excess(seed=2, repeats=2)["excess"])


def test_ordered_features_come_to_the_floor_within_the_bound() -> None:
    found = ordered_excess()
    assert (found["tie_spread"] == 0).all()
    for kind, rows in found.groupby("labels"):
        assert rows["floor"].iloc[0] == pytest.approx(0) or "ties, two" in str(kind)
        np.testing.assert_allclose(rows["inverse_delta"], range(2, 21))
        assert (rows["excess"] > 0).all()
        assert (rows["excess"] <= rows["bound"]).all()
        assert rows["excess"].is_monotonic_decreasing
        assert rows["excess"].iloc[-1] < 1e-8


def test_margins_see_disorder_and_uneven_ties() -> None:
    distances = torch.tensor([[0.0, 1, 1, 2], [1, 0, 2, 3], [1, 2, 0, 1], [2, 3, 1, 0]])
    similarities = -5 * distances
    assert order_margins(similarities, distances) == (5.0, 0.0)
    similarities[0, 2] = -5.5
    assert order_margins(similarities, distances) == (4.5, 0.5)
    similarities[0, 3] = -1.0
    assert order_margins(similarities, distances)[0] == -4.5


def test_bound_by_hand() -> None:
    """From both ends of 0, 1, 3 one step, from the middle one too: each ordered pair of groups once."""
    distances = torch.tensor([[0.0, 1, 3], [1, 0, 2], [3, 2, 0]])
    assert excess_bound(distances, 2.0) == pytest.approx(3 * np.exp(-2.0) / 6)


def test_history_has_the_excess_of_all_epochs_and_the_order_of_some(tmp_path: Path) -> None:
    found = training_history(a_run(tmp_path))
    assert list(found) == ["epoch", "excess", "spearman"]
    np.testing.assert_allclose(found["excess"], 2 / found["epoch"])
    assert found["spearman"].notna().tolist() == [False, True] * 3


def test_a_run_without_them_is_named(tmp_path: Path) -> None:
    stage = a_run(tmp_path) / "stages" / "pretrain"
    (stage / "diagnostics.csv").unlink()
    with pytest.raises(UserError, match=r"diagnostics\.csv does not exist: train with callbacks"):
        training_history(tmp_path)
    pd.DataFrame({"epoch": [1], "train/loss": [1.0]}).to_csv(stage / "metrics.csv")
    with pytest.raises(UserError, match="no column train/excess: only the RnC loss"):
        training_history(tmp_path)


def test_figure_has_its_panels(tmp_path: Path, picture, figures) -> None:
    batches, ordered = random_batch_excess(seed=0, repeats=1), ordered_excess()
    batches.loc[0, "excess"] = -1e-3  # would be a broken theorem, and must be seen
    path = save_theory_figure(batches, ordered, training_history(a_run(tmp_path)), tmp_path / "new" / "theory.png")
    pixels, colours = picture(path)
    assert pixels.shape[1] > 1500
    assert colours > 20
    titles = [axes.get_title(loc="left") for axes in figures[0].axes]
    assert titles[:3] == [
        "(a) 24 random batches: 1 below L*",
        "(b) features in the order of their labels",
        "(c) a training run",
    ]
    dots, [*_, spearman] = figures[0].axes[0].collections, figures[0].axes
    assert sum(len(part.get_offsets()) for part in dots) == 24
    np.testing.assert_array_equal(spearman.lines[0].get_xdata(), [2, 4, 6])
