"""A series of dots in the figure: mean, standard deviation and number of each cell."""

from collections.abc import Sequence
from typing import Any

from rnc_lightning.report.layout import number
from rnc_lightning.report.table import Cell


def draw_dots(
    axes: Any,
    dots: Sequence[tuple[float, Cell]],
    name: str,
    colour: str,
    marker: str,
    digits: int,
    aside: bool = False,
) -> None:
    """Draw the series.

    Args:
        axes: Where.
        dots: Height and cell of each.
        name: In the legend.
        colour: Of dots and numbers.
        marker: Their shape.
        digits: Decimals of the numbers.
        aside: Whether the numbers stand in a column of their own and not beside the dots.
    """
    means, deviations = [cell.mean or 0.0 for _, cell in dots], [cell.sd or 0.0 for _, cell in dots]
    places = [place for place, _ in dots]
    axes.errorbar(means, places, xerr=deviations, fmt=marker, color=colour, ms=5, lw=1.4, capsize=2, label=name)
    for place, mean, deviation in zip(places, means, deviations, strict=True):
        text, spot = number(mean, digits), (1.0 if aside else mean + deviation, place)
        system = axes.get_yaxis_transform() if aside else axes.transData
        axes.annotate(
            text, spot, (5, 0), xycoords=system, textcoords="offset points", va="center", fontsize=7, color=colour
        )


def plain(text: str) -> str:
    """A label that matplotlib does not take for mathematics, and which leaves room for the dots."""
    short = text if len(text) <= 40 else f"{text[:39]}…"
    return short.replace("$", r"\$")
