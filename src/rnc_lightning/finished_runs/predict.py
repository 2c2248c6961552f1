"""Predict from your own files with a finished run."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnc_lightning.finished_runs.finished_run import open_run
from rnc_lightning.numerics.digits import significant_digits
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text
from rnc_lightning.system.spreadsheet import without_formulas
from rnc_lightning.targets import TargetDimension, TargetSpec

if TYPE_CHECKING:
    import pandas as pd

    from rnc_lightning.datasets.reading.problems import Problems

log = logging.getLogger(__name__)

_FEWEST_DIGITS = 7
_MOST_SHOWN = 50  # unusable inputs on the screen; the file lists all of them


def predict_run(
    run: Path | str,
    inputs: Path | str,
    out: Path | str,
    *,
    column: str | None = None,
    root: Path | str | None = None,
    on_bad: str = "error",
    batch_size: int | None = None,
    num_workers: int | None = None,
    overwrite: bool = False,
    escape_formulas: bool = False,
    trust: Sequence[str] = (),
    progress: bool = False,
) -> "pd.DataFrame":
    """Predict, write a table and return it: the columns of the inputs, then one for each target.

    Args:
        run: Directory of a finished run.
        inputs: A folder, a file, or a table.
        out: The CSV file to write; `<out>.bad.csv` lists the inputs that cannot be used.
        column: Column of paths in the table; None: that of the run's own table, else `path`.
        root: Folder that the paths are relative to; None: the folder of the table.
        on_bad: `error` predicts nothing if some inputs cannot be used, `skip` skips them.
        batch_size: Number of inputs in a batch; None: as in the run's test.
        num_workers: Number of processes that prepare batches; None: as in the run.
        overwrite: Whether an existing table may be replaced.
        escape_formulas: Whether texts that a spreadsheet program would run as formulas are written with a leading `'`.
        trust: What the configuration of the run may name besides what every run may; see `open_run`.
        progress: Whether to show a progress bar.

    Raises:
        UserError: For anything the user can fix; then only the list of unusable inputs is written.
    """
    out = Path(out)
    _check_arguments(out, on_bad, batch_size, num_workers, overwrite)
    finished = open_run(Path(run), trust)

    from rich.progress import Progress

    from rnc_lightning.datasets.reading.problems import Problems
    from rnc_lightning.datasets.unlabelled import UserInputs
    from rnc_lightning.finished_runs.predictor import check_finite, predict_unlabelled
    from rnc_lightning.runs.fitting.trainers import quiet_lightning

    quiet_lightning()
    problems = Problems()
    where = UserInputs(Path(inputs), column, None if root is None else Path(root))
    unlabelled = finished.unread_data().unlabelled(where, problems)
    count = len(unlabelled.columns)
    _report_bad(problems, out, refuse=on_bad == "error" or not count)
    if not count:
        raise UserError(f"inputs={inputs}: there is nothing to predict from")
    with Progress(disable=not progress, transient=True) as bar:
        values = predict_unlabelled(finished, unlabelled, bar, batch_size, num_workers)
    table = unlabelled.columns.reset_index(drop=True)
    check_finite(values, [str(name) for name in table[table.columns[0]]], str(finished.checkpoint))
    headings = prediction_headings(finished.target, list(table.columns))
    for heading, column_values in zip(headings, values.unbind(dim=1), strict=True):
        table[heading] = column_values.double().numpy()
    written = with_rounded_predictions(table, headings, finished.target)
    write_text(out, (without_formulas(written) if escape_formulas else written).to_csv(index=False))
    return table


def with_rounded_predictions(table: "pd.DataFrame", headings: Sequence[str], target: TargetSpec) -> "pd.DataFrame":
    """A table of predictions as it is written: the user's columns unchanged, the predictions as rounded text.

    Args:
        table: The user's columns, followed by the predictions.
        headings: Names of the predictions, one for each dimension of `target`.
        target: Its ranges tell how many digits the predictions need.
    """
    shown = {
        heading: [f"{value:.{digits}g}" for value in table[heading]]
        for heading, digits in zip(headings, map(_digits, target.dimensions.values()), strict=True)
    }
    return table.assign(**shown)


def _digits(dimension: TargetDimension) -> int:
    if dimension.low is None or dimension.high is None:
        return _FEWEST_DIGITS
    return significant_digits(dimension.low, dimension.high, _FEWEST_DIGITS)


def prediction_headings(target: TargetSpec, taken: Sequence[str]) -> list[str]:
    """Column names of predictions: name and unit of the target, with `_predicted` added where that is not unique.

    >>> spec = TargetSpec({"age": {"unit": "years"}, "level": {}})
    >>> prediction_headings(spec, ["file"]), prediction_headings(spec, ["age_years"])
    (['age_years', 'level_predicted'], ['age_years_predicted', 'level_predicted'])
    """
    headings = []
    for name, unit in zip(target.names, target.units, strict=True):
        heading = f"{name}_{re.sub(r'[^0-9A-Za-z]+', '_', unit).strip('_')}" if unit else f"{name}_predicted"
        while heading in taken:
            heading = f"{heading}_predicted"
        headings.append(heading)
    return headings


def _check_arguments(out: Path, on_bad: str, batch_size: int | None, num_workers: int | None, overwrite: bool) -> None:
    if on_bad not in ("error", "skip"):
        raise UserError(f"on_bad={on_bad}: must be error or skip")
    for name, value, least in (("batch_size", batch_size, 1), ("num_workers", num_workers, 0)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise UserError(f"{name}={value}: must be a whole number from {least} up, or null")
    if out.is_dir():
        raise UserError(f"out={out} is a folder; name the table to write, such as out={out / 'predictions.csv'}")
    if out.exists() and overwrite is not True:
        raise UserError(f"out={out} already exists; overwrite=true replaces it")


def _report_bad(problems: "Problems", out: Path, refuse: bool) -> None:
    """Write a file that lists the inputs that cannot be used, and log their number.

    Raises:
        UserError: If there are any and `refuse` is true, with the first of them.
    """
    import pandas as pd

    file = out.with_name(f"{out.name}.bad.csv")
    if not len(problems):
        file.unlink(missing_ok=True)  # from an earlier call
        return
    rows = [{"file": problem.where, "reason": problem.kind, "detail": problem.detail} for problem in problems]
    text = pd.DataFrame(rows).to_csv(index=False)
    write_text(file, text.encode("utf-8", "backslashreplace").decode())  # file names need not be UTF-8
    summary = f"{problems.samples} cannot be used, listed in {file}"
    if not refuse:
        log.warning("skipped: %s", summary)
        return
    shown = problems.lines[:_MOST_SHOWN]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    raise UserError(f"{summary}. Fix them, or predict from the others with on_bad=skip:", shown)
