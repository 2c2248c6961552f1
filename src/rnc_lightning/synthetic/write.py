"""Writing a synthetic data set where a real one would lie, and never among real ones."""

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

_PLACES = {  # what each writer leaves at the top; tables last, so that nothing looks whole before it is
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
    """Write a synthetic data set in its official layout, with a marker that says so.

    Nothing is left of a data set that was interrupted.

    Args:
        name: `agedb`, `imdb_wiki`, `tuab`, `mpiifacegaze` or `skyfinder`.
        out: Folder to write into (what RNC_DATA will name): new, empty, or with synthetic data only.
        samples: Labelled samples; by default what the data set's writer takes.
        size: Side of the pictures in pixels.
        seed: The same seed gives the same bytes.
        seconds: Length of a recording (`tuab`).
        layout: `v3` or `v2` (`tuab`); `gazehub`, `raw` or `hdf5` (`mpiifacegaze`); `images` or `zip` (`skyfinder`).
        traps: Whether to write the official data's irregularities too.
        overwrite: Whether to put the data set in place of one made before.
        quiet: Whether to do without the progress bar.

    Raises:
        UserError: For an unknown name, an argument that the data set does not take or that is out of range, a folder
            with other files, or a data set that is there already.
    """
    arguments = _arguments(name, samples=samples, size=size, seconds=seconds, layout=layout, seed=seed, traps=traps)
    _check_folder(out, name, overwrite)
    unfinished = out / f".{name}.unfinished"
    with (
        _marked(out, name, arguments, unfinished),
        Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress,
    ):
        bar = progress.add_task(f"synthetic {name}", total=arguments["samples"])  # type: ignore[arg-type]
        WRITERS[name](unfinished, **arguments, on_sample=lambda: progress.advance(bar))
    _move(unfinished, out, name)


def _arguments(name: str, **given: object) -> dict[str, object]:
    """All arguments of a writer: those given and its own for the rest."""
    if name not in WRITERS:
        raise UserError(f"{name}: unknown data set; {suggest(name, WRITERS)}")
    parameters = inspect.signature(WRITERS[name]).parameters
    taken = {key: p.default for key, p in parameters.items() if key not in ("out", "on_sample")}
    for key, value in given.items():
        if value is not None and key not in taken:
            raise UserError(f"{key}: {name} does not take it; it takes {', '.join(taken)}")
    return {key: default if given.get(key) is None else given[key] for key, default in taken.items()}


def _check_folder(out: Path, name: str, overwrite: bool) -> None:
    """Refuse what could mix synthetic data with real ones, or write over something unasked."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / MARKER).is_file():
        raise UserError(
            f"{out} holds files but no {MARKER}: synthetic data go into a folder of their own; name a new one"
        )
    there = [place for place in _PLACES[name] if (out / place).exists()]
    if there and name not in synthetic_data_sets(out):
        raise UserError(f"{out / there[0]} is there, but {MARKER} does not list {name}: move it away first")
    if there and not overwrite:
        raise UserError(f"{out} already holds a synthetic {name}; overwrite it (overwrite=true) or name another folder")


@contextmanager
def _marked(out: Path, name: str, arguments: dict[str, object], unfinished: Path) -> Iterator[None]:
    """Write the marker before anything else and make the folder to fill; on failure leave all as it was."""
    marker, was_there = out / MARKER, out.exists()
    before = marker.read_text(encoding="utf-8") if marker.is_file() else None
    write_marker(out, name, arguments)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
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


def _move(source: Path, out: Path, name: str) -> None:
    """Put a finished data set in place of an older one: away with all of that first, so that the two never mix."""
    for place in reversed(_PLACES[name]):
        old = out / place
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
    for place in _PLACES[name]:
        (source / place).replace(out / place)
    source.rmdir()
