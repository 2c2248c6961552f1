"""Plots of a run: projections of the features, predictions against targets, curves over epochs."""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.plots.curves import save_curves
    from rnc_lightning.plots.maps import save_projection_comparison
    from rnc_lightning.plots.projection import save_projections
    from rnc_lightning.plots.scatter import save_prediction_scatter

__all__ = ["save_curves", "save_prediction_scatter", "save_projection_comparison", "save_projections"]

__getattr__ = lazy_exports(
    __name__,
    {
        "save_curves": "curves",
        "save_prediction_scatter": "scatter",
        "save_projection_comparison": "maps",
        "save_projections": "projection",
    },
)
