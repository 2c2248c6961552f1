"""Options with which another data set is read as the data of a run were, so that its encoder sees what it knows."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rnc_lightning.system.errors import UserError

_TAKEN_OVER = ("size", "background", "exif_orientation", "image_range", "channels")
_SAME = ("sampling_rate", "window", "low", "high")  # a signal read otherwise would be another signal


def inherited_options(
    keys: Collection[str],
    options: Mapping[str, str],
    data: Mapping[str, Any],
    preparation: Mapping[str, Any] | None,
    run: Path,
) -> list[str]:
    """Options to add to those that name another data set.

    Args:
        keys: The keys of the other data set's `data`.
        options: The options that were given, with their values.
        data: `data` in the configuration of the run.
        preparation: What the run found in its training files.
        run: Directory of the run, for messages.

    Raises:
        UserError: If an option would make other signals than those of training.

    >>> inherited_options(["size", "low"], {"data.low": "1"}, {"size": 16, "low": 1.0}, None, Path("run"))
    ['data.size=16']
    """
    found = []
    for key in (*_TAKEN_OVER, *_SAME):
        name = f"data.{key}"
        if key not in keys or key not in data:
            continue
        ours = data[key] if data[key] is not None else (preparation or {}).get(key)
        if key == "channels" and not (ours is None or isinstance(ours, list)):
            continue  # the number of inputs, not the names of channels
        if name not in options:
            found.append(f"{name}={_written(ours)}")
        elif key in _SAME and _number(options[name]) != ours:
            raise UserError(
                f"{name}={options[name]}, but {run} was trained with {_written(ours)}: leave it out; the rate of files "
                "that do not contain it is data.rate_column"
            )
    return found


def transform_of_run(config: dict[str, Any], run: Mapping[str, Any], options: Collection[str]) -> dict[str, Any]:
    """A configuration of other data, with the run's evaluation transform if theirs is the same kind and not set."""
    ours, theirs = (data["data"].get("eval_transform") or {} for data in (run, config))
    set_there = any(option.startswith(("data.eval_transform", "data.train_transform")) for option in options)
    if set_there or "_target_" not in ours or ours["_target_"] != theirs.get("_target_"):
        return config
    return {**config, "data": {**config["data"], "eval_transform": dict(ours)}}


def _written(value: Any) -> str:
    """A value in the grammar of options."""
    return value if isinstance(value, str) else json.dumps(value)


def _number(text: str) -> float | str | None:
    if text in ("null", "None"):
        return None
    try:
        return float(text)
    except ValueError:
        return text
