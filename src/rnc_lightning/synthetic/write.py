"""Write a synthetic data set into a folder that holds no real data."""

import inspect
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from rnc_lightning.synthetic.agedb import write_agedb
from rnc_lightning.synthetic.imdb_wiki import write_imdb_wiki
from rnc_lightning.synthetic.mpiifacegaze import write_mpiifacegaze
from rnc_lightning.synthetic.skyfinder import write_skyfinder
from rnc_lightning.synthetic.tuab import write_tuab
from rnc_lightning.system.errors import UserError, suggest
from rnc_lightning.system.files import write_text
from rnc_lightning.system.synthetic_marker import MARKER, synthetic_data_sets, write_marker

WRITERS: dict[str, Callable[..., None]] = {
    "agedb": write_agedb,
    "imdb_wiki": write_imdb_wiki,
    "tuab": write_tuab,
    "mpiifacegaze": write_mpiifacegaze,
    "skyfinder": write_skyfinder,
}

_OUTPUTS = {  # top-level files and folders of each; tables last, so that an incomplete data set has none
    "agedb": ("AgeDB", "agedb.csv"),
    "imdb_wiki": ("imdb_crop", "wiki_crop", "imdb_wiki.csv"),
    "tuab": ("tuh_eeg_abnormal",),
    "mpiifacegaze": ("MPIIFaceGaze",),
    "skyfinder": ("skyfinder",),
}


def write_synthetic(
    name: str,
    out: Path,
    samples: int | None = None,
    size: int | None = None,
    seed: int = 0,
    *,
    seconds: float | None = None,
    layout: str | None = None,
    traps: bool = True,
    overwrite: bool = False,
    quiet: bool = False,
) -> None:
    """Write a synthetic data set in its official layout, and a marker file that says that it is synthetic.

    If writing is interrupted, nothing of the data set is left.

    Args:
        name: `agedb`, `imdb_wiki`, `tuab`, `mpiifacegaze` or `skyfinder`.
        out: Folder to write into, to be used as `paths.data_dir` or RNC_DATA: new, empty, or with synthetic data only.
        samples: Number of labelled samples; None: the default of the data set.
        size: Side of the pictures in pixels; None: the default of the data set.
        seed: The same seed gives the same bytes.
        seconds: Length of a recording in seconds (`tuab`).
        layout: `v3` or `v2` (`tuab`); `gazehub`, `raw` or `hdf5` (`mpiifacegaze`); `images` or `zip` (`skyfinder`).
        traps: Whether to imitate the irregularities of the official data too.
        overwrite: Whether to replace an earlier synthetic version of the data set.
        quiet: Whether to hide the progress bar.

    Raises:
        UserError: For an unknown name, an argument that the data set does not take or that is out of range, a folder
            with other files, or a data set that already exists.
    """
    arguments = _writer_arguments(
        name, samples=samples, size=size, seconds=seconds, layout=layout, seed=seed, traps=traps
    )
    _check_folder(out, name, overwrite)
    unfinished = out / f".{name}.unfinished"
    with (
        _writing(out, name, arguments, unfinished),
        Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress,
    ):
        bar = progress.add_task(f"synthetic {name}", total=arguments["samples"])  # type: ignore[arg-type]
        WRITERS[name](unfinished, **arguments, on_sample=lambda: progress.advance(bar))
    _replace_outputs(unfinished, out, name)


def _writer_arguments(name: str, **options: object) -> dict[str, object]:
    """All arguments of a writer: the options that are not None, and its defaults for the others."""
    if name not in WRITERS:
        raise UserError(f"{name}: unknown data set; {suggest(name, WRITERS)}")
    parameters = inspect.signature(WRITERS[name]).parameters
    arguments = {key: p.default for key, p in parameters.items() if key not in ("out", "on_sample")}
    for key, value in options.items():
        if value is not None:
            if key not in arguments:
                raise UserError(f"{key}: unknown option of {name}; it has {', '.join(arguments)}")
            arguments[key] = value
    return arguments


def _check_folder(out: Path, name: str, overwrite: bool) -> None:
    """Refuse a folder where synthetic data could mix with real data, or replace something without `overwrite`."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / MARKER).is_file():
        raise UserError(
            f"{out} has files but no {MARKER}: synthetic data need their own folder; choose a new or empty one"
        )
    existing = [output for output in _OUTPUTS[name] if (out / output).exists()]
    if existing and name not in synthetic_data_sets(out):
        raise UserError(f"{out / existing[0]} exists, but {MARKER} does not list {name}: move it away first")
    if existing and not overwrite:
        raise UserError(
            f"{out} already has a synthetic {name}; set overwrite=true to replace it, or choose another folder"
        )


@contextmanager
def _writing(out: Path, name: str, arguments: dict[str, object], unfinished: Path) -> Iterator[None]:
    """Write the marker first, then create the folder to fill; on failure restore what was there before."""
    marker, was_there = out / MARKER, out.exists()
    before = marker.read_text(encoding="utf-8") if marker.is_file() else None
    write_marker(out, name, arguments)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was killed
        unfinished.mkdir()
        yield
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        if before is not None:
            write_text(marker, before)
        else:
            marker.unlink()
            if not was_there:
                out.rmdir()
        raise


def _replace_outputs(source: Path, out: Path, name: str) -> None:
    """Move a finished data set into place, after deleting all of an older one, so that the two never mix."""
    for output in reversed(_OUTPUTS[name]):
        old = out / output
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
    for output in _OUTPUTS[name]:
        (source / output).replace(out / output)
    source.rmdir()
