"""Opens every file once before training starts, and not again while it is unchanged."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from rich.progress import track

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import Split, subset_of
from rnc_lightning.system.files import write_text


@runtime_checkable
class CheckedFiles(Protocol):
    """Inputs stored in files, one per sample, that can check a single file."""

    paths: Sequence[Path]

    def __len__(self) -> int:
        """Number of inputs."""

    def __getitem__(self, index: int, /) -> object:
        """One input."""

    def problem(self, index: int) -> str | None:
        """What is wrong with a file; None if nothing is."""

    def take(self, indices: Sequence[int]) -> "CheckedFiles":
        """Some of the inputs, in the order given."""


def error_message(read: Callable[[], object]) -> str | None:
    """Why reading fails with a ValueError; None if it succeeds."""
    try:
        read()
    except ValueError as error:
        return str(error)
    return None


def drop_unreadable(split: Split, problems: Problems, cache_dir: Path | None, what: str) -> Split:
    """The split without the inputs that cannot be read, which become problems.

    Args:
        split: Any split; inputs that are not files are not checked.
        problems: Receives each file that cannot be read, with the reason.
        cache_dir: Folder for the record of good files; None keeps no record.
        what: What the files are, for the progress bar.
    """
    if not isinstance(split.inputs, CheckedFiles):
        return split
    bad = find_unreadable(split.inputs, None if cache_dir is None else _memory(split.inputs, cache_dir), what)
    for i, reason in bad.items():
        path, rows = split.inputs.paths[i], getattr(split.inputs, "rows", None)
        where, detail = (str(path), reason) if rows is None else (rows[i], f"{path}: {reason}")
        problems.add("unreadable file", where, detail)
    if not bad:
        return split
    return subset_of(split, torch.tensor([i for i in range(len(split)) if i not in bad], dtype=torch.int64))


def _memory(inputs: CheckedFiles, cache_dir: Path) -> Path:
    """The record file for these inputs: one for each set of folders and way of checking."""
    folders = "\0".join(sorted({str(path.parent) for path in inputs.paths}))
    checked_as = type(inputs).__name__.encode() + getattr(inputs, "checked_as", b"")
    digest = hashlib.sha256(folders.encode(errors="surrogateescape") + checked_as).hexdigest()
    return cache_dir / "checked" / f"{digest[:16]}.json"


def find_unreadable(inputs: CheckedFiles, memory: Path | None = None, what: str = "files") -> dict[int, str]:
    """Which inputs cannot be read, and why.

    Args:
        inputs: The files.
        memory: A JSON file that records good files by size and modification time; None keeps no record.
        what: What the files are, for the progress bar.
    """
    known = _read_memory(memory)
    stamps = {path: _stamp(path) for path in dict.fromkeys(inputs.paths)}  # a file may hold many samples
    to_check = [i for i, path in enumerate(inputs.paths) if (s := stamps[path]) is None or known.get(str(path)) != s]
    checked = zip(to_check, _check(inputs, to_check, what), strict=True)
    bad = {i: problem for i, problem in checked if problem is not None}
    if memory is not None and to_check:
        bad_paths = {inputs.paths[i] for i in bad}
        good = {str(path): stamp for path, stamp in stamps.items() if path not in bad_paths}
        known = {path: stamp for path, stamp in known.items() if Path(path) not in bad_paths}
        with suppress(OSError):  # without a record the files are only checked again next time
            write_text(memory, json.dumps({**known, **good}))
    return bad


def _check(inputs: CheckedFiles, indices: Sequence[int], what: str) -> Iterator[str | None]:
    with ThreadPoolExecutor(max(1, min(16, len(os.sched_getaffinity(0))))) as pool:
        results = pool.map(inputs.problem, indices)
        quiet = len(indices) < 1000
        yield from track(results, f"checking {what}", total=len(indices), transient=True, disable=quiet)


def _stamp(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _read_memory(memory: Path | None) -> dict[str, list[int]]:
    if memory is None or not memory.is_file():
        return {}
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
