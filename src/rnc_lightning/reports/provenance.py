"""Where the numbers come from: how many runs, on which data, code and machines, with how many encoders."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rnc_lightning.reports.read_runs import Problem, Run
from rnc_lightning.runs.stored_values import STATUSES


def facts(runs: Sequence[Run], problems: Sequence[Problem]) -> dict[str, str]:
    """Return title -> text, in the order in which they are shown."""
    counts = Counter(run.status for run in runs)
    finished = [run for run in runs if run.status == "finished"]
    datasets = sorted({run.dataset for run in finished})
    data = [
        f"{dataset}: {list_counts(run.fingerprint or 'unknown' for run in finished if run.dataset == dataset)}"
        for dataset in datasets
    ]
    return {
        "runs read": ", ".join(f"{counts[status]} {status}" for status in STATUSES)
        + f"; {len(problems)} file{'' if len(problems) == 1 else 's'} with problems",
        "data fingerprints": "; ".join(data) or "none",
        "git revisions": list_counts(run.git_revision or "unknown" for run in finished),
        "machines": list_counts(run.machine or "unknown" for run in finished),
        "encoders": _encoders(finished),
    }


def _encoders(finished: Sequence[Run]) -> str:
    known = [run for run in finished if run.encoders]
    if not known:
        return "the runs do not record which encoder they used"
    distinct = {encoder for run in known for encoder in run.encoders}
    reused = sum(any(run.encoders.values()) for run in known)
    return f"{len(distinct)} distinct in stage one; {count_runs(reused)} reused one instead of training it again"


def list_counts(values: Iterable[str]) -> str:
    """List distinct values with the number of runs that have them.

    >>> list_counts(["a", "b", "a"]), list_counts([])
    ('a (2 runs), b (1 run)', 'none')
    """
    return ", ".join(f"{value} ({count_runs(count)})" for value, count in sorted(Counter(values).items())) or "none"


def count_runs(count: int) -> str:
    """Return a number of runs as text, such as `1 run` or `2 runs`."""
    return f"{count} run{'' if count == 1 else 's'}"
