"""What identifies a run: its name, its directory, the hash of its setting."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnc_lightning.system.errors import UserError

# Options that may differ when a run is started again, because they change no result.
VOLATILE = (
    "paths",
    "logger",
    "callbacks",
    "print_config",
    "compare_data",
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
    "data.on_bad",  # skipped samples change the fingerprint of the data
)


def run_identity(config: Mapping[str, Any], overrides: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The name of the experiment, and the overrides that distinguish its runs: sorted, with the seed.

    Overrides that change no result are not among them.

    Raises:
        UserError: For a name that cannot be part of a path.
    """
    values = dict(_split_override(override) for override in overrides)
    experiment = values.pop("experiment", None)
    if experiment is None:
        experiment = f"{path_part('dataset', config['dataset'])}_{path_part('method', config['method'])}"
        values.pop("data", None)
        values.pop("method", None)
    else:
        experiment = "/".join(path_part("experiment", part) for part in experiment.split("/"))
    values["seed"] = str(config["seed"])
    return experiment, {key: values[key] for key in sorted(values) if not _volatile(key)}


def run_name(config: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """`<experiment>/<overrides>`; the same command gives the same name.

    A name that is too long or has characters unsuitable for file names ends with a hash.
    """
    experiment, values = run_identity(config, overrides)
    exact = ",".join(f"{key}={value}" for key, value in values.items())
    name = re.sub(r"[^\w.=,+\-\[\]]", "_", exact)
    if name != exact or len(name) > 120:
        name = f"{name[:120]}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"
    return f"{experiment}/{name}"


def path_part(key: str, name: Any) -> str:
    """A name that becomes part of a path, so that it stays in its folder.

    Raises:
        UserError: If it is empty, has a slash, a control character or more than 100 bytes, or begins with a dot.

    >>> path_part("dataset", "my data")
    'my data'
    """
    text = str(name)
    if not text or text.startswith(".") or "/" in text or not text.isprintable() or len(text.encode()) > 100:
        raise UserError(
            f"{key}: {text!r} is part of the names of folders and files, so it must be printable, without a slash or a "
            "dot at its beginning, and at most 100 bytes long"
        )
    return text


def run_path(config: Mapping[str, Any], overrides: Sequence[str]) -> Path:
    """The directory of the run: `paths.run_dir`, or its name in `paths.output_dir`."""
    paths = config["paths"]
    return Path(paths["run_dir"] or Path(paths["output_dir"]) / run_name(config, overrides))


def _split_override(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value


def _volatile(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in VOLATILE) or key.startswith("hydra")


def without_volatile(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration without the keys in `VOLATILE`.

    >>> without_volatile({"data": {"root": "here", "size": 8}, "paths": {}})
    {'data': {'size': 8}}
    """

    def select(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        return {
            key: select(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
            for key, value in values.items()
            if f"{prefix}{key}" not in VOLATILE
        }

    return select(config, "")


def setting_hash(config: Mapping[str, Any]) -> str:
    """Hash (16 hexadecimal digits) of everything in a resolved configuration that affects the result, except the seed.

    Runs that differ only in their seed, or in a part that none of their stages uses, have the same hash.
    """
    values = without_volatile(config)
    setting = {key: values[key] for key in ("data", "encoder", "target", "trainer", "stages")}
    return hashlib.sha256(json.dumps(setting, sort_keys=True, default=str).encode()).hexdigest()[:16]


def config_differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys with different values in two configurations, as `key: before -> now`, except volatile ones.

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
