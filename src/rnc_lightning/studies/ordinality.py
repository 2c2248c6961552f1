"""Are the features ordered? The paper's table 1: rank correlation of feature and label distances."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from rnc_lightning.plots.levels import METHOD_COLOURS
from rnc_lightning.plots.style import house_style, new_figure, save_figure
from rnc_lightning.reports.claims import estimated_claim
from rnc_lightning.reports.comparison import gain_text, mean_text
from rnc_lightning.reports.published import PUBLISHED_METHODS, find_pair, read_published
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.studies.bench import Bench, StudyRun, result_rows
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods

_METRICS = {"spearman": "Spearman", "kendall": "Kendall"}
_NOTE = (
    "One correlation per anchor over all other test samples, averaged over anchors. The authors do not state the data "
    "set and the pairs of samples of their values, which are known from secondary sources only."
)


class Ordinality:
    """Spearman's and Kendall's correlation on the test set, by method.

    Args:
        methods: Method -> label, the first one the baseline.
        seeds: Number of seeds.
    """

    title = "Feature ordinality"
    question = "Do distances between features follow those between labels more with RnC than with L1?"

    def __init__(self, methods: Mapping[str, str], seeds: int = 5) -> None:
        self.methods = Methods(methods)
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Each method with each seed."""
        return [bench.runs(self.methods.labels, self.seeds)]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Correlations and their differences."""
        frame = pd.DataFrame(result_rows(runs))
        dataset = runs[0].result["dataset"]
        authors = read_published("ordinality")
        lines, claims = [], []
        for metric, label in _METRICS.items():
            values = self.methods.errors(frame, metric)
            gain = paired_gain(values[self.methods.baseline], values[self.methods.challenger], higher_is_better=True)
            theirs = find_pair(authors, metric)
            means = [mean_text(by_seed, 3) for by_seed in values.values()]
            lines.append([label, *means, gain_text(gain, 3), *map(str, theirs)])
            if gain is not None:
                text = f"{theirs[0]:.3f} to {theirs[1]:.3f} (data set not stated, values from secondary sources)"
                claims.append(estimated_claim(f"Features are more ordered: {label}", text, dataset, "", gain))
        published = (f"{label}, published" for label in PUBLISHED_METHODS.values())
        headings = ["correlation", *self.methods.labels.values(), "difference", *published]
        table = Table(f"Test set of {dataset}, mean ± standard deviation over seeds", headings, lines)
        return Findings([table], claims, frame, partial(_draw, frame, self.methods), [_NOTE])


def _draw(frame: pd.DataFrame, methods: Methods, path: Path) -> Path:
    with house_style():
        figure = new_figure(6.4, 3.2)
        panels = figure.subplots(1, 2)
        for axes, (metric, label) in zip(panels, _METRICS.items(), strict=True):
            for x, (method, by_seed) in enumerate(methods.errors(frame, metric).items()):
                values = list(by_seed.values())
                colour = METHOD_COLOURS[x % len(METHOD_COLOURS)]
                axes.plot([x] * len(values), values, "o", color=colour, alpha=0.7, markersize=5)
                if values:
                    name = methods.labels[method]
                    axes.annotate(name, (x, max(values)), (0, 7), textcoords="offset points", ha="center")
            axes.set_title(label)
            axes.set_xlim(-0.6, len(methods.labels) - 0.4)
            axes.margins(y=0.25)
            axes.set_xticks([])
            axes.set_ylabel("correlation, one dot per seed" if axes is panels[0] else "")
        return save_figure(figure, path)
