"""Features projected to two dimensions and coloured by target."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from rnc_lightning.plots.style import as_columns, check_labels, house_style, new_figure, save_figure, with_unit

Method = Literal["pca", "umap"]
_COLOUR_MAP = "viridis"  # perceptually uniform, and readable without red-green vision
_UMAP_LEAST_SAMPLES = 5  # UMAP's spectral initialisation fails with fewer


def umap_available() -> bool:
    """Whether the optional package `umap-learn` is installed."""
    return importlib.util.find_spec("umap") is not None


def pca(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First two principal components, with signs that do not depend on the machine.

    The sign of each component is chosen so that its largest loading in magnitude is positive.

    Args:
        features: (n, F).

    Returns:
        Points (n, 2) in the scale of the features, and the share of the variance (2,) that each component explains.
        A component that does not exist (F = 1, or one sample) is zero, with a share of zero.

    Raises:
        ValueError: if `features` is not (n, F), is empty, or contains NaN or infinity.
    """
    from sklearn.decomposition import PCA

    x = _check_features(features)
    points, shares = np.zeros((len(x), 2)), np.zeros(2)
    x = x - x.mean(axis=0)
    if len(x) < 2 or not x.any():
        return points, shares
    solver = "covariance_eigh" if len(x) > x.shape[1] else "full"  # both exact; the cheaper one
    model = PCA(n_components=min(2, *x.shape), svd_solver=solver).fit(x)
    largest = np.abs(model.components_).argmax(axis=1)
    signs = np.sign(model.components_[np.arange(len(largest)), largest])
    points[:, : len(signs)] = model.transform(x) * signs
    shares[: len(signs)] = model.explained_variance_ratio_
    return points, shares


def project(features: np.ndarray, method: Method = "pca", seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Project features to two dimensions.

    Args:
        features: (n, F).
        method: "pca", or "umap" (15 neighbours, minimal distance 0.1), which needs `umap-learn`.
        seed: for UMAP; PCA is deterministic.

    Returns:
        Points (n, 2), and the share of the variance (2,) that each component explains, None for UMAP.

    Raises:
        ValueError: if `method` is unknown, or `features` is not (n, F), contains NaN or infinity, or has too few
            samples for UMAP.
        ImportError: for "umap" if `umap-learn` is not installed.
    """
    if method == "pca":
        return pca(features)
    if method != "umap":
        raise ValueError(f"method must be 'pca' or 'umap', got {method!r}")
    if not umap_available():
        raise ImportError("UMAP needs the package umap-learn: pip install 'rnc-lightning[umap]'")
    x = _check_features(features)
    if len(x) < _UMAP_LEAST_SAMPLES:
        raise ValueError(f"features: UMAP needs at least {_UMAP_LEAST_SAMPLES} samples, got {len(x)}; use PCA")
    from umap import UMAP

    neighbours = min(15, len(x) - 1)
    # A fixed seed limits UMAP to one job; without n_jobs=1 it warns about that.
    model = UMAP(n_components=2, n_neighbors=neighbours, min_dist=0.1, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(x), dtype=np.float64), None


def plot_projection(
    axes: Axes,
    points: np.ndarray,
    targets: np.ndarray,
    title: str = "",
    explained_variance: Sequence[float] | np.ndarray | None = None,
    limits: tuple[float, float] | None = None,
) -> PathCollection:
    """Scatter projected features, coloured by one target dimension.

    Args:
        axes: axes to draw on; no colour bar is added.
        points: (n, 2), as `project` returns.
        targets: (n,) or (n, 1).
        title: the panel's title.
        explained_variance: shares of the two principal components, written on the axes; None for UMAP, whose
            axes have no meaning and carry no numbers.
        limits: lowest and highest target of the colour scale; by default those of `targets`.

    Returns:
        The drawn points, for a colour bar.

    Raises:
        ValueError: if the shapes do not fit.
    """
    colours = as_columns(targets, "targets")
    if colours.shape[1] != 1 or points.shape != (len(colours), 2):
        raise ValueError(f"points must be (n, 2) and targets (n,), got {points.shape} and {np.shape(targets)}")
    low, high = limits or (float(colours.min()), float(colours.max()))
    drawn = scatter_points(axes, points, colours[:, 0], cmap=_COLOUR_MAP, vmin=low, vmax=high)
    axes.set_title(title)
    if explained_variance is None:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel("UMAP 1")
        axes.set_ylabel("UMAP 2")
    else:
        axes.set_xlabel(f"PC 1 ({explained_variance[0]:.0%} of variance)")
        axes.set_ylabel(f"PC 2 ({explained_variance[1]:.0%} of variance)")
    return drawn


def scatter_points(axes: Axes, points: np.ndarray, colours: np.ndarray, **options: Any) -> PathCollection:
    """Scatter points (n, 2) with one colour or value (n,) each, in random order so that none hides the others."""
    order = np.random.default_rng(0).permutation(len(points))
    size = float(np.clip(12000 / len(points), 4, 30))
    drawn = axes.scatter(points[order, 0], points[order, 1], c=colours[order], s=size, linewidths=0, **options)
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=5)
    return drawn


def save_projections(
    features: np.ndarray,
    targets: np.ndarray,
    directory: str | Path,
    target_names: Sequence[str],
    units: Sequence[str],
    seed: int = 0,
    note: str = "",
) -> list[Path]:
    """Write `projection_pca.png`, and `projection_umap.png` where UMAP is installed and has enough samples.

    Args:
        features: (n, F).
        targets: (n,) or (n, D); each dimension gets its own panel with its own colour scale.
        directory: where to write; created if it does not exist.
        target_names: D names.
        units: D units, empty strings for none.
        seed: for UMAP.
        note: added to the title, after the method and the number of samples.

    Returns:
        The paths written.

    Raises:
        ValueError: if the shapes do not fit or the features contain NaN or infinity.
    """
    columns = as_columns(targets, "targets")
    check_labels(columns.shape[1], target_names, units)
    x = _check_features(features)
    methods: list[Method] = ["pca"]
    if umap_available() and len(x) >= _UMAP_LEAST_SAMPLES:
        methods.append("umap")
    paths = []
    for method in methods:
        points, shares = project(x, method, seed)
        with house_style():
            figure = new_figure(5.2 * columns.shape[1], 4.2)
            panels = figure.subplots(1, columns.shape[1], squeeze=False)[0]  # the same points in each
            for axes, column, name, unit in zip(panels, columns.T, target_names, units, strict=True):
                title = ", ".join(text for text in (f"{method.upper()} of {len(x):,} samples", note) if text)
                drawn = plot_projection(axes, points, column, title if axes is panels[0] else "", shares)
                add_colour_bar(drawn, axes, with_unit(name, unit))
                if axes is not panels[0]:
                    axes.set_ylabel("")
            paths.append(save_figure(figure, Path(directory) / f"projection_{method}.png"))
    return paths


def add_colour_bar(drawn: PathCollection, axes: Any, label: str) -> None:
    """Add the colour bar of drawn points next to their axes (one, or a list)."""
    figure = drawn.get_figure()
    assert figure is not None
    bar = figure.colorbar(drawn, ax=axes, label=label, aspect=30, pad=0.02)
    bar.outline.set_visible(False)


def _check_features(features: np.ndarray) -> np.ndarray:
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"features must be (n, F) with at least one sample, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("features contain NaN or infinity: the encoder has diverged; look at its loss curve")
    return x
