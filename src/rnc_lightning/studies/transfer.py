"""Do features serve on other data? The paper's transfer table: encoder from one data set, head on another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from rnc_lightning.studies.bench import Bench, StudyRun, rows
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods

SCHEMES = {"linear_probe": "transfer_probe", "fine_tune": "transfer_fine_tune"}


@dataclass(frozen=True)
class Direction:
    """From which data to which.

    Attributes:
        source: Words of the runs that train the encoder.
        target: Words of the runs that take it.
        published: `source` and `dataset` of the authors' rows to stand beside; null for none.
    """

    source: Mapping[str, Any]
    target: Mapping[str, Any]
    published: Mapping[str, str] | None = None


class Transfer:
    """An encoder from the source data, and on the target data a new head: alone, or with the encoder.

    Args:
        methods: Method -> label, the first one the baseline; how the encoder was trained.
        directions: By name.
        seeds: Number of seeds.
    """

    title = "Transfer"
    question = "Do features learned on one data set serve regression on another, probed and fine-tuned?"

    def __init__(self, methods: Mapping[str, str], directions: Mapping[str, Mapping[str, Any]], seeds: int = 5) -> None:
        self.methods = Methods(methods)
        self.directions = {name: Direction(**given) for name, given in directions.items()}
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """The sources, then the heads on the targets."""
        sources, targets = [], []
        for name, direction in self.directions.items():
            for method in self.methods.labels:
                for seed in range(self.seeds):
                    source = bench.run(method, seed, direction.source, direction=name, scheme="source")
                    sources.append(source)
                    for scheme, transfer in SCHEMES.items():
                        words = {**direction.target, "scheme": transfer, "encoder_from": source.path}
                        targets.append(bench.run(method, seed, words, direction=name, scheme=scheme))
        return [sources, targets]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Errors on the target by direction and scheme."""
        frame = pd.DataFrame(rows(runs))
        unit = runs[0].result["units"][0]
        old, new = self.methods.baseline, self.methods.challenger
        authors = published("transfer")
        lines, claims = [], []
        for name, direction in self.directions.items():
            dataset = _target_of(runs, name)
            for scheme in SCHEMES:
                here = frame[(frame.direction == name) & (frame.scheme == scheme)]
                errors = {method: by_seed(here, "mae", method=method) for method in self.methods.labels}
                gain = paired_gain(errors[old], errors[new], higher_is_better=False)
                reported = ""
                if direction.published is not None:
                    pair = [
                        value(authors, scheme=scheme, method=method, **direction.published)
                        for method in ("l1", "rnc_l1")
                    ]
                    where = f"{direction.published['source']} to {direction.published['dataset']}"
                    reported = change(pair[0], pair[1], where)
                if share := reduction(errors[old], errors[new]):
                    spelled = scheme.replace("_", " ")
                    claims.append(claim_from(f"RnC transfers better: {name}, {spelled}", reported, dataset, "%", share))
                lines.append(
                    [f"{name}, {scheme.replace('_', ' ')}", *map(mean_text, errors.values()), gain_text(gain), reported]
                )
        for name in self.directions:
            source = frame[(frame.scheme == "source") & (frame.direction == name)]
            cells = [mean_text(by_seed(source, "mae", method=method)) for method in self.methods.labels]
            lines.append([f"{name}: on the source itself", *cells, "", ""])
        headings = ["direction", *self.methods.labels.values(), "gain", "published"]
        notes = [
            "The head of the source is thrown away: on the target a fresh one is trained, on the frozen encoder "
            "(linear probe) or together with it (fine-tune). Encoder and head keep nothing else of the source."
        ]

        def draw(path: Path) -> Path:
            return _draw(frame, self.directions, self.methods, unit, path)

        table = Table(f"Test MAE on the target ({unit}), mean ± standard deviation over seeds", headings, lines)
        return Findings([table], claims, frame, draw, notes)


def _target_of(runs: Sequence[StudyRun], direction: str) -> str:
    """Name of the data that the heads of a direction were trained and tested on."""
    heads = [run for run in runs if run.levels["direction"] == direction and run.levels["scheme"] in SCHEMES]
    return str(heads[0].result["dataset"]) if heads else ""


def _draw(frame: pd.DataFrame, directions: Mapping[str, Any], methods: Methods, unit: str, path: Path) -> Path:
    places = [(name, scheme) for name in directions for scheme in SCHEMES]
    with house_style():
        figure = new_figure(6.8, 1.3 + 0.55 * len(places))
        axes = figure.add_subplot()
        for shift, (colour, (method, label)) in enumerate(zip(METHOD_COLOURS, methods.labels.items(), strict=False)):
            for place, (name, scheme) in enumerate(places):
                errors = list(by_seed(frame, "mae", method=method, direction=name, scheme=scheme).values())
                y = [-place - 0.17 * shift] * len(errors)
                axes.plot(errors, y, "o", color=colour, alpha=0.5, markersize=4.5, label="" if place else label)
                if errors:
                    axes.plot([np.mean(errors)], y[:1], "|", color=colour, markersize=13, markeredgewidth=2)
        axes.set_yticks(
            [-place - 0.08 for place in range(len(places))],
            [f"{name}, {scheme.replace('_', ' ')}" for name, scheme in places],
        )
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"test MAE on the target ({unit})")
        axes.set_title("dots: seeds, bars: means")
        axes.legend()
        return save_figure(figure, path)
