"""How much does less training data hurt? The paper's figure of IMDB-WIKI subsamples."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from rnc_lightning.plots.levels import Panel, save_level_figure
from rnc_lightning.reports.claims import Claim, estimated_claim
from rnc_lightning.reports.published import PUBLISHED_METHODS, change_text, find_pair, published_lines, read_published
from rnc_lightning.reports.statistics import paired_gain
from rnc_lightning.studies.bench import Bench, StudyRun, result_rows
from rnc_lightning.studies.findings import Findings, Table
from rnc_lightning.studies.methods import Errors, Methods


class ReducedData:
    """Methods trained on different numbers of samples.

    Args:
        methods: Method -> label, the first one the baseline.
        sizes: Number of training samples -> the options that set it; or numbers alone, for random subsets.
        seeds: Number of seeds; they set the training and the random subset.
    """

    title = "Less training data"
    question = "How do errors grow as training data get fewer, and does RnC help more there?"

    def __init__(
        self,
        methods: Mapping[str, str],
        sizes: Mapping[Any, Mapping[str, Any] | None] | Sequence[int],
        seeds: int = 3,
    ) -> None:
        self.methods = Methods(methods)
        if not isinstance(sizes, Mapping):
            sizes = {size: {"data.subset.size": size} for size in sizes}
        self.options_by_size = {int(size): options or {} for size, options in sizes.items()}
        self.sizes = sorted(self.options_by_size, reverse=True)
        self.seeds = seeds

    def phases(self, bench: Bench) -> list[list[StudyRun]]:
        """Each size, method and seed."""
        return [
            [
                bench.run(method, seed, self._options(size, seed), train_size=size)
                for size in self.sizes
                for method in self.methods.labels
                for seed in range(self.seeds)
            ]
        ]

    def _options(self, size: int, seed: int) -> dict[str, Any]:
        options = self.options_by_size[size]
        return {**options, **({"data.subset.seed": seed} if "data.subset.size" in options else {})}

    def findings(self, runs: Sequence[StudyRun]) -> Findings:
        """Errors by size, measured and published."""
        frame = pd.DataFrame(result_rows(runs))
        dataset, unit = runs[0].result["dataset"], runs[0].result["units"][0]
        errors = {size: self.methods.errors(frame, train_size=size) for size in self.sizes}
        authors = read_published("reduced_data")
        their_sizes = sorted(authors.train_size.unique(), reverse=True)
        tables = [
            Table(
                f"{dataset}, test MAE ({unit}), mean ± standard deviation over seeds",
                ["training samples", *self.methods.labels.values(), "gain"],
                [[f"{size:,}", *self.methods.cells(errors[size])] for size in self.sizes],
            ),
            Table(
                "Published (IMDB-WIKI, MAE in years)",
                ["training samples", *PUBLISHED_METHODS.values()],
                [[f"{n:,}", *(f"{mae:.2f}" for mae in find_pair(authors, train_size=n))] for n in their_sizes],
            ),
        ]
        measured = {
            label: {float(size): list(errors[size][method].values()) for size in self.sizes if errors[size][method]}
            for method, label in self.methods.labels.items()
        }
        panels = [
            Panel(f"{dataset}: measured", "training samples", f"test MAE ({unit})", measured, logarithmic=True),
            Panel(
                "IMDB-WIKI: published", "training samples", "test MAE (years)",
                published_lines(authors, "train_size"), logarithmic=True,
            ),
        ]  # fmt: skip
        claims = list(self._claims(errors, dataset, authors))
        return Findings(tables, claims, frame, partial(save_level_figure, panels))

    def _claims(self, errors: Mapping[int, Errors], dataset: str, authors: pd.DataFrame) -> Iterator[Claim]:
        """RnC helps with the most and with the least data, and its gain grows from one to the other."""
        most, least = self.sizes[0], self.sizes[-1]
        their_most, their_least = int(authors.train_size.max()), int(authors.train_size.min())
        published = [find_pair(authors, train_size=size) for size in (their_most, their_least)]
        for size, their_size, pair in zip((most, least), (their_most, their_least), published, strict=True):
            if gain := self.methods.reduction(errors[size]):
                text = change_text(*pair, f"IMDB-WIKI, {their_size:,} samples")
                yield estimated_claim(f"RnC helps with {size:,} training samples", text, dataset, "%", gain)
        old, new = self.methods.baseline, self.methods.challenger
        common = set.intersection(*(set(errors[size][method]) for method in (old, new) for size in (most, least)))

        def relative_gain(size: int) -> dict[int, float]:
            return {seed: 100 * (1 - errors[size][new][seed] / errors[size][old][seed]) for seed in common}

        growth = paired_gain(relative_gain(most), relative_gain(least), higher_is_better=True)
        if growth is not None and most != least:
            gains = [100 * (1 - after / before) for before, after in published]
            text = f"IMDB-WIKI: the gain goes from {gains[0]:.1f} to {gains[1]:.1f} % of the error"
            claim = f"The gain grows from {most:,} to {least:,} samples (in percent of the error)"
            yield estimated_claim(claim, text, dataset, "%", growth)
