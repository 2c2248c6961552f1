"""What the files of a run must hold to be used, whoever wrote them; every message names the key.

Nothing here imports PyTorch, so that reports can read runs without it.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

STATUSES = ("finished", "failed", "unfinished")
IDENTITY = ("experiment", "overrides", "dataset", "method", "scheme", "head", "seed", "with", "setting", "status")
_TEXTS = ("experiment", "dataset", "method", "scheme", "head", "setting")
_OPTIONAL_TEXTS = ("data_fingerprint", "code", "git_revision", "reason")
_OF_FINISHED = ("target", "preparation", "data_fingerprint", "units", "counts")
_PER_INPUT = ("fill", "centre", "scale", "mean", "std")  # statistics of the inputs
_MAPPINGS = ("encoder", "target", "data", "input", "trainer", "stages")  # of config.yaml, without which there is no run
_FILE_NAME = re.compile(r"[A-Za-z0-9_][\w.\-]*", re.ASCII)


def check_identity(result: Mapping[str, Any]) -> None:
    """Check the part of a `result.json` that every run has, whatever its status.

    Raises:
        ValueError: With the key.
    """
    if missing := [key for key in IDENTITY if key not in result]:
        raise ValueError(f"missing: {', '.join(missing)}")
    whole_number(result, "seed")
    if result["status"] not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {shown(result['status'])}")
    for key in _TEXTS:
        text(result, key)
    for key in _OPTIONAL_TEXTS:
        text(result, key, "")
    mapping(result, "overrides")
    plain_names(result, "with")
    if result["status"] == "finished" and not mapping(result, "test"):
        raise ValueError("finished, but without test metrics")
    for key in ("test", "constant"):
        numbers(result, key)


def check_finished(result: Mapping[str, Any]) -> None:
    """Check what evaluate, predict and export need from the `result.json` of a finished run.

    Raises:
        ValueError: With the key; also for statistics of the inputs or targets that are not finite, and scales of 0.
    """
    check_identity(result)
    if missing := [
        key for key in ("target", "preparation", "data_fingerprint", "units", "counts") if key not in result
    ]:
        raise ValueError(f"missing: {', '.join(missing)}")
    text(result, "data_fingerprint")
    texts(result, "units")
    mapping(result, "counts")
    dimensions = mapping(result, "target")
    if not dimensions:
        raise ValueError("target must have at least one dimension")
    for name in dimensions:
        text(mapping(dimensions, name, "target."), "unit", "")
    mapping(result, "preparation")
    for key in ("target", "preparation"):
        check_statistics(key, result[key])


def check_statistics(key: str, value: Any) -> None:
    """Check that all numbers of a value are finite, that scales are above 0, and that lists side by side are as long.

    Raises:
        ValueError: With the key of the first that is not.

    >>> check_statistics("preparation", {"centre": [0.0, 1.0], "scale": [1.0, 0.0]})
    Traceback (most recent call last):
    ValueError: preparation.scale[1] must be above 0, got 0.0
    """
    for where, one in _numbers_below(key, value):
        if not math.isfinite(one):
            raise ValueError(f"{where} must be a finite number, got {one}")
        if re.search(r"\.(scale|std|step)(\[\d+\])?$", where) and one <= 0:
            raise ValueError(f"{where} must be above 0, got {one}")
    if isinstance(value, Mapping):
        lists = {name: one for name, one in value.items() if name in ("inputs", *_PER_INPUT)}
        if wrong := [name for name, one in lists.items() if not isinstance(one, list)]:
            raise ValueError(f"{key}.{wrong[0]} must be a list, got {shown(lists[wrong[0]])}")
        if len({len(one) for one in lists.values()}) > 1:
            lengths = ", ".join(f"{name} {len(one)}" for name, one in lists.items())
            raise ValueError(f"{key}: its lists differ in length ({lengths})")
        for name in _PER_INPUT:
            for index, one in enumerate(lists.get(name, ())):
                number(f"{key}.{name}[{index}]", one)


def check_config(config: Mapping[str, Any]) -> None:
    """Check the structure of a run's `config.yaml`.

    Raises:
        ValueError: With the key.
    """
    for key in _MAPPINGS:
        if not mapping(config, key) and key != "input":
            raise ValueError(f"{key} is missing")
    for key in ("encoder", "data", "trainer"):
        text(config[key], "_target_", prefix=f"{key}.")
    text(config["target"], "distance", prefix="target.")
    text(config, "dataset")
    for name in config["stages"]:
        if not is_file_name(name):
            raise ValueError(f"stages: {shown(name)} cannot be the name of a stage")
        stage = mapping(config["stages"], name, "stages.")
        for key in ("module", "optimizer", "schedule"):
            text(mapping(stage, key, f"stages.{name}."), "_target_", prefix=f"stages.{name}.{key}.")
        whole_number(stage, "epochs", f"stages.{name}.")


def check_summary(summary: Mapping[str, Any]) -> None:
    """Check the content of a `stage.json`.

    Raises:
        ValueError: With the key; also if the checkpoint is not a file in the stage's own directory.
    """
    for key in ("epochs", "chosen_epoch"):
        whole_number(summary, key)
    if number("seconds", summary.get("seconds")) is None:
        raise ValueError(f"seconds must be a number, got {shown(summary.get('seconds'))}")
    if not is_file_name(text(summary, "checkpoint")):
        raise ValueError(f"checkpoint must be a file of the stage, got {shown(summary['checkpoint'])}")
    numbers(summary, "metrics")


def is_file_name(name: object) -> bool:
    """Whether a value is a name for one file or folder, without a path.

    >>> is_file_name("best.ckpt"), is_file_name("../best.ckpt"), is_file_name(""), is_file_name(None)
    (True, False, False, False)
    """
    return isinstance(name, str) and _FILE_NAME.fullmatch(name) is not None


def text(values: Mapping[str, Any], key: str, default: str | None = None, prefix: str = "") -> str:
    """A text; `default` if it is missing or null."""
    value = values.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise ValueError(f"{prefix}{key} must be text, got {shown(value)}")
    return value


def texts(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of text."""
    value = values.get(key)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{key} must be a list of text, got {shown(value)}")
    return tuple(value)


def plain_names(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of names that may become part of file names."""
    found = texts(values, key)
    if invalid := [name for name in found if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name)]:
        raise ValueError(f"{key} must contain names of letters, digits and _.- only, got {shown(invalid[0])}")
    return found


def whole_number(values: Mapping[str, Any], key: str, prefix: str = "") -> int:
    """A whole number."""
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{prefix}{key} must be a whole number, got {shown(value)}")
    return value


def mapping(values: Mapping[str, Any], key: str, prefix: str = "") -> Mapping[str, Any]:
    """An object; empty if it is missing or null."""
    value = values.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{prefix}{key} must be an object, got {shown(value)}")
    return value


def numbers(values: Mapping[str, Any], key: str) -> dict[str, float | None]:
    """An object of numbers; one that is not finite becomes None."""
    return {name: number(f"{key}.{name}", value) for name, value in mapping(values, key).items()}


def number(name: str, value: Any) -> float | None:
    """A number; None if it is null or not finite."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, got {shown(value)}")
    try:
        found = float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large") from None
    return found if math.isfinite(found) else None


def shown(value: object) -> str:
    """A value in a message, cut where it is long."""
    written = repr(value)
    return written if len(written) <= 80 else f"{written[:77]}..."


def _numbers_below(key: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _numbers_below(f"{key}.{name}", one)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, one in enumerate(value):
            yield from _numbers_below(f"{key}[{index}]", one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, number_or_nan(value)


def number_or_nan(value: float) -> float:
    """A number as a float; one too large for it as infinity."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
