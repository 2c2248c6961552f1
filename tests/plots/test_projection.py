import builtins
import subprocess
import sys
import types

import numpy as np
import pytest
from matplotlib.figure import Figure

from rnc_lightning.plots import maps, projection
from rnc_lightning.plots.maps import save_projection_comparison
from rnc_lightning.plots.projection import pca, plot_projection, project, save_projections


@pytest.fixture
def no_umap(monkeypatch):
    monkeypatch.setattr(projection, "umap_available", lambda: False)


@pytest.fixture
def fake_umap(monkeypatch):
    """A stand-in for umap-learn that keeps its arguments and returns the first two columns."""
    calls = []

    class UMAP:
        def __init__(self, **arguments):
            calls.append(arguments)

        def fit_transform(self, x):
            return x[:, :2].astype(np.float32)

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    monkeypatch.setattr(projection, "umap_available", lambda: True)
    return calls


def test_pca_against_the_singular_value_decomposition(horseshoe):
    features, _ = horseshoe
    points, shares = pca(features)
    x = features.astype(np.float64) - features.astype(np.float64).mean(axis=0)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    np.testing.assert_allclose(np.abs(points), np.abs(u[:, :2] * s[:2]), atol=1e-5)
    np.testing.assert_allclose(shares, s[:2] ** 2 / (s**2).sum(), rtol=1e-6)


@pytest.mark.parametrize("n", [300, 12])  # more and fewer samples than features
def test_projection_is_deterministic_and_its_sign_fixed(horseshoe, n):
    features = horseshoe[0][:n]
    points, _ = project(features)
    np.testing.assert_array_equal(points, project(features)[0])
    order = np.random.default_rng(1).permutation(n)
    np.testing.assert_allclose(project(features[order])[0], points[order], atol=1e-5)
    loadings = np.linalg.lstsq(points, features - features.mean(axis=0), rcond=None)[0]
    largest = np.abs(loadings).argmax(axis=1)
    assert (loadings[[0, 1], largest] > 0).all()


@pytest.mark.parametrize(
    "features", [np.ones((5, 3)), np.arange(5.0)[:, None], np.ones((1, 3)), np.arange(6.0).reshape(2, 3)]
)
def test_degenerate_features_still_have_a_place(features):
    points, shares = pca(features)
    assert points.shape == (len(features), 2)
    assert np.isfinite(points).all()
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(np.ptp(points[:, 0]), np.linalg.norm(np.ptp(features, axis=0)))


def test_umap_gets_the_seed_and_no_more_neighbours_than_there_are(fake_umap):
    features = np.random.default_rng(0).normal(size=(8, 4))
    points, shares = project(features, "umap", seed=3)
    assert points.shape == (8, 2)
    assert shares is None
    assert fake_umap[0]["random_state"] == 3
    assert fake_umap[0]["n_neighbors"] == 7
    project(np.zeros((50, 4)), "umap")
    assert fake_umap[1]["n_neighbors"] == 15


@pytest.mark.skipif(not projection.umap_available(), reason="umap-learn is not installed")
@pytest.mark.parametrize("n", [5, 60])
def test_umap_itself_is_deterministic(horseshoe, n):
    features = horseshoe[0][:n]
    points, _ = project(features, "umap", seed=1)
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()
    np.testing.assert_array_equal(points, project(features, "umap", seed=1)[0])


def test_missing_umap_says_what_to_install(no_umap):
    with pytest.raises(ImportError, match=r"pip install 'rnc-lightning\[umap\]'"):
        project(np.zeros((9, 3)), "umap")


@pytest.mark.parametrize(
    ("features", "method", "message"),
    [
        (np.zeros((9, 3)), "tsne", "method"),
        (np.zeros(9), "pca", r"\(n, F\)"),
        (np.zeros((0, 3)), "pca", "at least one sample"),
        (np.full((9, 3), np.nan), "pca", "NaN or infinity"),
        (np.zeros((4, 3)), "umap", "at least 5"),
    ],
)
def test_bad_input(features, method, message, fake_umap):
    with pytest.raises(ValueError, match=message):
        project(features, method)


def test_pca_is_always_written(horseshoe, tmp_path, picture, no_umap):
    features, ages = horseshoe
    paths = save_projections(features, ages, tmp_path / "new" / "plots", ["age"], ["years"])
    assert [path.name for path in paths] == ["projection_pca.png"]
    assert [p.name for p in (tmp_path / "new" / "plots").iterdir()] == ["projection_pca.png"]
    pixels, colours = picture(paths[0])
    assert pixels.shape[0] > 500
    assert colours > 100  # a colour scale, not one colour


def test_umap_is_written_where_installed(horseshoe, tmp_path, picture, fake_umap):
    features, ages = horseshoe
    paths = save_projections(features, ages, tmp_path, ["age"], ["years"])
    assert [path.name for path in paths] == ["projection_pca.png", "projection_umap.png"]
    assert all(picture(path)[1] > 100 for path in paths)
    few = save_projections(features[:4], ages[:4], tmp_path / "few", ["age"], ["years"])
    assert [path.name for path in few] == ["projection_pca.png"]


def test_each_target_dimension_has_a_panel(horseshoe, tmp_path, picture, no_umap):
    features, ages = horseshoe
    targets = np.stack([ages, -ages], axis=1)
    [one] = save_projections(features, ages, tmp_path / "one", ["pitch"], ["radian"])
    [two] = save_projections(features, targets, tmp_path / "two", ["pitch", "yaw"], ["radian", "radian"])
    assert picture(two)[0].shape[1] == 2 * picture(one)[0].shape[1]
    with pytest.raises(ValueError, match="one entry per target dimension"):
        save_projections(features, targets, tmp_path, ["pitch"], ["radian"])


def test_plot_on_given_axes_shows_the_points_and_the_shares(horseshoe):
    features, ages = horseshoe
    points, shares = pca(features)
    axes = Figure().add_subplot()
    drawn = plot_projection(axes, points, ages, "a title", shares)
    offsets, values = np.asarray(drawn.get_offsets()), np.asarray(drawn.get_array())
    pairs = {(round(x, 9), round(y, 9), v) for (x, y), v in zip(offsets, values, strict=True)}
    assert pairs == {(round(x, 9), round(y, 9), v) for (x, y), v in zip(points, ages, strict=True)}
    assert axes.get_xlabel() == f"PC 1 ({shares[0]:.0%} of variance)"
    assert axes.get_title(loc="left") + axes.get_title() == "a title"
    with pytest.raises(ValueError, match="points"):
        plot_projection(axes, points[:-1], ages)


def test_comparison_shares_one_colour_scale(horseshoe, tmp_path, picture, monkeypatch):
    features, ages = horseshoe
    limits = []

    def watch(*arguments):
        limits.append(arguments[-1])
        return plot_projection(*arguments)

    monkeypatch.setattr(maps, "plot_projection", watch)
    panels = {"L1": (features[:100], ages[:100] - 50), "RnC": (features[100:], ages[100:, None])}
    path = save_projection_comparison(panels, tmp_path / "c.png", "age (years)", {"RnC": "MAE 6.1"})
    assert limits == [(min(ages[:100]) - 50, max(ages[100:]))] * 2
    pixels, colours = picture(path)
    assert pixels.shape[1] > 1.5 * pixels.shape[0]
    assert colours > 100


@pytest.mark.parametrize(
    ("panels", "subtitles", "message"),
    [
        ({}, None, "panels"),
        ({"a": (np.zeros((3, 2)), np.zeros(3))}, {"b": "MAE 1"}, "subtitles"),
        ({"a": (np.zeros((3, 2)), np.zeros((3, 2)))}, None, "targets"),
        ({"a": (np.zeros((3, 2)), np.zeros(4))}, None, "points"),
    ],
)
def test_bad_comparison(panels, subtitles, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_projection_comparison(panels, tmp_path / "c.png", "age", subtitles)
    assert not list(tmp_path.iterdir())


def test_nothing_half_written_is_left(horseshoe, tmp_path, monkeypatch):
    features, ages = horseshoe
    (tmp_path / "projection_pca.png").write_bytes(b"old")

    def break_down(self, path, **_):
        with builtins.open(path, "wb") as file:  # noqa: PTH123
            file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", break_down)
    with pytest.raises(OSError, match="disk full"):
        save_projections(features, ages, tmp_path, ["age"], ["years"])
    assert [p.name for p in tmp_path.iterdir()] == ["projection_pca.png"]
    assert (tmp_path / "projection_pca.png").read_bytes() == b"old"


def test_imports_are_light():
    """Importing the plots package loads no matplotlib; metrics load no plotting beyond what torchmetrics loads."""
    code = """
import sys
import rnc_lightning.plots
assert 'matplotlib' not in sys.modules
import torchmetrics
before = set(sys.modules)
import rnc_lightning.metrics
new = {name.partition('.')[0] for name in set(sys.modules) - before}
assert not new & {'matplotlib', 'sklearn', 'umap', 'lightning', 'hydra'}, new
import rnc_lightning.plots.projection, rnc_lightning.plots.scatter, rnc_lightning.plots.curves
assert 'sklearn' not in sys.modules and 'matplotlib.pyplot' not in set(sys.modules) - before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
