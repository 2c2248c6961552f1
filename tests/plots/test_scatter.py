import numpy as np
import pytest

from rnc_lightning.plots import scatter
from rnc_lightning.plots.scatter import save_prediction_scatter


def case(n, d=1):
    rng = np.random.default_rng(0)
    targets = rng.integers(10, 90, (n, d)).astype(np.float32)
    return targets + rng.normal(0, 5, (n, d)).astype(np.float32), targets


def test_one_dimension(tmp_path, picture, figures):
    predictions, targets = case(200)
    path = save_prediction_scatter(predictions, targets, tmp_path / "a" / "s.png", ["age"], ["years"], 6.14)
    pixels, colours = picture(path)
    assert min(pixels.shape[:2]) > 500
    assert colours > 20
    [axes] = figures[0].axes
    offsets = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(offsets, np.hstack([targets, predictions]))
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlim()[0] < offsets.min()
    assert axes.get_xlim()[1] > offsets.max()
    assert axes.get_xlabel() == "target age (years)"
    assert axes.get_ylabel() == "predicted age (years)"
    assert axes.get_title(loc="left") + axes.get_title() == "MAE 6.14 years"
    [line] = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())


def test_two_dimensions_have_two_panels(tmp_path, picture, figures):
    predictions, targets = case(50, d=2)
    path = save_prediction_scatter(predictions, targets, tmp_path / "s.png", ["pitch", "yaw"], ["rad", "rad"], 1.5)
    assert [axes.get_xlabel() for axes in figures[0].axes] == ["target pitch (rad)", "target yaw (rad)"]
    assert picture(path)[0].shape[1] > 1000
    titles = [axes.get_title(loc="left") + axes.get_title() for axes in figures[0].axes]
    assert titles == ["mean MAE 1.5 rad", ""]


def test_missing_labels_are_not_drawn_and_each_panel_has_its_error(tmp_path, figures):
    predictions, targets = case(50, d=3)
    targets[:20, 0] = targets[:, 2] = np.nan
    errors = [1.234e-5, 350125.3, None]
    save_prediction_scatter(predictions, targets, tmp_path / "s.png", ["x", "y", "z"], ["m", "", "kg"], errors)
    panels = figures[0].axes
    assert [len(axes.collections[0].get_offsets()) for axes in panels[:2]] == [30, 50]
    assert not panels[2].collections
    titles = [axes.get_title(loc="left") + axes.get_title() for axes in panels]
    assert titles == ["MAE 1.234e-05 m", "MAE 350125", ""]


def test_more_points_are_fainter(tmp_path, figures):
    for n in (50, 20000):
        save_prediction_scatter(*case(n), tmp_path / "s.png", ["age"], [""])
    few, many = (figure.axes[0].collections[0].get_alpha() for figure in figures)
    assert many < few / 2


def test_one_sample_and_predictions_that_are_not_finite(tmp_path, picture):
    assert picture(save_prediction_scatter([30.0], [30.0], tmp_path / "a.png", ["age"], [""]))[1] > 3
    predictions = np.array([1.0, np.nan, np.inf])
    assert picture(save_prediction_scatter(predictions, np.arange(3), tmp_path / "b.png", ["x"], [""]))[1] > 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.zeros(4), ["age"], [""]), "the same shape"),
        ((np.zeros((3, 2)), np.zeros((3, 2)), ["age"], [""]), "one entry per target dimension"),
        ((np.zeros(3), np.zeros(3), ["age"], []), "one entry per target dimension"),
        ((np.zeros(3), np.zeros(3), ["age"], [""], [1.0, 2.0]), "mae"),
        ((np.zeros(2), np.array([0, np.inf]), ["age"], [""]), "targets contain infinity"),
        ((np.zeros(0), np.zeros(0), ["age"], [""]), "at least one sample"),
    ],
)
def test_bad_input(arguments, message, tmp_path):
    predictions, targets, *rest = arguments
    with pytest.raises(ValueError, match=message):
        scatter.save_prediction_scatter(predictions, targets, tmp_path / "s.png", *rest)
    assert not list(tmp_path.iterdir())
