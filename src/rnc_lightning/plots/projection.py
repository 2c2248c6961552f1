"""Two-dimensional maps of features, coloured by target."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from rnc_lightning.plots.style import as_columns, check_labels, house_style, new_figure, save_figure, with_unit

Method = Literal["pca", "umap"]
_COLOURS = "viridis"  # perceptually uniform, and readable without red-green vision
_UMAP_FEWEST = 5  # below this the spectral start of UMAP has nothing to work with


def umap_available() -> bool:
    """Whether the optional package `umap-learn` is installed."""
    return importlib.util.find_spec("umap") is not None


def pca(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First two principal components, with a sign that does not depend on the machine.

    Of each component the loading that is largest in magnitude is made positive.

    Args:
        features: (n, F).

    Returns:
        Points (n, 2) in the features' own scale, and the shares (2,) of the variance that the two components
        explain. A component that does not exist (F = 1, or one sample) is zero, with a share of zero.

    Raises:
        ValueError: if `features` is not (n, F), is empty, or holds NaN or infinity.
    """
    from sklearn.decomposition import PCA

    x = _checked(features)
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


def project(features: np.ndarray, method: Method = "pca", seed: int = 0) -> np.ndarray:
    """Map features to the plane.

    Args:
        features: (n, F).
        method: "pca", or "umap" (15 neighbours, minimal distance 0.1), which needs `umap-learn`.
        seed: for UMAP; PCA has no randomness.

    Returns:
        (n, 2).

    Raises:
        ValueError: if `method` is unknown, or `features` is not (n, F), holds NaN or infinity, or has too few
            samples for UMAP.
        ImportError: for "umap" where `umap-learn` is not installed.
    """
    if method == "pca":
        return pca(features)[0]
    if method != "umap":
        raise ValueError(f"method must be 'pca' or 'umap', got {method!r}")
    if not umap_available():
        raise ImportError("UMAP needs the package umap-learn: pip install 'rnc-lightning[umap]'")
    x = _checked(features)
    if len(x) < _UMAP_FEWEST:
        raise ValueError(f"features: UMAP needs at least {_UMAP_FEWEST} samples, got {len(x)}; use PCA")
    from umap import UMAP

    neighbours = min(15, len(x) - 1)
    # One job is what a fixed seed implies anyway; saying so keeps UMAP from warning about it.
    model = UMAP(n_components=2, n_neighbors=neighbours, min_dist=0.1, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(x), dtype=np.float64)


def plot_projection(
    destination: Axes | str | Path,
    points: np.ndarray,
    targets: np.ndarray,
    label: str,
    title: str = "",
    explained_variance: Sequence[float] | np.ndarray | None = None,
    limits: tuple[float, float] | None = None,
) -> PathCollection:
    """Scatter projected features, coloured by one target dimension.

    Args:
        destination: axes to draw on (no colour bar is added), or a file to write (with a colour bar).
        points: (n, 2), as `project` returns.
        targets: (n,) or (n, 1).
        label: what the colours mean, with unit; the colour bar's label.
        title: the panel's title.
        explained_variance: shares of the two principal components, written on the axes; None for UMAP, whose
            axes have no meaning and carry no numbers.
        limits: lowest and highest target of the colour scale; by default the targets' own.

    Returns:
        The drawn points, for a colour bar.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if not isinstance(destination, Axes):
        with house_style():
            figure = new_figure(5.2, 4.2)
            axes = figure.add_subplot()
            drawn = plot_projection(axes, points, targets, label, title, explained_variance, limits)
            _add_colour_bar(drawn, axes, label)
            save_figure(figure, destination)
        return drawn
    axes, colours = destination, as_columns(targets, "targets")
    if colours.shape[1] != 1 or points.shape != (len(colours), 2):
        raise ValueError(f"points must be (n, 2) and targets (n,), got {points.shape} and {np.shape(targets)}")
    low, high = limits or (float(colours.min()), float(colours.max()))
    n = len(points)
    order = np.random.default_rng(0).permutation(n)  # so that no part of the file lies on top of another
    drawn = axes.scatter(
        points[order, 0],
        points[order, 1],
        c=colours[order, 0],
        s=float(np.clip(12000 / n, 4, 30)),
        cmap=_COLOURS,
        vmin=low,
        vmax=high,
        linewidths=0,
    )
    axes.set_title(title)
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=5)
    if explained_variance is None:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel("UMAP 1")
        axes.set_ylabel("UMAP 2")
    else:
        axes.set_xlabel(f"PC 1 ({explained_variance[0]:.0%} of variance)")
        axes.set_ylabel(f"PC 2 ({explained_variance[1]:.0%} of variance)")
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
        directory: where to; made if it is not there.
        target_names: D names.
        units: D units, empty strings for none.
        seed: for UMAP.
        note: what the title says beside the method and the number of samples.

    Returns:
        The paths written.

    Raises:
        ValueError: if the shapes do not fit or features hold NaN or infinity.
    """
    columns = as_columns(targets, "targets")
    check_labels(columns.shape[1], target_names, units)
    x = _checked(features)
    methods: list[Method] = ["pca"]
    if umap_available() and len(x) >= _UMAP_FEWEST:
        methods.append("umap")
    paths = []
    for method in methods:
        points, shares = _project_with_shares(x, method, seed)
        with house_style():
            figure = new_figure(5.2 * columns.shape[1], 4.2)
            panels = figure.subplots(1, columns.shape[1], squeeze=False)[0]  # the same points in each
            for axes, column, name, unit in zip(panels, columns.T, target_names, units, strict=True):
                title = ", ".join(text for text in (f"{method.upper()} of {len(x):,} samples", note) if text)
                drawn = plot_projection(axes, points, column, name, title if axes is panels[0] else "", shares)
                _add_colour_bar(drawn, axes, with_unit(name, unit))
                if axes is not panels[0]:
                    axes.set_ylabel("")
            paths.append(save_figure(figure, Path(directory) / f"projection_{method}.png"))
    return paths


def save_projection_comparison(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    path: str | Path,
    label: str,
    subtitles: Mapping[str, str] | None = None,
    method: Method = "pca",
    seed: int = 0,
) -> Path:
    """Write maps of several feature sets side by side, with one colour scale for all.

    Args:
        panels: title to features (n, F) and targets (n,) or (n, 1). Each set gets a projection of its own.
        path: file to write.
        label: what the colours mean, with unit.
        subtitles: title to a short second line, such as "MAE 6.1".
        method: "pca" or "umap".
        seed: for UMAP.

    Returns:
        The path.

    Raises:
        ValueError: if there are no panels, a subtitle has no panel, or the shapes do not fit.
        ImportError: for "umap" where `umap-learn` is not installed.
    """
    if not panels:
        raise ValueError("panels must hold at least one entry: title -> (features, targets)")
    if unknown := set(subtitles or {}) - set(panels):
        raise ValueError(f"subtitles name panels that are not there: {sorted(unknown)}")
    colours = {title: as_columns(targets, f"targets of {title!r}") for title, (_, targets) in panels.items()}
    limits = (min(float(c.min()) for c in colours.values()), max(float(c.max()) for c in colours.values()))
    with house_style():
        figure = new_figure(3.9 * len(panels) + 0.9, 4.1)
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, (features, _)) in zip(row, panels.items(), strict=True):
            points, shares = _project_with_shares(features, method, seed)
            heading = "\n".join(line for line in (title, (subtitles or {}).get(title, "")) if line)
            drawn = plot_projection(axes, points, colours[title], label, heading, shares, limits)
        _add_colour_bar(drawn, list(row), label)
        return save_figure(figure, path)


def _project_with_shares(features: np.ndarray, method: Method, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    return pca(features) if method == "pca" else (project(features, method, seed), None)


def _add_colour_bar(drawn: PathCollection, axes: Any, label: str) -> None:
    figure = drawn.get_figure()
    assert figure is not None
    bar = figure.colorbar(drawn, ax=axes, label=label, aspect=30, pad=0.02)
    bar.outline.set_visible(False)


def _checked(features: np.ndarray) -> np.ndarray:
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"features must be (n, F) with at least one sample, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("features hold NaN or infinity: the encoder has diverged, look at its loss curve")
    return x
