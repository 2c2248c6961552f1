"""Opens every file once before training starts, and not again while it is unchanged."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from rnc_lightning.datasets.reading.content import FileContents, in_parallel
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import Split, subset_of
from rnc_lightning.system.errors import UserError


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


def drop_unreadable(split: Split, problems: Problems, contents: FileContents, what: str) -> Split:
    """The split without the inputs that cannot be read, which become problems.

    Args:
        split: Any split; inputs that are not files are not checked.
        problems: Receives each file that cannot be read, with the reason.
        contents: Receives the hash of each file, and remembers which are good.
        what: What the files are, for the progress bar.
    """
    if not isinstance(split.inputs, CheckedFiles):
        return split
    bad = find_unreadable(split.inputs, contents, what)
    for i, reason in bad.items():
        path, rows = split.inputs.paths[i], getattr(split.inputs, "rows", None)
        where, detail = (str(path), reason) if rows is None else (rows[i], f"{path}: {reason}")
        problems.add("unreadable file", where, detail)
    if not bad:
        return split
    return subset_of(split, torch.tensor([i for i in range(len(split)) if i not in bad], dtype=torch.int64))


def find_unreadable(inputs: CheckedFiles, contents: FileContents | None = None, what: str = "files") -> dict[int, str]:
    """Which inputs cannot be read, and why.

    Args:
        inputs: The files. What a check depends on in addition to a file is in the attribute `checked_as`, if any.
        contents: Receives the hash of each file, read right before it is checked, and remembers good files; None
            neither hashes nor remembers.
        what: What the files are, for the progress bar.
    """
    indices = range(len(inputs.paths))
    if contents is None:
        return _bad(indices, in_parallel(inputs.problem, indices, f"checking {what}"))
    known, check = contents, _check_name(inputs)
    shared = [path for path, count in Counter(inputs.paths).items() if count > 1]  # such a file holds many samples
    known.digests([path for path in shared if path.is_file()], what)
    passed = {path: known.passed(path, check) for path in dict.fromkeys(inputs.paths)}
    to_check = [i for i, path in enumerate(inputs.paths) if not passed[path]]

    def problem(index: int) -> str | None:
        try:
            known.digest(inputs.paths[index])  # the check then reads the file from memory
        except UserError:  # the check says why in the words of its format
            return inputs.problem(index) or "it cannot be read"
        return inputs.problem(index)

    bad = _bad(to_check, in_parallel(problem, to_check, f"checking {what}"))
    bad_paths = {inputs.paths[i] for i in bad}
    for path in dict.fromkeys(inputs.paths[i] for i in to_check):
        known.set_passed(path, check, path not in bad_paths)
    known.save()
    return bad


def _bad(indices: Sequence[int], problems: object) -> dict[int, str]:
    return {i: problem for i, problem in zip(indices, problems, strict=True) if problem is not None}  # type: ignore[call-overload]


def _check_name(inputs: CheckedFiles) -> str:
    """A name for the way of checking: the type of the inputs and what else it depends on."""
    checked_as = getattr(inputs, "checked_as", b"")
    return f"{type(inputs).__name__}{hashlib.sha256(checked_as).hexdigest()[:16] if checked_as else ''}"
