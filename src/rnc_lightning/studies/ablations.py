"""What of the method matters? The paper's ablation table, and temperature, batch size and number of views beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from rnc_lightning.plots.style import BLUE, GREY, house_style, new_figure, save_figure
from rnc_lightning.reports.claims import Claim, claim_from, reduction
from rnc_lightning.reports.comparison import by_seed, gain_text, mean_text
from rnc_lightning.reports.published import change, published, value
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.studies.bench import Bench, StudyRun, rows
from rnc_lightning.studies.findings import Findings, Table

REFERENCE = "reference"
_FARTHEST = 2.0  # times the reference's error that the figure has room for


@dataclass(frozen=True)
class Factor:
    """One thing that is varied.

    Attributes:
        title: What it is.
        reference: What the level is called that all runs of other factors have.
        levels: Level -> the words that set it; null leaves a level out.
    """

    title: str
    reference: str
    levels: Mapping[Any, Mapping[str, Any] | None] = field(default_factory=dict)

    @property
    def varied(self) -> dict[str, Mapping[str, Any]]:
        """Levels that are run beside the reference."""
        named = {str(level): words for level, words in self.levels.items()}  # 128 and "128" are one level
        return {level: words for level, words in sorted(named.items(), key=_by_size) if words is not None}


def _by_size(level: tuple[str, Any]) -> float:
    """Numbers in their order, before words, which stay as they are."""
    try:
        return float(level[0])
    except ValueError:
        return math.inf


@dataclass(frozen=True)
class Comparison:
    """A published pair of levels: the claim is that the second one has the lower error.

    Attributes:
        claim: In a sentence.
        factor: Which factor.
        worse: Its level here; null: the first one there is.
        published: The two levels in the paper's table.
    """

    claim: str
    factor: str
    worse: str | None
    published: Sequence[str]


class Ablations:
    """One factor at a time, everything else as in the reference, which all factors share.

    Args:
        method: The method whose parts are varied.
        factors: By name.
        claims: What the paper says of them.
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
        self.factors = {name: Factor(**given) for name, given in factors.items() if given}
        listed = claims.values() if isinstance(claims, Mapping) else claims
        self.claims = [Comparison(**given) for given in listed]
        self.method = method
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """The reference, then every level of every factor."""
        seeds = range(self.seeds)
        found = [bench.run(self.method, seed, factor=REFERENCE, level=REFERENCE) for seed in seeds]
        for name, factor in self.factors.items():
            for level, words in factor.varied.items():
                found += [bench.run(self.method, seed, words, factor=name, level=level) for seed in seeds]
        return [found]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """A table a factor, and the published one."""
        frame = pd.DataFrame(rows(runs))
        dataset, unit = runs[0].result["dataset"], runs[0].result["units"][0]
        tables = [self._table(frame, name, factor, unit) for name, factor in self.factors.items()]
        authors = published("ablations")
        theirs = [
            [row.factor, row.level.replace("_", " "), f"{row.value:.2f}"]
            for row in authors[authors.metric == "mae"].itertuples()
        ]
        tables.append(Table("Published (AgeDB, MAE in years)", ["factor", "level", "MAE"], theirs))
        claims = [claim for comparison in self.claims if (claim := self._claim(frame, comparison, dataset, authors))]

        def draw(path: Path) -> Path:
            return _draw(frame, self.factors, unit, path)

        return Findings(tables, claims, frame, draw)

    def _table(self, frame: pd.DataFrame, name: str, factor: Factor, unit: str) -> Table:
        base = by_seed(frame, "mae", factor=REFERENCE)
        lines = [[f"{factor.reference} (reference)", mean_text(base), "", ""]]
        for level in factor.varied:
            errors = by_seed(frame, "mae", factor=name, level=level)
            more = paired_gain(errors, base, higher_is_better=False)
            ordered = mean_text(by_seed(frame, "spearman", factor=name, level=level), 3)
            lines.append([level.replace("_", " "), mean_text(errors), gain_text(more), ordered])
        lines[0][3] = mean_text(by_seed(frame, "spearman", factor=REFERENCE), 3)
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
        before, after = (value(authors, factor=comparison.factor, level=level) for level in comparison.published)
        text = comparison.claim.format(worse=level.replace("_", " "))
        return claim_from(text, change(before, after, "AgeDB"), dataset, "%", gain)


def _draw_level(axes: Axes, errors: Sequence[float], place: float, limit: float) -> None:
    """Dots and their mean; a mean beyond the limit, which would squeeze all else together, as a number at the edge."""
    if not errors:
        return
    mean = sum(errors) / len(errors)
    if mean > limit:
        axes.annotate(f"{mean:.1f} \u2192", (1, place), xycoords=("axes fraction", "data"), ha="right", va="center")
        return
    axes.plot(errors, [place] * len(errors), "o", color=BLUE, alpha=0.45, markersize=4)
    axes.plot([mean], [place], "|", color="black", markersize=11, markeredgewidth=1.6)


def _draw(frame: pd.DataFrame, factors: Mapping[str, Factor], unit: str, path: Path) -> Path:
    base = by_seed(frame, "mae", factor=REFERENCE)
    names = [(name, level) for name, factor in factors.items() for level in factor.varied]
    with house_style():
        figure = new_figure(7.4, 1.2 + 0.27 * (len(names) + len(factors)))
        axes = figure.add_subplot()
        if base:
            axes.axvline(sum(base.values()) / len(base), color=GREY, linewidth=1)
        limit = _FARTHEST * sum(base.values()) / len(base) if base else math.inf
        place, ticks = 0.0, []
        for name, factor in factors.items():
            heading = f"{factor.title}; reference: {factor.reference}"
            ticks.append((-place, heading))
            place += 1
            for level in factor.varied:
                errors = list(by_seed(frame, "mae", factor=name, level=level).values())
                _draw_level(axes, errors, -place, limit)
                ticks.append((-place, level.replace("_", " ")))
                place += 1
        axes.set_yticks([tick for tick, _ in ticks], [label for _, label in ticks])
        for tick, (_, label) in zip(axes.get_yticklabels(), ticks, strict=True):
            tick.set_fontweight("bold" if "; reference: " in label else "normal")
        axes.set_ylim(-place + 0.3, 0.7)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"test MAE ({unit})")
        axes.set_title("dots: seeds, bars: means, grey line: the reference")
        return save_figure(figure, path)
