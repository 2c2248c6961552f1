"""Does it hold up on corrupted images? The paper's figure of ImageNet-C's corruptions by severity."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from rich.progress import track

from rnc_lightning.command_line.options import several
from rnc_lightning.plots.levels import METHOD_COLOURS, Panel, draw_levels
from rnc_lightning.plots.style import house_style, new_figure, save_figure
from rnc_lightning.reports.claims import Claim, claim_from, reduction
from rnc_lightning.reports.comparison import by_seed, gain_text, mean_text
from rnc_lightning.reports.published import change, names, published, value
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.studies.bench import Bench, StudyRun
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods

_THEIR_WORST = 4  # the strongest severity in their figure


class Robustness:
    """Every corruption at every severity on the test set of runs trained on clean images.

    Args:
        methods: Method -> label, the first one the baseline.
        seeds: Number of seeds.
        corruption_side: Side to which smaller images are scaled up for the corruption and averaged down again; null:
            they are corrupted as they are.
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
        self.corruptions = several(corruptions, NAMES, "corruption")  # a misspelled one is told before the training
        self.severities = several(severities, SEVERITIES, "severity")
        if not (self.corruptions and self.severities):
            raise ValueError("corruptions, severities: at least one of each is needed")

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Each method with each seed."""
        return [[bench.run(method, seed) for method in self.methods.labels for seed in range(self.seeds)]]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Errors by severity and by corruption, and how much more than on clean images."""
        frame = pd.concat([self._measured(run) for run in track(runs, "corrupting")], ignore_index=True)
        dataset, unit = runs[0].result["dataset"], runs[0].result["units"][0]
        old, new = self.methods.baseline, self.methods.challenger
        severities = sorted(frame.severity.unique())
        claims = list(self._claims(frame, dataset))
        authors = published("corruptions")
        theirs = [
            [str(severity), *(f"{value(authors, method=method, severity=severity):.2f}" for method in ("l1", "rnc_l1"))]
            for severity in sorted(authors.severity.unique())
        ]
        labels = list(self.methods.labels.values())
        tables = [
            Table(
                f"{dataset}, test MAE ({unit}) by severity, mean of all corruptions",
                ["severity (0: clean)", *labels, "gain", *(f"{label}: more than clean (%)" for label in labels)],
                [self._severity_row(frame, severity, old, new) for severity in severities],
            ),
            Table(
                f"{dataset}, test MAE ({unit}) by corruption, mean of all severities",
                ["corruption", *labels, "gain", *(f"{label}: more than clean (%)" for label in labels)],
                [self._corruption_row(frame, name, old, new) for name in _kinds(frame)],
            ),
            Table("Published (AgeDB, MAE in years)", ["severity (0: clean)", *names(["l1", "rnc_l1"])], theirs),
        ]

        def draw(path: Path) -> Path:
            return self._draw(frame, authors, dataset, unit, path)

        return Findings(tables, claims, frame, draw, self._notes())

    def _notes(self) -> list[str]:
        how = (
            "Images are corrupted at the network's input size."
            if self.side is None
            else f"Images are scaled up to {self.side} pixels, corrupted there, and averaged down again, as a camera "
            "with more pixels would see them: ImageNet-C's strengths are meant for large images."
        )
        return [how, "The paper does not say which of ImageNet-C's five severities its four are."]

    def _measured(self, run: StudyRun) -> pd.DataFrame:
        from rnc_lightning.finished_runs.evaluate import evaluate_run

        table = evaluate_run(
            run.path,
            corruptions=self.corruptions,
            severities=self.severities,
            corruption_side=self.side,
            ordinality=False,
        )
        kept = table[["corruption", "severity", "mae"]].assign(method=run.method, seed=run.seed)
        clean = float(kept.loc[kept.severity == 0, "mae"].iloc[0])
        return kept.assign(more=100 * (kept.mae / clean - 1))

    def _severity_row(self, frame: pd.DataFrame, severity: int, old: str, new: str) -> list[str]:
        return [str(severity), *_cells(frame[frame.severity == severity], self.methods, old, new)]

    def _corruption_row(self, frame: pd.DataFrame, name: str, old: str, new: str) -> list[str]:
        return [name.replace("_", " "), *_cells(frame[frame.corruption == name], self.methods, old, new)]

    def _claims(self, frame: pd.DataFrame, dataset: str) -> list[Claim]:
        authors = published("corruptions")
        old, new = self.methods.baseline, self.methods.challenger
        hit = frame[frame.severity > 0]
        worst = int(hit.severity.max())
        theirs = authors[authors.severity > 0].groupby("method")["value"].mean()
        before, after = float(theirs["l1"]), float(theirs["rnc_l1"])
        strongest = [value(authors, method=method, severity=_THEIR_WORST) for method in ("l1", "rnc_l1")]
        lower = [
            (
                "RnC's error is lower on corrupted images",
                hit,
                change(before, after, "AgeDB, mean of severities 1 to 4"),
            ),
            (
                f"RnC's error is lower at the strongest corruption (severity {worst})",
                hit[hit.severity == worst],
                change(strongest[0], strongest[1], f"AgeDB, severity {_THEIR_WORST}"),
            ),
        ]
        found = []
        for claim, rows, text in lower:
            if gain := reduction(by_seed(rows, "mae", method=old), by_seed(rows, "mae", method=new)):
                found.append(claim_from(claim, text, dataset, "%", gain))
        more = by_seed(hit, "more", method=old), by_seed(hit, "more", method=new)
        if gain := paired_gain(more[0], more[1], higher_is_better=False):
            growth = [
                100 * (mean / value(authors, method=method, severity=0) - 1)
                for mean, method in ((before, "l1"), (after, "rnc_l1"))
            ]
            text = f"AgeDB, mean of severities 1 to 4: +{growth[0]:.1f} to +{growth[1]:.1f} % of the clean error"
            claim = "Errors grow less with RnC, relative to each method's own error on clean images"
            found.append(claim_from(claim, text, dataset, "points", gain))
        return found

    def _draw(self, frame: pd.DataFrame, authors: pd.DataFrame, dataset: str, unit: str, path: Path) -> Path:
        lines = {
            label: {
                float(severity): list(by_seed(frame, "mae", method=method, severity=severity).values())
                for severity in sorted(frame.severity.unique())
            }
            for method, label in self.methods.labels.items()
        }
        theirs = {
            label: {
                float(severity): [value(authors, method=method, severity=severity)]
                for severity in sorted(authors.severity.unique())
            }
            for method, label in zip(("l1", "rnc_l1"), names(["l1", "rnc_l1"]), strict=True)
        }
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


def _cells(rows: pd.DataFrame, methods: Methods, old: str, new: str) -> list[str]:
    errors = {method: by_seed(rows, "mae", method=method) for method in methods.labels}
    more = [mean_text(by_seed(rows, "more", method=method), 1) for method in methods.labels]
    gain = paired_gain(errors[old], errors[new], higher_is_better=False)
    return [*map(mean_text, errors.values()), gain_text(gain), *more]


def _kinds(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame[frame.severity > 0]["corruption"]))
