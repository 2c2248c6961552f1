import numpy as np
import pandas as pd
import pytest

from rnc_lightning.plots.curves import save_curves


def history(epochs):
    e = np.arange(epochs)
    return pd.DataFrame(
        {
            "epoch": e,
            "lr": 0.5 * np.cos(e / 40),
            "train/loss_floor": np.full(epochs, 4.0),
            "train/loss": 4.5 + np.exp(-e / 10),
            "train/excess": 0.5 + np.exp(-e / 10),
            "val/mae": np.where(e % 5 == 0, 6 + np.exp(-e / 10), np.nan),
            "val/never": np.full(epochs, np.nan),
            "note": ["text"] * epochs,
        }
    )


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}


def test_sixty_epochs(tmp_path, picture, figures):
    path = save_curves(history(60), tmp_path / "new" / "curves.png", "agedb_rnc")
    pixels, colours = picture(path)
    assert pixels.shape[0] > 400
    assert pixels.shape[1] > 800
    assert colours > 20
    shown = panels(figures[0])
    assert list(shown) == ["train/loss", "train/excess", "val/mae", "lr"]
    loss, floor = shown["train/loss"].lines
    np.testing.assert_allclose(loss.get_ydata(), history(60)["train/loss"])
    np.testing.assert_allclose(floor.get_ydata(), 4.0)
    assert len(shown["lr"].lines) == 1
    assert shown["val/mae"].get_title(loc="right") == f"last {6 + np.exp(-5.5):.4g}"


def test_gaps_are_bridged(tmp_path, figures):
    save_curves(history(60), tmp_path / "c.png")
    [line] = panels(figures[0])["val/mae"].lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(0, 60, 5))
    assert np.isfinite(line.get_ydata()).all()


def test_one_epoch_shows_a_mark_at_a_whole_number(tmp_path, picture, figures):
    assert picture(save_curves(history(1), tmp_path / "c.png"))[1] > 20
    axes = panels(figures[0])["lr"]
    assert axes.lines[0].get_marker() == "o"
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [0]


@pytest.mark.parametrize("metrics", [1, 2, 3, 4, 5, 7])
def test_every_metric_has_its_panel(tmp_path, figures, metrics):
    table = pd.DataFrame({"epoch": [0, 1], **{f"val/m{i}": [1.0, i] for i in range(metrics)}})
    save_curves(table, tmp_path / "c.png")
    assert list(panels(figures[0])) == [f"val/m{i}" for i in range(metrics)]


def test_a_floor_without_its_loss_has_its_own_panel(tmp_path, figures):
    save_curves(history(3)[["epoch", "train/loss_floor"]], tmp_path / "c.png")
    assert list(panels(figures[0])) == ["train/loss_floor"]


def test_infinite_values_do_not_spoil_the_rest(tmp_path, figures):
    table = pd.DataFrame({"epoch": range(3), "train/loss": [2.0, np.inf, 1.0]})
    save_curves(table, tmp_path / "c.png")
    np.testing.assert_array_equal(panels(figures[0])["train/loss"].lines[0].get_xdata(), [0, 2])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"train/loss": [1.0]}), "epoch"),
        (pd.DataFrame({"epoch": [0, 1], "train/loss": [np.nan, np.nan]}), "nothing|no numbers"),
        (pd.DataFrame({"epoch": [], "train/loss": []}), "no numbers"),
    ],
)
def test_bad_history(table, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_curves(table, tmp_path / "c.png")
    assert not list(tmp_path.iterdir())
