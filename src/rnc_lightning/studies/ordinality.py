"""Are the features ordered? The paper's first table: rank correlation of feature and label distances."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from rnc_lightning.plots.levels import METHOD_COLOURS
from rnc_lightning.plots.style import house_style, new_figure, save_figure
from rnc_lightning.reports.claims import claim_from
from rnc_lightning.reports.comparison import by_seed, gain_text, mean_text
from rnc_lightning.reports.published import names, published, value
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.studies.bench import Bench, StudyRun, rows
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods

_METRICS = {"spearman": "Spearman", "kendall": "Kendall"}


class Ordinality:
    """Spearman's and Kendall's correlation on the test set, method against method.

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
        return [[bench.run(method, seed) for method in self.methods.labels for seed in range(self.seeds)]]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Correlations and their differences."""
        frame = pd.DataFrame(rows(runs))
        dataset = runs[0].result["dataset"]
        old, new = self.methods.baseline, self.methods.challenger
        authors = published("ordinality")
        lines, claims = [], []
        for metric, label in _METRICS.items():
            cells = [by_seed(frame, metric, method=method) for method in self.methods.labels]
            gain = paired_gain(
                by_seed(frame, metric, method=old), by_seed(frame, metric, method=new), higher_is_better=True
            )
            theirs = [value(authors, metric, method=method) for method in ("l1", "rnc_l1")]
            lines.append([label, *(mean_text(cell, 3) for cell in cells), gain_text(gain, 3), *map(str, theirs)])
            if gain is not None:
                text = f"{theirs[0]:.3f} to {theirs[1]:.3f} (data set not stated, figures second hand)"
                claims.append(claim_from(f"Features are more ordered: {label}", text, dataset, "", gain))
        headings = [
            "correlation",
            *self.methods.labels.values(),
            "difference",
            *(f"{n}, published" for n in names(["l1", "rnc_l1"])),
        ]
        note = (
            "One correlation an anchor over all other test samples, averaged over anchors. The authors do not say on "
            "which data set and over which pairs theirs are; the figures are known from others' notes only."
        )
        table = Table(f"Test set of {dataset}, mean ± standard deviation over seeds", headings, lines)

        def draw(path: Path) -> Path:
            return _draw(frame, self.methods, path)

        return Findings([table], claims, frame, draw, [note])


def _draw(frame: pd.DataFrame, methods: Methods, path: Path) -> Path:
    with house_style():
        figure = new_figure(6.4, 3.2)
        panels = figure.subplots(1, 2)
        for axes, (metric, label) in zip(panels, _METRICS.items(), strict=True):
            for place, (method, name) in enumerate(methods.labels.items()):
                values = by_seed(frame, metric, method=method)
                colour = METHOD_COLOURS[place % len(METHOD_COLOURS)]
                axes.plot([place] * len(values), list(values.values()), "o", color=colour, alpha=0.7, markersize=5)
                if values:
                    axes.annotate(name, (place, max(values.values())), (0, 7), textcoords="offset points", ha="center")
            axes.set_title(label)
            axes.set_xlim(-0.6, len(methods.labels) - 0.4)
            axes.margins(y=0.25)
            axes.set_xticks([])
            axes.set_ylabel("correlation, one dot a seed" if axes is panels[0] else "")
        return save_figure(figure, path)
