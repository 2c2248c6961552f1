"""Which parts of the method matter? The paper's ablation table, plus temperature, batch size and number of views."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from rnc_lightning.plots.style import BLUE, GREY, house_style, new_figure, save_figure
from rnc_lightning.reports.claims import Claim, estimated_claim, reduction
from rnc_lightning.reports.comparison import by_seed, gain_text, mean_text
from rnc_lightning.reports.published import change_text, find_value, read_published
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.studies.bench import Bench, StudyRun, result_rows
from rnc_lightning.studies.findings import Findings, Table

REFERENCE = "reference"
_LARGEST = 2.0  # largest error in the figure, in multiples of the reference's error


@dataclass(frozen=True)
class Factor:
    """One thing that is varied.

    Attributes:
        title: What it is.
        reference: Name of the level in the reference.
        levels: Level -> the options that set it; null to skip a level.
    """

    title: str
    reference: str
    levels: Mapping[Any, Mapping[str, Any] | None] = field(default_factory=dict)

    @property
    def varied(self) -> dict[str, Mapping[str, Any]]:
        """Levels that are run in addition to the reference, with their options."""
        named = {str(level): options for level, options in self.levels.items()}  # 128 and "128" are the same level
        return {level: options for level, options in sorted(named.items(), key=_size) if options is not None}


def _size(level: tuple[str, Any]) -> float:
    """Sort key: numbers in ascending order, then names in the given order."""
    try:
        return float(level[0])
    except ValueError:
        return math.inf


@dataclass(frozen=True)
class Comparison:
    """A published pair of levels: the paper claims that the second one has the lower error.

    Attributes:
        claim: The claim as a sentence.
        factor: Name of the factor.
        worse: The level that is claimed to be worse than the reference; null for the first level.
        published: The two levels in the paper's table.
    """

    claim: str
    factor: str
    worse: str | None
    published: Sequence[str]


class Ablations:
    """Varies one factor at a time; everything else is as in the reference, which all factors share.

    Args:
        method: The method whose parts are varied.
        factors: Name -> fields of `Factor`; null to skip a factor.
        claims: Fields of each `Comparison`, by name or as a list.
        seeds: Number of seeds.
    """

    title = "Ablations"
    question = "Which choices in Rank-N-Contrast matter, one at a time?"

    def __init__(
        self,
        factors: Mapping[str, Mapping[str, Any]],
        claims: Sequence[Mapping[str, Any]] | Mapping[str, Mapping[str, Any]],
        method: str = "rnc",
        seeds: int = 5,
    ) -> None:
        self.factors = {name: Factor(**fields) for name, fields in factors.items() if fields}
        listed = claims.values() if isinstance(claims, Mapping) else claims
        self.claims = [Comparison(**fields) for fields in listed]
        self.method = method
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """The reference, then every level of every factor."""
        runs = bench.runs([self.method], self.seeds, factor=REFERENCE, level=REFERENCE)
        for name, factor in self.factors.items():
            for level, options in factor.varied.items():
                runs += bench.runs([self.method], self.seeds, options, factor=name, level=level)
        return [runs]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """One table per factor, and the published table."""
        frame = pd.DataFrame(result_rows(runs))
        dataset, unit = runs[0].result["dataset"], runs[0].result["units"][0]
        tables = [self._table(frame, name, factor, unit) for name, factor in self.factors.items()]
        authors = read_published("ablations")
        theirs = [
            [row.factor, row.level.replace("_", " "), f"{row.value:.2f}"]
            for row in authors[authors.metric == "mae"].itertuples()
        ]
        tables.append(Table("Published (AgeDB, MAE in years)", ["factor", "level", "MAE"], theirs))
        claims = [claim for comparison in self.claims if (claim := self._claim(frame, comparison, dataset, authors))]
        return Findings(tables, claims, frame, partial(_draw, frame, self.factors, unit))

    def _table(self, frame: pd.DataFrame, name: str, factor: Factor, unit: str) -> Table:
        base = by_seed(frame, "mae", factor=REFERENCE)
        spearman = mean_text(by_seed(frame, "spearman", factor=REFERENCE), 3)
        lines = [[f"{factor.reference} (reference)", mean_text(base), "", spearman]]
        for level in factor.varied:
            errors = by_seed(frame, "mae", factor=name, level=level)
            increase = paired_gain(errors, base, higher_is_better=False)
            spearman = mean_text(by_seed(frame, "spearman", factor=name, level=level), 3)
            lines.append([level.replace("_", " "), mean_text(errors), gain_text(increase), spearman])
        return Table(factor.title, ["level", f"test MAE ({unit})", "more than the reference", "Spearman"], lines)

    def _claim(self, frame: pd.DataFrame, comparison: Comparison, dataset: str, authors: pd.DataFrame) -> Claim | None:
        factor = self.factors.get(comparison.factor)
        if factor is None or not factor.varied:
            return None
        level = comparison.worse or next(iter(factor.varied))
        gain = reduction(
            by_seed(frame, "mae", factor=comparison.factor, level=level), by_seed(frame, "mae", factor=REFERENCE)
        )
        if gain is None:
            return None
        before, after = (find_value(authors, factor=comparison.factor, level=level) for level in comparison.published)
        text = comparison.claim.format(worse=level.replace("_", " "))
        return estimated_claim(text, change_text(before, after, "AgeDB"), dataset, "%", gain)


def _draw_level(axes: Axes, errors: Sequence[float], y: float, limit: float) -> None:
    """Draw dots and their mean; a mean above the limit, which would compress the axis, as a number at the edge."""
    if not errors:
        return
    mean = sum(errors) / len(errors)
    if mean > limit:
        axes.annotate(f"{mean:.1f} \u2192", (1, y), xycoords=("axes fraction", "data"), ha="right", va="center")
        return
    axes.plot(errors, [y] * len(errors), "o", color=BLUE, alpha=0.45, markersize=4)
    axes.plot([mean], [y], "|", color="black", markersize=11, markeredgewidth=1.6)


def _draw(frame: pd.DataFrame, factors: Mapping[str, Factor], unit: str, path: Path) -> Path:
    base = by_seed(frame, "mae", factor=REFERENCE)
    names = [(name, level) for name, factor in factors.items() for level in factor.varied]
    with house_style():
        figure = new_figure(7.4, 1.2 + 0.27 * (len(names) + len(factors)))
        axes = figure.add_subplot()
        if base:
            axes.axvline(sum(base.values()) / len(base), color=GREY, linewidth=1)
        limit = _LARGEST * sum(base.values()) / len(base) if base else math.inf
        y, ticks = 0.0, []
        for name, factor in factors.items():
            ticks.append((y, f"{factor.title}; reference: {factor.reference}"))
            y -= 1
            for level in factor.varied:
                _draw_level(axes, list(by_seed(frame, "mae", factor=name, level=level).values()), y, limit)
                ticks.append((y, level.replace("_", " ")))
                y -= 1
        axes.set_yticks([tick for tick, _ in ticks], [label for _, label in ticks])
        for tick, (_, label) in zip(axes.get_yticklabels(), ticks, strict=True):
            tick.set_fontweight("bold" if "; reference: " in label else "normal")
        axes.set_ylim(y + 0.3, 0.7)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"test MAE ({unit})")
        axes.set_title("dots: seeds, bars: means, grey line: the reference")
        return save_figure(figure, path)
