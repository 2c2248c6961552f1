"""How robust is it to corrupted images? The paper's figure of ImageNet-C's corruptions by severity."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from rich.progress import track

from rnc_lightning.command_line.options import several
from rnc_lightning.command_line.trust import targets_in
from rnc_lightning.plots.levels import METHOD_COLOURS, Panel, draw_levels
from rnc_lightning.plots.style import house_style, new_figure, save_figure
from rnc_lightning.reports.claims import Claim, estimated_claim
from rnc_lightning.reports.comparison import mean_text
from rnc_lightning.reports.published import PUBLISHED_METHODS, change_text, find_pair, published_lines, read_published
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.studies.bench import Bench, StudyRun
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods

_THEIR_STRONGEST = 4  # the strongest severity in their figure


class Robustness:
    """Every corruption at every severity on the test set of runs trained on clean images.

    Args:
        methods: Method -> label, the first one the baseline.
        seeds: Number of seeds.
        corruption_side: Smaller images are scaled up to this side for the corruption and down again by averaging;
            null to corrupt them at their own size.
        corruptions: Names, or `all`.
        severities: Whole numbers from 1 to 5, or `all`.
    """

    title = "Robustness to corruptions"
    question = "How much do errors grow on corrupted test images, and do they grow less with RnC?"

    def __init__(
        self,
        methods: Mapping[str, str],
        seeds: int = 3,
        corruption_side: int | None = None,
        corruptions: str | Sequence[str] = "all",
        severities: str | Sequence[int] = "all",
    ) -> None:
        from rnc_lightning.datasets.images.corruptions import NAMES, SEVERITIES

        self.methods = Methods(methods)
        self.seeds = seeds
        self.side = corruption_side
        self.corruptions = several(corruptions, NAMES, "corruption")  # reports misspelled names before training
        self.severities = several(severities, SEVERITIES, "severity")
        if not (self.corruptions and self.severities):
            raise ValueError("corruptions, severities: at least one of each is required")

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Each method with each seed."""
        return [bench.runs(self.methods.labels, self.seeds)]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Errors by severity and by corruption, and how much larger they are than on clean images."""
        frame = pd.concat([self._evaluate(run) for run in track(runs, "corrupting")], ignore_index=True)
        dataset, unit = runs[0].result["dataset"], runs[0].result["units"][0]
        authors = read_published("corruptions")
        labels = list(self.methods.labels.values())
        columns = [*labels, "gain", *(f"{label}: more than clean (%)" for label in labels)]
        tables = [
            Table(
                f"{dataset}, test MAE ({unit}) by severity, mean of all corruptions",
                ["severity (0: clean)", *columns],
                [[str(severity), *self._cells(group)] for severity, group in frame.groupby("severity")],
            ),
            Table(
                f"{dataset}, test MAE ({unit}) by corruption, mean of all severities",
                ["corruption", *columns],
                [[name.replace("_", " "), *self._cells(frame[frame.corruption == name])] for name in _kinds(frame)],
            ),
            Table(
                "Published (AgeDB, MAE in years)",
                ["severity (0: clean)", *PUBLISHED_METHODS.values()],
                [[str(s), *(f"{e:.2f}" for e in find_pair(authors, severity=s))] for s in authors.severity.unique()],
            ),
        ]
        claims = list(self._claims(frame, authors, dataset))
        return Findings(tables, claims, frame, partial(self._draw, frame, authors, dataset, unit), self._notes())

    def _notes(self) -> list[str]:
        how = (
            "Images are corrupted at the network's input size."
            if self.side is None
            else f"Images are scaled up to {self.side} pixels, corrupted there, and averaged down again, as a camera "
            "with more pixels would see them: ImageNet-C's strengths are meant for large images."
        )
        return [how, "The paper does not say which of ImageNet-C's five severities its four are."]

    def _evaluate(self, run: StudyRun) -> pd.DataFrame:
        from rnc_lightning.finished_runs.evaluate import evaluate_run

        table = evaluate_run(
            run.path,
            corruptions=self.corruptions,
            severities=self.severities,
            corruption_side=self.side,
            ordinality=False,
            trust=targets_in(run.request.config),
        )
        clean = float(table.loc[table.severity == 0, "mae"].iloc[0])
        table = table[["corruption", "severity", "mae"]].assign(method=run.method, seed=run.seed)
        return table.assign(more=100 * (table.mae / clean - 1))

    def _cells(self, frame: pd.DataFrame) -> list[str]:
        growth = self.methods.errors(frame, "more").values()
        return [*self.methods.cells(self.methods.errors(frame)), *(mean_text(values, 1) for values in growth)]

    def _claims(self, frame: pd.DataFrame, authors: pd.DataFrame, dataset: str) -> Iterator[Claim]:
        corrupted = frame[frame.severity > 0]
        strongest = int(corrupted.severity.max())
        means = authors[authors.severity > 0].groupby("method")["value"].mean()
        theirs = [float(means[method]) for method in PUBLISHED_METHODS]
        where = "AgeDB, mean of severities 1 to 4"
        lower = [
            ("RnC's error is lower on corrupted images", corrupted, change_text(theirs[0], theirs[1], where)),
            (
                f"RnC's error is lower at the strongest corruption (severity {strongest})",
                corrupted[corrupted.severity == strongest],
                change_text(*find_pair(authors, severity=_THEIR_STRONGEST), f"AgeDB, severity {_THEIR_STRONGEST}"),
            ),
        ]
        for claim, group, text in lower:
            if gain := self.methods.reduction(self.methods.errors(group)):
                yield estimated_claim(claim, text, dataset, "%", gain)
        more = self.methods.errors(corrupted, "more")
        if gain := paired_gain(more[self.methods.baseline], more[self.methods.challenger], higher_is_better=False):
            clean = find_pair(authors, severity=0)
            growth = [100 * (mean / error - 1) for mean, error in zip(theirs, clean, strict=True)]
            text = f"{where}: +{growth[0]:.1f} to +{growth[1]:.1f} % of the clean error"
            claim = "Errors grow less with RnC, relative to each method's own error on clean images"
            yield estimated_claim(claim, text, dataset, "points", gain)

    def _draw(self, frame: pd.DataFrame, authors: pd.DataFrame, dataset: str, unit: str, path: Path) -> Path:
        by_severity = {float(s): self.methods.errors(group) for s, group in frame.groupby("severity")}
        lines = {
            label: {severity: list(errors[method].values()) for severity, errors in by_severity.items()}
            for method, label in self.methods.labels.items()
        }
        theirs = published_lines(authors, "severity")
        with house_style():
            figure = new_figure(12.6, 4.6)
            left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
            severity = "severity (0: clean)"
            draw_levels(left, Panel(f"{dataset}: measured", severity, f"test MAE ({unit})", lines))
            draw_levels(middle, Panel("AgeDB: published", severity, "test MAE (years)", theirs))
            self._draw_kinds(right, frame, unit)
            return save_figure(figure, path)

    def _draw_kinds(self, axes: Axes, frame: pd.DataFrame, unit: str) -> None:
        kinds = _kinds(frame)
        means = frame[frame.severity > 0].groupby(["corruption", "method"])["mae"].mean()
        kinds = sorted(kinds, key=lambda kind: float(means[kind].max()))
        for colour, (method, label) in zip(METHOD_COLOURS, self.methods.labels.items(), strict=False):
            shown = [means.get((kind, method), np.nan) for kind in kinds]
            axes.plot(shown, range(len(kinds)), "o", color=colour, label=label)
        axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds], fontsize=8)
        axes.set_xlabel(f"test MAE ({unit}), mean of severities")
        axes.set_title("by corruption")
        axes.grid(axis="y", color="#eeeeee")
        axes.legend(loc="lower right")


def _kinds(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame[frame.severity > 0]["corruption"]))
