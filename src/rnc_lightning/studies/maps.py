"""What do features look like, and do they hold what is beside the point? The paper's maps of the feature space."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from rnc_lightning.plots.maps import save_projection_comparison
from rnc_lightning.reports.claims import Claim, claim_from, reduction
from rnc_lightning.reports.comparison import by_seed, mean_text
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.studies.bench import Bench, StudyRun, rows
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Methods
from rnc_lightning.system.errors import UserError

NEIGHBOURS = 10


class Maps:
    """Maps of the test features coloured by target and by a nuisance, and how neighbours there agree in both.

    Args:
        methods: Method -> label; the first one the baseline, the last one what is claimed to be better.
        nuisance: What is beside the point: {name, pattern}, a regular expression whose first group finds it in a
            sample's name; null: none is known.
        seeds: Number of seeds; the maps are those of the first one.
        claims: Sentences by measure (`neighbours_difference`, `excess`): what the paper's pictures say of the last
            method against each `{other}`.
        words: Of each method's runs, beside the common ones.
        title: Of the page.
        question: What is asked.
    """

    def __init__(
        self,
        methods: Mapping[str, str],
        title: str,
        question: str,
        claims: Mapping[str, str],
        nuisance: Mapping[str, str] | None = None,
        seeds: int = 3,
        words: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.methods = Methods(methods)
        self.title, self.question = title, question
        self.nuisance = nuisance
        self.seeds = seeds
        self.claims = claims
        self.words = words or {}

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Each method with each seed."""
        return [
            [
                bench.run(method, seed, self.words.get(method))
                for method in self.methods.labels
                for seed in range(self.seeds)
            ]
        ]

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Maps, and numbers for what the eye sees in them."""
        measured = [{**row, **self._measure(run)} for row, run in zip(rows(runs), runs, strict=True)]
        frame = pd.DataFrame(measured)
        unit, dataset = runs[0].result["units"][0], runs[0].result["dataset"]
        columns = {
            "mae": f"test MAE ({unit})",
            "spearman": "Spearman",
            "neighbours_difference": f"neighbours' target ({unit})",
        }
        if self.nuisance is not None:
            columns |= {
                "same": f"neighbours of the same {self.nuisance['name']} (%)",
                "excess": "more than by chance (%)",
            }
        lines = [
            [label, *(mean_text(by_seed(frame, c, method=method), 3 if c == "spearman" else 2) for c in columns)]
            for method, label in self.methods.labels.items()
        ]
        claims = [*self._claims(frame, dataset)]
        drawn = {run.method: run for run in sorted(runs, key=lambda run: -run.seed)}  # the lowest seed there is
        shown = [(drawn[method], label) for method, label in self.methods.labels.items() if method in drawn]

        def draw(path: Path) -> Path:
            loaded = {label: self._load_test_set(run) for run, label in shown}
            panels = {label: (features, targets[:, 0]) for label, (features, targets, _) in loaded.items()}
            named = {label: values for label, (_, _, values) in loaded.items() if values is not None}
            groups = (self.nuisance["name"], named) if self.nuisance is not None else None
            return save_projection_comparison(panels, path, f"target ({unit})", groups=groups)

        title = f"Test set of {dataset}, mean ± standard deviation over {self.seeds} seeds"
        return Findings([Table(title, ["method", *columns.values()], lines)], claims, frame, draw, self._notes())

    def _claims(self, frame: pd.DataFrame, dataset: str) -> Iterator[Claim]:
        """Each sentence against each of the other methods."""
        new = self.methods.challenger
        for measure, claim in self.claims.items():
            for old in [method for method in self.methods.labels if method != new and measure in frame]:
                before, after = by_seed(frame, measure, method=old), by_seed(frame, measure, method=new)
                if measure == "excess":
                    gain, unit = paired_gain(before, after, higher_is_better=False), "points"
                else:
                    gain, unit = reduction(before, after), "%"
                if gain is not None:
                    text = claim.format(other=self.methods.labels[old])
                    yield claim_from(text, "a picture only", dataset, unit, gain)

    def _notes(self) -> list[str]:
        notes = [
            "Neighbours' target: the mean difference between a test sample's target and those of its "
            f"{NEIGHBOURS} nearest others in the feature space (Euclidean). Maps: principal components of the test "
            "features of the first seed."
        ]
        if self.nuisance is not None:
            notes.append(
                f"By chance: the share of the same {self.nuisance['name']} among the {NEIGHBOURS} others nearest in "
                "target, which features of the target alone would have."
            )
        return notes

    def _measure(self, run: StudyRun) -> dict[str, float]:
        features, targets, nuisance = self._load_test_set(run)
        near = _nearest(features)
        found = {"neighbours_difference": float(np.abs(targets[near] - targets[:, None]).sum(-1).mean())}
        if nuisance is not None:
            same = 100 * float((nuisance[near] == nuisance[:, None]).mean())
            chance = 100 * float((nuisance[_nearest(targets)] == nuisance[:, None]).mean())
            found |= {"same": same, "chance": chance, "excess": same - chance}
        return found

    def _load_test_set(self, run: StudyRun) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        directory = RunDirectory(run.path)
        features, targets = directory.features()
        if self.nuisance is None:
            return features, targets, None
        names = directory.predictions()["name"]
        pattern = re.compile(self.nuisance["pattern"])
        found = [pattern.search(name) for name in names]
        if lacking := [name for name, match in zip(names, found, strict=True) if match is None]:
            raise UserError(f"study.nuisance.pattern={self.nuisance['pattern']} finds nothing in {lacking[0]!r}")
        return features, targets, np.array([match.group(1) for match in found if match is not None])


def _nearest(points: np.ndarray) -> np.ndarray:
    """Indices (n, k) of each point's nearest others."""
    count = min(NEIGHBOURS, len(points) - 1)
    return NearestNeighbors(n_neighbors=count).fit(points).kneighbors(return_distance=False)
