"""A claim of the paper: what the authors report, what was measured here, and whether it holds."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rnc_lightning.files import write_text
from rnc_lightning.report.statistics import Gain, paired_gain

HOLDS, FAILS, OPEN = "holds", "does not hold", "open"


@dataclass(frozen=True)
class Claim:
    """One row of the page of claims.

    Attributes:
        claim: A sentence.
        published: What the authors report, with its data set; empty where they give no number.
        dataset: What was measured on; made data say so.
        unit: Of the measured effect, such as `%` or a metric's name.
        mean: The effect, positive where the claim is right.
        low: Lower end of its 95 percent interval; None for fewer than two seeds.
        high: Its upper end.
        pairs: Number of seeds.
    """

    claim: str
    published: str
    dataset: str
    unit: str
    mean: float
    low: float | None
    high: float | None
    pairs: int

    @property
    def verdict(self) -> str:
        """`holds` or `does not hold` where the interval lies on one side of 0, else `open`.

        >>> Claim("c", "", "digits", "%", 3.0, 1.0, 5.0, 5).verdict
        'holds'
        >>> Claim("c", "", "digits", "%", 3.0, -1.0, 7.0, 5).verdict
        'open'
        """
        if self.low is None or self.high is None:
            return OPEN
        return HOLDS if self.low > 0 else FAILS if self.high < 0 else OPEN

    @property
    def measured(self) -> str:
        """The effect with its interval.

        >>> Claim("c", "", "digits", "%", 3.04, 1.0, 5.0, 5).measured
        '+3.0 % [+1.0, +5.0], 5 seeds'
        """
        digits = 1 if self.unit == "%" else 3
        shown = [f"{value:+.{digits}f}" for value in (self.mean, self.low, self.high) if value is not None]
        interval = f" [{shown[1]}, {shown[2]}]" if len(shown) == 3 else ""
        seeds = f"{self.pairs} seed{'' if self.pairs == 1 else 's'}"
        return f"{shown[0]}{' ' + self.unit if self.unit else ''}{interval}, {seeds}"


def claim_from(claim: str, published: str, dataset: str, unit: str, gain: Gain) -> Claim:
    """A claim with a measured effect."""
    return Claim(claim, published, dataset, unit, gain.mean, gain.low, gain.high, gain.pairs)


def reduction(before: Mapping[int, float], after: Mapping[int, float]) -> Gain | None:
    """By how many percent an error is lower, paired by seed; None where no seed has both.

    >>> reduction({0: 10.0, 1: 10.0}, {0: 9.0, 1: 8.0}).mean
    15.0
    """
    common = set(before) & set(after)
    return paired_gain(
        dict.fromkeys(common, 0.0),
        {seed: -100 * (before[seed] - after[seed]) / before[seed] for seed in common},
        higher_is_better=False,
    )


def write_claims(path: Path, claims: Sequence[Claim]) -> None:
    """Write `claims.csv`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Claim)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(claim) for claim in claims)
    write_text(path, text.getvalue())


def read_claims(path: Path) -> list[Claim]:
    """Read what `write_claims` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        return [_claim(row) for row in csv.DictReader(file)]


def claims_table(claims: Iterable[Claim]) -> list[tuple[str, str, str, str]]:
    """Claim, published, measured, verdict: the cells of a table."""
    return [(claim.claim, claim.published, f"{claim.dataset}: {claim.measured}", claim.verdict) for claim in claims]


def _claim(row: Mapping[str, str]) -> Claim:
    numbers = {key: float(row[key]) if row[key] else None for key in ("mean", "low", "high")}
    texts = {key: row[key] for key in ("claim", "published", "dataset", "unit")}
    assert numbers["mean"] is not None
    return Claim(**texts, mean=numbers["mean"], low=numbers["low"], high=numbers["high"], pairs=int(row["pairs"]))
