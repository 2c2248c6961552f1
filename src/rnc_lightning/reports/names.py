"""Names and order of the rows of a table."""

from collections.abc import Sequence

END_TO_END = "end_to_end"
LINEAR_PROBE = "linear_probe"
FINE_TUNE = "fine_tune"

_HEADS = {
    "l1": "L1", "mse": "MSE", "huber": "Huber", "dex": "DEX", "dldl_v2": "DLDL-v2", "or": "OR", "corn": "CORN",
    "l2cs_net": "L2CS-Net", "lde": "LDE", "balanced_mse": "Balanced MSE",
}  # fmt: skip

_METHODS = {"rnc": "RnC", "simclr": "SimCLR", "supcon": "SupCon", "dino": "DINO", "supremix": "SupReMix"}

_EXTRAS = {
    "ranksim": "RankSim", "ordinal_entropy": "Ordinal Entropy", "lds": "LDS", "fds": "FDS", "conr": "ConR",
    "rnc": "RnC as regularizer",
}  # fmt: skip

_SCHEMES = {END_TO_END: "", LINEAR_PROBE: "", FINE_TUNE: "fine-tuned", "regularization": "as regularizer"}
_METRICS = {"mae": "MAE", "angular": "angular error", "r2": "R²"}


def row_name(method: str, head: str, scheme: str, extras: Sequence[str] = ()) -> str:
    """Return a row's name in files: the head alone without a stage one, else the method and the head.

    What was added to the regressor replaces the head L1, as in the published tables.

    >>> row_name("rnc", "mse", "linear_probe"), row_name("rnc", "mse", "end_to_end")
    ('rnc_mse', 'mse')
    >>> row_name("lds_fds", "l1", "end_to_end", ["lds", "fds"]), row_name("l1", "mse", "end_to_end", ["ranksim"])
    ('lds_fds', 'ranksim_mse')
    >>> row_name("rnc", "l1", "fine_tune", ["ranksim", "lds"])
    'rnc_l1_with_ranksim_lds'
    """
    added = "_".join(extras)
    if scheme != END_TO_END:
        return f"{method}_{head}_with_{added}" if added else f"{method}_{head}"
    if not added:
        return head
    return added if head == "l1" else f"{added}_{head}"


def row_label(method: str, head: str, scheme: str, extras: Sequence[str] = ()) -> str:
    """Return a row's name as it is displayed.

    >>> row_label("rnc", "l1", "linear_probe"), row_label("rnc", "dldl_v2", "fine_tune")
    ('RnC(L1)', 'RnC(DLDL-v2), fine-tuned')
    >>> row_label("lds_fds", "l1", "end_to_end", ["lds", "fds"]), row_label("l1", "mse", "end_to_end", ["ranksim"])
    ('LDS + FDS', 'RankSim (MSE)')
    >>> row_label("rnc", "l1", "fine_tune", ["ranksim", "lds"])
    'RnC(L1), fine-tuned, + RankSim + LDS'
    """
    head_label = _HEADS.get(head, head)
    added = " + ".join(_EXTRAS.get(name, name) for name in extras)
    if scheme == END_TO_END:
        return head_label if not added else added if head == "l1" else f"{added} ({head_label})"
    label = f"{_METHODS.get(method, method)}({head_label})"
    parts = (label, _SCHEMES.get(scheme, scheme), f"+ {added}" if added else "")
    return ", ".join(part for part in parts if part)


def metric_label(metric: str, unit: str) -> str:
    """Return a metric's name with its unit; `metric/name` is that of one dimension of the target.

    >>> metric_label("mae", "years"), metric_label("r2", ""), metric_label("mae/weight", "kg")
    ('MAE (years)', 'R²', 'MAE of weight (kg)')
    """
    kind, _, dimension = metric.partition("/")
    name = _METRICS.get(kind, kind) + (f" of {dimension}" if dimension else "")
    return f"{name} ({unit})" if unit else name


def is_r2(metric: str) -> bool:
    """Whether larger values of a metric are better: R2, of the target or of one of its dimensions."""
    return metric.partition("/")[0] == "r2"


def row_order(method: str, head: str, scheme: str) -> tuple[int, str, int, str, int, str]:
    """Sort key of rows, as in the paper: by head; the head alone, then RnC, then other methods."""
    return (
        *rank_in(list(_HEADS), head),
        0 if scheme == END_TO_END else 1 if method == "rnc" else 2,
        "" if scheme == END_TO_END else method,
        *rank_in(list(_SCHEMES), scheme),
    )


def rank_in(known: Sequence[str], name: str) -> tuple[int, str]:
    """Sort key of a name: its position in a list; names that are not listed come last, in alphabetical order.

    >>> sorted(["zeta", "or", "alpha", "l1"], key=lambda name: rank_in(["l1", "or"], name))
    ['l1', 'or', 'alpha', 'zeta']
    """
    return (known.index(name) if name in known else len(known), name)


def synthetic_remark(dataset: str) -> str | None:
    """Say in a sentence what is synthetic in a data set; None for real data.

    >>> synthetic_remark("agedb") is None
    True
    """
    if dataset == "digits":
        return "digits has a synthetic target: real images of digits, and the angle by which they were rotated."
    if dataset.endswith("_synthetic"):
        return (
            f"{dataset} is synthetic data in the layout of the real files; its numbers say nothing about the real data."
        )
    return None
