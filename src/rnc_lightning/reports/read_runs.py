"""Reads `result.json` files: each becomes a run, or a problem with its reason."""

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
_ADDING = {"weighting", "calibration", "regularizer", "regularizers"}  # overrides that `with` tells where they choose
_NAMED_ELSEWHERE = {"seed", "head", "scheme", "method", "data"}  # overrides that the row's name tells already


@dataclass(frozen=True)
class Problem:
    """A `result.json` that could not be used.

    Attributes:
        path: Of the file, relative to the folder that was read.
        reason: What is wrong with it.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Run:
    """What one `result.json` holds. What only finished runs write is else None or empty."""

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
    test: Mapping[str, float | None] = field(default_factory=dict)
    constant: Mapping[str, float | None] = field(default_factory=dict)
    encoders: Mapping[str, bool] = field(default_factory=dict)
    machine: str = ""

    @property
    def variant(self) -> tuple[str, ...]:
        """The overrides that the row's name does not tell."""
        return tuple(word for word in self.overrides if not self._named(word))

    def _named(self, word: str) -> bool:
        key, _, value = word.partition("=")
        chosen = [name.strip() for name in value.strip("[]").split(",")]
        return key in _NAMED_ELSEWHERE or (key in _ADDING and all(name in self.extras for name in chosen))


def read_runs(root: Path) -> tuple[list[Run], list[Problem]]:
    """Every run below a folder, in the order of their paths, and the files that hold none.

    Args:
        root: The folder; subfolders named encoders, stages or report are left out.
    """
    runs: list[Run] = []
    problems: list[Problem] = []
    for path in _result_files(root):
        name = _writable(path.relative_to(root).as_posix())
        try:
            runs.append(_read(path, name))
        except (ValueError, RecursionError, OSError) as error:
            problems.append(Problem(name, _writable(" ".join(str(error).split())) or type(error).__name__))
    return runs, problems


def _result_files(root: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if name not in PARTS)
        if RESULT in files:
            yield Path(folder) / RESULT


def _read(path: Path, name: str) -> Run:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text ({error.reason})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error})") from None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    if missing := [key for key in _IDENTITY if key not in found]:
        raise ValueError(f"lacks {', '.join(missing)}")
    seed, status = found["seed"], found["status"]
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed must be a whole number, got {seed!r}")
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {status!r}")
    if status == "finished" and not _mapping(found, "test"):
        raise ValueError("finished, but without test metrics")
    return Run(
        path=name,
        directory=path.parent,
        modified=path.stat().st_mtime,
        experiment=_text(found, "experiment"),
        overrides=_overrides(found),
        dataset=_text(found, "dataset"),
        method=_text(found, "method"),
        scheme=_text(found, "scheme"),
        head=_text(found, "head"),
        seed=seed,
        status=status,
        setting=_text(found, "setting"),
        extras=_extras(found),
        reason=_text(found, "reason", ""),
        code=_text(found, "code", "") or None,
        git_revision=_text(found, "git_revision", "") or None,
        fingerprint=_text(found, "data_fingerprint", "") or None,
        units=_units(found),
        test=_numbers(found, "test"),
        constant=_numbers(found, "constant"),
        encoders=_encoders(found),
        machine=_machine(_mapping(found, "machine")),
    )


def _overrides(found: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_writable(f"{key}={value}") for key, value in _mapping(found, "overrides").items())


def _text(found: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = found.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise ValueError(f"{key} must be text, got {value!r}")
    return _writable(value)


def _extras(found: Mapping[str, Any]) -> tuple[str, ...]:
    """What was added to the regressor, by names that a file's name may hold."""
    names = found["with"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"with must be a list of text, got {names!r}")
    if odd := [name for name in names if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name)]:
        raise ValueError(f"with must hold names of letters, digits and _.-, got {odd[0]!r}")
    return tuple(names)


def _writable(text: str) -> str:
    """Text without lone surrogates, which no file could hold, and without control characters but for white space."""
    plain = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", "?", plain)


def _mapping(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{key} must be an object, got {value!r}")
    return value


def _numbers(found: Mapping[str, Any], key: str) -> dict[str, float | None]:
    return {name: _number(f"{key}.{name}", value) for name, value in _mapping(found, key).items()}


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large a number") from None
    return number if math.isfinite(number) else None


def _units(found: Mapping[str, Any]) -> tuple[str, ...]:
    units = found.get("units") or []
    if not isinstance(units, list) or not all(isinstance(unit, str) for unit in units):
        raise ValueError(f"units must be a list of text, got {units!r}")
    return tuple(map(_writable, units))


def _encoders(found: Mapping[str, Any]) -> dict[str, bool]:
    """The hash of each encoder that a stage trained or took over, and whether it took it over."""
    stages = _mapping(found, "stages")
    entries = [stage for stage in stages.values() if isinstance(stage, dict) and isinstance(stage.get("encoder"), str)]
    return {stage["encoder"]: stage.get("reused") is True for stage in entries}


def _machine(machine: Mapping[str, Any]) -> str:
    if not machine:
        return ""
    parts = [str(machine[key]) for key in ("processor", "gpu") if machine.get(key)]
    if machine.get("threads"):
        parts.append(f"{machine['threads']} thread{'' if machine['threads'] == 1 else 's'}")
    return _writable(", ".join(parts))
