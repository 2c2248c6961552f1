"""A claim of the paper: what the authors report, what was measured here, and whether it holds."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rnc_lightning.reports.statistics import Gain, paired_gain
from rnc_lightning.system.files import write_text

HOLDS, FAILS, OPEN = "holds", "does not hold", "open"


@dataclass(frozen=True)
class Claim:
    """One row of the page of claims.

    Attributes:
        claim: A sentence.
        published: What the authors report, with its data set; empty where they give no number.
        dataset: What was measured on; synthetic data say so.
        measured: The effect with its interval.
        verdict: `holds`, `does not hold` or `open`.
        mean: The effect, positive where the claim is right; None where it is no number.
        low: Lower end of its 95 percent interval; None for fewer than two seeds.
        high: Its upper end.
        unit: Of the three.
    """

    claim: str
    published: str
    dataset: str
    measured: str
    verdict: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""


def claim_from(claim: str, published: str, dataset: str, unit: str, gain: Gain) -> Claim:
    """A claim about an effect, which holds where the interval lies above 0, and not where it lies below.

    >>> found = claim_from("RnC helps", "", "digits", "%", Gain(3.04, 1.0, 5.0, 5))
    >>> found.measured, found.verdict
    ('+3.0 % [+1.0, +5.0], 5 seeds', 'holds')
    """
    digits = 1 if unit in ("%", "points") else 3
    interval = "" if gain.low is None else f" [{gain.low:+.{digits}f}, {gain.high:+.{digits}f}]"
    shown = f"{gain.mean:+.{digits}f}{' ' + unit if unit else ''}{interval}"
    seeds = f"{gain.pairs} seed{'' if gain.pairs == 1 else 's'}"
    return Claim(
        claim,
        published,
        dataset,
        f"{shown}, {seeds}",
        verdict(gain.low, gain.high),
        gain.mean,
        gain.low,
        gain.high,
        unit,
    )


def verdict(low: float | None, high: float | None) -> str:
    """What an interval says of a positive effect.

    >>> verdict(1.0, 5.0), verdict(-5.0, -1.0), verdict(-1.0, 5.0), verdict(None, None)
    ('holds', 'does not hold', 'open', 'open')
    """
    if low is None or high is None:
        return OPEN
    return HOLDS if low > 0 else FAILS if high < 0 else OPEN


def statement(claim: str, published: str, dataset: str, measured: str, holds: bool | None) -> Claim:
    """A claim that is checked and not estimated; None: it could not be."""
    return Claim(claim, published, dataset, measured, OPEN if holds is None else HOLDS if holds else FAILS)


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
    """Write a row a claim, a column a field of `Claim`."""
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
    mean, low, high = (float(row[key]) if row[key] else None for key in ("mean", "low", "high"))
    return Claim(
        claim=row["claim"],
        published=row["published"],
        dataset=row["dataset"],
        measured=row["measured"],
        verdict=row["verdict"],
        mean=mean,
        low=low,
        high=high,
        unit=row["unit"],
    )
