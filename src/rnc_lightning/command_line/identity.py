"""What makes two runs the same run: its name, its directory, the hash of its setting."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def run_identity(config: Mapping[str, Any], overrides: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The experiment's name, and the overrides that tell its runs apart, sorted, with the seed.

    Overrides that change no result are left out.
    """
    values = dict(_split_override(override) for override in overrides)
    experiment = values.pop("experiment", None)
    if experiment is None:
        experiment = f"{config['dataset']}_{config['method']}"
        values.pop("data", None)
        values.pop("method", None)
    values["seed"] = str(config["seed"])
    return experiment, {key: values[key] for key in sorted(values) if not _volatile(key)}


def run_name(config: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """`<experiment>/<overrides>`: the same command gives the same name.

    A name too long for a file system ends in a hash.
    """
    experiment, kept = run_identity(config, overrides)
    exact = ",".join(f"{key}={value}" for key, value in kept.items())
    name = re.sub(r"[^\w.=,+\-\[\]]", "_", exact)
    if name != exact or len(name) > 120:
        name = f"{name[:120]}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"
    return f"{experiment}/{name}"


def run_path(config: Mapping[str, Any], overrides: Sequence[str]) -> Path:
    """Where this run lies: `paths.run_dir`, or its name within `paths.output_dir`."""
    paths = config["paths"]
    return Path(paths["run_dir"] or Path(paths["output_dir"]) / run_name(config, overrides))


def _split_override(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value


def _volatile(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in VOLATILE) or key.startswith("hydra")


# What may differ between two starts of one run: none of it changes a result.
VOLATILE = (
    "paths",
    "logger",
    "callbacks",
    "print_config",
    "plots",
    "optimized_metric",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.log_every_n_steps",
    "data.root",
    "data.num_workers",
    "data.pin_memory",
    "data.cache_dir",
    "data.cache",
    "data.check_files",
    "data.on_bad",  # what is skipped is seen by the data's fingerprint
)


def without_volatile(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration without what may differ between two starts of one run.

    >>> without_volatile({"data": {"root": "here", "size": 8}, "paths": {}})
    {'data': {'size': 8}}
    """

    def kept(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        return {
            key: kept(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
            for key, value in values.items()
            if f"{prefix}{key}" not in VOLATILE
        }

    return kept(config, "")


def setting_hash(config: Mapping[str, Any]) -> str:
    """16 hexadecimal digits for all in a resolved configuration that shapes the result, but for the seed.

    Runs that differ only in their seed, or in a part that none of their stages uses, have the same.
    """
    kept = without_volatile(config)
    shape = {key: kept[key] for key in ("data", "encoder", "target", "trainer", "stages")}
    return hashlib.sha256(json.dumps(shape, sort_keys=True, default=str).encode()).hexdigest()[:16]


def config_differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys whose values differ between two configurations, as `key: before -> now`, volatile ones left out.

    >>> list(config_differences({"a": {"b": 1}, "paths": 1}, {"a": {"b": 2}, "paths": 2}))
    ['a.b: 1 -> 2']
    """
    for key in {**before, **now}:
        name = f"{prefix}{key}"
        if name in VOLATILE:
            continue
        old, new = before.get(key, "(absent)"), now.get(key, "(absent)")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from config_differences(old, new, f"{name}.")
        elif old != new:
            yield f"{name}: {old} -> {new}"
