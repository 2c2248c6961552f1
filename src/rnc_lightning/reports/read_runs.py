"""Read `result.json` files: each becomes a run, or a problem with its reason."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnc_lightning.runs.directory import PARTS, RESULT

STATUSES = ("finished", "failed", "unfinished")
_IDENTITY = ("experiment", "overrides", "dataset", "method", "scheme", "head", "seed", "with", "setting", "status")
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
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text ({error.reason})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error})") from None
    if not isinstance(result, dict):
        raise ValueError("not a JSON object")
    if missing := [key for key in _IDENTITY if key not in result]:
        raise ValueError(f"missing: {', '.join(missing)}")
    seed, status = result["seed"], result["status"]
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed must be a whole number, got {seed!r}")
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {status!r}")
    if status == "finished" and not _mapping(result, "test"):
        raise ValueError("finished, but without test metrics")
    return Run(
        path=name,
        directory=path.parent,
        modified=path.stat().st_mtime,
        experiment=_text(result, "experiment"),
        overrides=tuple(_clean(f"{key}={value}") for key, value in _mapping(result, "overrides").items()),
        dataset=_text(result, "dataset"),
        method=_text(result, "method"),
        scheme=_text(result, "scheme"),
        head=_text(result, "head"),
        seed=seed,
        status=status,
        setting=_text(result, "setting"),
        extras=_extras(result),
        reason=_text(result, "reason", ""),
        code=_text(result, "code", "") or None,
        git_revision=_text(result, "git_revision", "") or None,
        fingerprint=_text(result, "data_fingerprint", "") or None,
        units=_texts(result, "units") if result.get("units") else (),
        names=tuple(map(_clean, _mapping(result, "target"))),
        test=_numbers(result, "test"),
        constant=_numbers(result, "constant"),
        worse=_texts(result, "worse_than_constant") if result.get("worse_than_constant") else (),
        encoders=_encoders(result),
        machine=_machine(_mapping(result, "machine")),
    )


def _text(result: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = result.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise ValueError(f"{key} must be text, got {value!r}")
    return _clean(value)


def _extras(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the names of what was added to the regressor; they become part of file names."""
    names = _texts(result, "with")
    if invalid := [name for name in names if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name)]:
        raise ValueError(f"with must contain names of letters, digits and _.- only, got {invalid[0]!r}")
    return names


def _texts(result: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = result[key]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} must be a list of text, got {values!r}")
    return tuple(map(_clean, values))


def _clean(text: str) -> str:
    """Replace lone surrogates, which cannot be written to a file, and control characters other than white space."""
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", "?", text.encode("utf-8", "replace").decode("utf-8"))


def _mapping(result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = result.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{key} must be an object, got {value!r}")
    return value


def _numbers(result: Mapping[str, Any], key: str) -> dict[str, float | None]:
    return {_clean(name): _number(f"{key}.{name}", value) for name, value in _mapping(result, key).items()}


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large") from None
    return number if math.isfinite(number) else None


def _encoders(result: Mapping[str, Any]) -> dict[str, bool]:
    """Hash of each encoder that a stage trained or reused -> whether it was reused."""
    stages = _mapping(result, "stages")
    entries = [stage for stage in stages.values() if isinstance(stage, dict) and isinstance(stage.get("encoder"), str)]
    return {stage["encoder"]: stage.get("reused") is True for stage in entries}


def _machine(machine: Mapping[str, Any]) -> str:
    if not machine:
        return ""
    parts = [str(machine[key]) for key in ("processor", "gpu") if machine.get(key)]
    if machine.get("threads"):
        parts.append(f"{machine['threads']} thread{'' if machine['threads'] == 1 else 's'}")
    return _clean(", ".join(parts))
