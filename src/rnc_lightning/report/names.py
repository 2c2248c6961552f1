"""What rows are called, and the order they stand in."""

END_TO_END = "end_to_end"
LINEAR_PROBE = "linear_probe"

_HEADS = {"l1": "L1", "mse": "MSE", "huber": "Huber", "dex": "DEX", "dldl_v2": "DLDL-v2", "or": "OR", "corn": "CORN"}
_METHODS = {"rnc": "RnC", "simclr": "SimCLR", "supcon": "SupCon", "dino": "DINO"}
_SCHEMES = {END_TO_END: "", LINEAR_PROBE: "", "fine_tune": "fine-tuned", "regularization": "as regularizer"}
_METRICS = {"mae": "MAE", "angular": "angular error", "r2": "R²"}


def row_name(method: str, head: str, scheme: str) -> str:
    """A row's name in the files: the head alone where there was no stage one, else the method and the head.

    >>> row_name("rnc", "mse", "linear_probe"), row_name("rnc", "mse", "end_to_end")
    ('rnc_mse', 'mse')
    """
    return head if scheme == END_TO_END else f"{method}_{head}"


def row_label(method: str, head: str, scheme: str) -> str:
    """A row's name for people.

    >>> row_label("rnc", "l1", "linear_probe"), row_label("rnc", "dldl_v2", "fine_tune")
    ('RnC(L1)', 'RnC(DLDL-v2), fine-tuned')
    """
    shown = _HEADS.get(head, head)
    if scheme != END_TO_END:
        shown = f"{_METHODS.get(method, method)}({shown})"
    words = _SCHEMES.get(scheme, scheme)
    return f"{shown}, {words}" if words else shown


def metric_label(metric: str, unit: str) -> str:
    """A metric's name with its unit.

    >>> metric_label("mae", "years"), metric_label("r2", "")
    ('MAE (years)', 'R²')
    """
    name = _METRICS.get(metric, metric)
    return f"{name} ({unit})" if unit else name


def row_order(method: str, head: str, scheme: str) -> tuple[int, str, int, str, int, str]:
    """Sorts rows as in the paper: by head, the head alone before RnC on it before other methods."""
    heads, schemes = list(_HEADS), list(_SCHEMES)
    return (
        heads.index(head) if head in heads else len(heads),
        head,
        0 if scheme == END_TO_END else 1 if method == "rnc" else 2,
        "" if scheme == END_TO_END else method,
        schemes.index(scheme) if scheme in schemes else len(schemes),
        scheme,
    )


def is_made(dataset: str) -> str | None:
    """What is made about a data set, or None where it is real.

    >>> is_made("agedb") is None
    True
    """
    if dataset == "digits":
        return "digits is made data: real images of digits, whose target is the angle that they were turned by."
    if dataset.endswith("_imitated"):
        return f"{dataset} is made data: it imitates the files of the real data set, and its numbers say nothing of it."
    return None
