"""Every file is opened once before training starts, and not again while it stays the same."""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from rich.progress import track

from rnc_lightning.files import write_text


@runtime_checkable
class CheckedFiles(Protocol):
    """Inputs that lie in files, one a sample, and can say what is wrong with one of them."""

    paths: Sequence[Path]

    def __len__(self) -> int:
        """Number of inputs."""

    def __getitem__(self, index: int, /) -> object:
        """One input."""

    def problem(self, index: int) -> str | None:
        """What is wrong with a file; None where nothing is."""

    def take(self, indices: Sequence[int]) -> "CheckedFiles":
        """Some of the inputs, in the order given."""


def unreadable(inputs: CheckedFiles, memory: Path | None = None, what: str = "files") -> dict[int, str]:
    """Which inputs cannot be read, and why.

    Args:
        inputs: The files.
        memory: A JSON file that remembers which were found good, by size and time of change; None remembers nothing.
        what: What they are, for the progress bar.
    """
    known = _remembered(memory)
    found_stamps = {path: _stamp(path) for path in dict.fromkeys(inputs.paths)}  # a file may hold many samples
    stamps = [found_stamps[path] for path in inputs.paths]
    open_ = [i for i, path in enumerate(inputs.paths) if stamps[i] is None or known.get(str(path)) != stamps[i]]
    found = zip(open_, _problems(inputs, open_, what), strict=True)
    bad = {i: problem for i, problem in found if problem is not None}
    if memory is not None and open_:
        spoilt = {inputs.paths[i] for i in bad}
        good = {str(path): stamp for path, stamp in found_stamps.items() if path not in spoilt}
        known = {path: stamp for path, stamp in known.items() if Path(path) not in spoilt}
        with suppress(OSError):  # a folder that cannot be written costs time, no more
            write_text(memory, json.dumps({**known, **good}))
    return bad


def _problems(inputs: CheckedFiles, indices: Sequence[int], what: str) -> Iterator[str | None]:
    with ThreadPoolExecutor(max(1, min(16, len(os.sched_getaffinity(0))))) as pool:
        found = pool.map(inputs.problem, indices)
        quiet = len(indices) < 1000
        yield from track(found, f"checking {what}", total=len(indices), transient=True, disable=quiet)


def _stamp(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _remembered(memory: Path | None) -> dict[str, list[int]]:
    if memory is None or not memory.is_file():
        return {}
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
