"""Read `result.json` files: each becomes a run, or a problem with its reason."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnc_lightning.runs.directory import PARTS, RESULT
from rnc_lightning.runs.stored_values import check_identity, mapping, numbers, plain_names, text, texts
from rnc_lightning.system.plain_files import read_json

_ADDING = {"weighting", "calibration", "regularizer", "regularizers"}  # overrides that select what `with` lists
_IN_ROW_NAME = {"seed", "head", "scheme", "method", "data"}  # overrides that the row's name shows


@dataclass(frozen=True)
class Problem:
    """A `result.json` that could not be used.

    Attributes:
        path: Path of the file, relative to the folder that was read.
        reason: What is wrong with it.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Run:
    """Contents of one `result.json`. Fields that only finished runs have are None or empty in other runs."""

    path: str
    directory: Path
    modified: float
    experiment: str
    overrides: tuple[str, ...]
    dataset: str
    method: str
    scheme: str
    head: str
    seed: int
    status: str
    setting: str
    extras: tuple[str, ...] = ()  # `with`: what was added to the regressor
    reason: str = ""
    code: str | None = None
    git_revision: str | None = None
    fingerprint: str | None = None
    units: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of the target's dimensions
    test: Mapping[str, float | None] = field(default_factory=dict)
    constant: Mapping[str, float | None] = field(default_factory=dict)
    worse: tuple[str, ...] = ()  # metrics in which it is worse than the constant predictor
    encoders: Mapping[str, bool] = field(default_factory=dict)
    machine: str = ""

    @property
    def variant(self) -> tuple[str, ...]:
        """The overrides that the row's name does not show."""
        return tuple(option for option in self.overrides if not self._is_in_row_name(option))

    def _is_in_row_name(self, option: str) -> bool:
        key, _, value = option.partition("=")
        names = [name.strip() for name in value.strip("[]").split(",")]
        return key in _IN_ROW_NAME or (key in _ADDING and all(name in self.extras for name in names))


def read_runs(root: Path) -> tuple[list[Run], list[Problem]]:
    """Read every run below a folder, in the order of their paths, and list the files that cannot be used.

    Args:
        root: The folder; subfolders that contain parts of runs or reports are skipped.
    """
    runs: list[Run] = []
    problems: list[Problem] = []
    for path in _result_files(root):
        name = _clean(path.relative_to(root).as_posix())
        try:
            runs.append(_read(path, name))
        except (ValueError, RecursionError, OSError) as error:
            problems.append(Problem(name, _clean(" ".join(str(error).split())) or type(error).__name__))
    return runs, problems


def _result_files(root: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if name not in PARTS)
        if RESULT in files:
            yield Path(folder) / RESULT


def _read(path: Path, name: str) -> Run:
    result = read_json(path)
    check_identity(result)
    return Run(
        path=name,
        directory=path.parent,
        modified=path.stat().st_mtime,
        experiment=_text(result, "experiment"),
        overrides=tuple(_clean(f"{key}={value}") for key, value in mapping(result, "overrides").items()),
        dataset=_text(result, "dataset"),
        method=_text(result, "method"),
        scheme=_text(result, "scheme"),
        head=_text(result, "head"),
        seed=result["seed"],
        status=result["status"],
        setting=_text(result, "setting"),
        extras=plain_names(result, "with"),
        reason=_text(result, "reason", ""),
        code=_text(result, "code", "") or None,
        git_revision=_text(result, "git_revision", "") or None,
        fingerprint=_text(result, "data_fingerprint", "") or None,
        units=tuple(map(_clean, texts(result, "units"))) if result.get("units") else (),
        names=tuple(map(_clean, mapping(result, "target"))),
        test=_numbers(result, "test"),
        constant=_numbers(result, "constant"),
        worse=tuple(map(_clean, texts(result, "worse_than_constant"))) if result.get("worse_than_constant") else (),
        encoders=_encoders(result),
        machine=_machine(mapping(result, "machine")),
    )


def _text(result: Mapping[str, Any], key: str, default: str | None = None) -> str:
    return _clean(text(result, key, default))


def _clean(text: str) -> str:
    """Replace lone surrogates, which cannot be written to a file, and control characters other than white space."""
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", "?", text.encode("utf-8", "replace").decode("utf-8"))


def _numbers(result: Mapping[str, Any], key: str) -> dict[str, float | None]:
    return {_clean(name): value for name, value in numbers(result, key).items()}


def _encoders(result: Mapping[str, Any]) -> dict[str, bool]:
    """Hash of each encoder that a stage trained or reused -> whether it was reused."""
    stages = mapping(result, "stages")
    entries = [stage for stage in stages.values() if isinstance(stage, dict) and isinstance(stage.get("encoder"), str)]
    return {stage["encoder"]: stage.get("reused") is True for stage in entries}


def _machine(machine: Mapping[str, Any]) -> str:
    if not machine:
        return ""
    parts = [str(machine[key]) for key in ("processor", "gpu") if machine.get(key)]
    if machine.get("threads"):
        parts.append(f"{machine['threads']} thread{'' if machine['threads'] == 1 else 's'}")
    return _clean(", ".join(parts))
