"""What of targets that training never saw? The paper's table of held-out label ranges."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnc_lightning.plots.levels import METHOD_COLOURS
from rnc_lightning.plots.style import house_style, new_figure, save_figure
from rnc_lightning.reports.claims import claim_from, reduction
from rnc_lightning.reports.comparison import by_seed, gain_text, mean_text
from rnc_lightning.reports.published import change, published, value
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.studies.bench import Bench, StudyRun
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods

TARGETS = ("all", "seen", "unseen")
_PUBLISHED = ("first", "second")  # what the authors' two label distributions are called in the table


class UnseenTargets:
    """Ranges of the target that neither training nor validation see; the test keeps them.

    Args:
        methods: Method -> label, the first one the baseline.
        ranges: Name of a label distribution -> name of a range -> {low, high, dimension}. The first two stand beside
            the authors' two, whose ranges are not published.
        seeds: Number of seeds.
    """

    title = "Unseen targets"
    question = "How large are errors where training had no labels: in gaps between the seen ones, and beyond them?"

    def __init__(
        self, methods: Mapping[str, str], ranges: Mapping[str, Mapping[str, Mapping[str, Any]]], seeds: int = 5
    ) -> None:
        self.methods = Methods(methods)
        self.ranges = ranges
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Each distribution, method and seed."""
        return [
            [
                bench.run(method, seed, _words(ranges), ranges=name)
                for name, ranges in self.ranges.items()
                for method in self.methods.labels
                for seed in range(self.seeds)
            ]
        ]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Errors on all, seen and unseen targets."""
        frame = pd.DataFrame([row for run in runs for row in _rows(run)])
        dataset, unit = runs[0].result["dataset"], runs[0].result["units"][0]
        old, new = self.methods.baseline, self.methods.challenger
        authors = published("unseen_targets")
        tables, claims = [], []
        for name, theirs in zip(self.ranges, [*_PUBLISHED, *[None] * len(self.ranges)], strict=False):
            here = frame[frame.ranges == name]
            if here.empty:
                continue
            lines = []
            for targets in TARGETS:
                errors = {
                    method: by_seed(here, "mae", method=method, targets=targets) for method in self.methods.labels
                }
                gain = paired_gain(errors[old], errors[new], higher_is_better=False)
                reported = [""] * 2
                if theirs is not None:
                    pair = [
                        value(authors, label_distribution=theirs, method=method, targets=targets)
                        for method in ("l1", "rnc_l1")
                    ]
                    reported = [f"{number:.2f}" for number in pair]
                    if share := reduction(errors[old], errors[new]):
                        text = change(pair[0], pair[1], f"IMDB-WIKI, {theirs} distribution")
                        claims.append(claim_from(f"RnC helps on {targets} targets: {name}", text, dataset, "%", share))
                lines.append([targets, *map(mean_text, errors.values()), gain_text(gain), *reported])
            unseen = self.ranges[name].values()
            told = " and ".join(map(_told, unseen))
            share = here[here.targets == "unseen"]["count"].mean() / here[here.targets == "all"]["count"].mean()
            title = f"{name}: {told} {unit} unseen, {100 * share:.1f} % of the test set; MAE ({unit})"
            labels = [f"{label}, published ({theirs})" if theirs else "" for label in ("L1", "RnC(L1)")]
            tables.append(Table(title, ["targets", *self.methods.labels.values(), "gain", *labels], lines))
        note = (
            "The authors' ranges are not published; from their table about 22.5 and 33.3 percent of their test set "
            "were unseen, and the ranges here were chosen for about these shares. Which of their two distributions "
            "had gaps and which lacked ends is not known."
        )

        def draw(path: Path) -> Path:
            return _draw(runs, self.ranges, self.methods, unit, path)

        return Findings(tables, claims, frame, draw, [note])


def _words(ranges: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"+data.subset.unseen.{name}": dict(held) for name, held in ranges.items()}


def _told(held: Mapping[str, Any]) -> str:
    low, high = held.get("low"), held.get("high")
    if low is None or high is None:
        return f"{high} and below" if low is None else f"{low} and above"
    return f"{low} to {high}"


def _rows(run: StudyRun) -> list[dict[str, Any]]:
    result = run.result
    parts = {"all": {**result["test"], "count": result["counts"]["test"]}, **result["targets"]}
    own = {"method": run.method, "seed": run.seed, **run.levels}
    return [{**own, "targets": targets, **metrics} for targets, metrics in parts.items()]


def _draw(runs: Sequence[StudyRun], ranges: Mapping[str, Any], methods: Methods, unit: str, path: Path) -> Path:
    """The error over the target, unseen ranges in grey."""
    with house_style():
        figure = new_figure(4.6 * len(ranges), 3.6)
        for axes, (name, held_out) in zip(np.atleast_1d(figure.subplots(1, len(ranges))), ranges.items(), strict=True):
            everything = np.concatenate([_errors(run)[0] for run in runs])
            edges = np.linspace(everything.min(), everything.max(), 21)
            for held in held_out.values():
                low, high = held.get("low"), held.get("high")
                span = (edges[0] if low is None else low, edges[-1] if high is None else high)
                axes.axvspan(*span, color="#dddddd", linewidth=0)
            for colour, (method, label) in zip(METHOD_COLOURS, methods.labels.items(), strict=False):
                pairs = [_errors(run) for run in runs if run.method == method and run.levels["ranges"] == name]
                if not pairs:
                    continue
                truth, errors = (np.concatenate(part) for part in zip(*pairs, strict=True))
                place = np.clip(np.digitize(truth, edges) - 1, 0, len(edges) - 2)
                means = [errors[place == i].mean() if (place == i).any() else np.nan for i in range(len(edges) - 1)]
                axes.plot((edges[1:] + edges[:-1]) / 2, means, "o-", color=colour, label=label, markersize=3.5)
            axes.set_title(f"{name} (grey: unseen)")
            axes.set_xlabel(f"target ({unit})")
            axes.set_ylabel(f"mean absolute error ({unit})")
            axes.set_ylim(bottom=0)
            if axes.lines:
                axes.legend()
        return save_figure(figure, path)


def _errors(run: StudyRun) -> tuple[np.ndarray, np.ndarray]:
    table = pd.read_csv(run.path / "predictions.csv")
    truth = next(column for column in table if column.endswith("_target"))
    predicted = truth.removesuffix("_target") + "_prediction"
    return table[truth].to_numpy(), (table[truth] - table[predicted]).abs().to_numpy()
