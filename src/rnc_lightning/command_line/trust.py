"""Which classes and functions the configuration of somebody else's run may name in `_target_`.

A configuration that is instantiated calls whatever its `_target_`s name. Those of your own command line are your own
choice; that of a run's directory may be anybody's. So every name in it is compared with the lists below before anything
is imported, and then what it names: a name such as `rnc_lightning.runs.run.os.system` begins with this package and ends
elsewhere.
"""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

from rnc_lightning.system.errors import UserError

TARGET = "_target_"
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)

# Classes are allowed below these names if they are derived from one of the bases: constructing one writes nothing,
# runs no other program and reads no file but weights (see `without_files_of_weights`).
_BASES = {
    "rnc_lightning.encoders": ("torch.nn.Module",),
    "rnc_lightning.heads": ("torch.nn.Module",),
    "rnc_lightning.objectives": ("torch.nn.Module",),
    "rnc_lightning.regularizers": ("torch.nn.Module",),
    "rnc_lightning.stages": ("torch.nn.Module", "torch.optim.lr_scheduler.LRScheduler"),
    "rnc_lightning.datasets": (
        "rnc_lightning.datasets.loading.datamodule.RegressionDataModule",
        "rnc_lightning.datasets.reading.training_subset.TrainingSubset",
    ),
    "rnc_lightning.runs.fitting.diagnostics": ("lightning.pytorch.callbacks.Callback",),
    "torch.nn": ("torch.nn.Module",),
    "torch.optim": ("torch.optim.Optimizer", "torch.optim.lr_scheduler.LRScheduler"),
    "timm": ("torch.nn.Module", "torch.optim.Optimizer", "timm.scheduler.scheduler.Scheduler"),
    "torchvision.transforms": ("builtins.object",),
    "lightning": (
        "lightning.pytorch.Trainer",
        "lightning.pytorch.callbacks.Callback",
        "lightning.pytorch.loggers.Logger",
        "lightning.pytorch.strategies.Strategy",
        "lightning.pytorch.accelerators.Accelerator",
        "lightning.pytorch.plugins.precision.Precision",
        "lightning.pytorch.plugins.layer_sync.LayerSync",
        "lightning.pytorch.plugins.io.CheckpointIO",
        "lightning.pytorch.plugins.environments.ClusterEnvironment",
        "lightning.pytorch.profilers.Profiler",
    ),
}
# Modules whose functions are allowed too: they only make a transform or a logger.
_FACTORIES = (
    "rnc_lightning.datasets.feature_transforms",
    "rnc_lightning.datasets.images.transforms",
    "rnc_lightning.datasets.signals.transforms",
    "rnc_lightning.tracking.loggers",
    "timm.models._factory",
)
_FUNCTIONS = {"rnc_lightning.tracking.loggers": ("tensorboard", "wandb"), "timm.models._factory": ("create_model",)}
_TIMM = ("rnc_lightning.encoders.TimmEncoder", "rnc_lightning.encoders.timm.TimmEncoder", "timm.create_model")


def check_targets(config: Mapping[str, Any], trust: Sequence[str], where: Path) -> None:
    """Check every `_target_` of a resolved configuration before any of it is instantiated.

    Args:
        config: The configuration as plain values, from a file that anybody may have written.
        trust: Packages, modules or objects that the user trusts as well, as dotted names.
        where: The file, for messages.

    Raises:
        UserError: For a name that is not allowed, with the option that allows it; for an interpolation, which would be
            resolved only when the configuration is instantiated, and so could hide a name.
    """
    for name in trust:
        if not isinstance(name, str) or not _NAME.fullmatch(f"{name}.x"):
            raise UserError(f"trust={name}: must be the name of a package, such as trust=my_package")
    found: dict[str, str] = {}
    for key, value in _texts(config):
        if "${" in value:
            raise UserError(f"{where}: {key} holds an interpolation ({_short(value)}), which no run writes: remove it")
        if key.rpartition(".")[2] == TARGET:
            found.setdefault(value, key)
    for key, value in _targets(config):
        if not isinstance(value, str):
            raise UserError(f"{where}: {key} must be a dotted name, got {_short(value)}")
    foreign = {name: key for name, key in found.items() if not _is_below(name, trust)}
    refused = {name: key for name, key in foreign.items() if not _is_listed(name)}
    if not refused:  # nothing is imported before all names are known
        refused = {name: key for name, key in foreign.items() if not _is_allowed(name)}
    if refused:
        name, key = next(iter(refused.items()))
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        names = [name for name in refused if _NAME.fullmatch(name)][:3]
        hint = f"if you know that code, add trust={','.join(names)}" if names else "no such name can be called"
        raise UserError(
            f"{where}: {key} is {_short(name)}{more}, which the configuration of a run may only call if you trust it: "
            f"{hint}"
        )


def targets_in(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Every `_target_` of a configuration, for `trust`: what your own command line names is your own choice."""
    return tuple(dict.fromkeys(str(value) for _, value in _targets(config)))


def without_files_of_weights(value: Any) -> Any:
    """A configuration whose timm models read no weights: a finished run's checkpoint has all of them.

    >>> without_files_of_weights({"_target_": "timm.create_model", "model_name": "a", "pretrained": True})
    {'_target_': 'timm.create_model', 'model_name': 'a', 'pretrained': False}
    """
    if isinstance(value, Mapping):
        content = {key: without_files_of_weights(item) for key, item in value.items()}
        if content.get(TARGET) not in _TIMM:
            return content
        content = _unpretrained(content)
        if isinstance(content.get("kwargs"), Mapping):
            content["kwargs"] = _unpretrained(content["kwargs"])
        return content
    return [without_files_of_weights(item) for item in value] if isinstance(value, list | tuple) else value


def _unpretrained(arguments: Mapping[str, Any]) -> dict[str, Any]:
    changes = {"pretrained": False, "weights": None, "checkpoint_path": None}
    return {**arguments, **{key: value for key, value in changes.items() if key in arguments}}


def _is_below(name: str, prefixes: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _is_listed(name: str) -> bool:
    """Whether a name is well formed and below an allowed one, as far as can be seen without an import."""
    return _NAME.fullmatch(name) is not None and _is_below(name, (*_BASES, *_FACTORIES))


def _is_allowed(name: str) -> bool:
    """Whether what a listed name stands for is an allowed class or function, wherever the name led."""
    found = _find(name)
    if isinstance(found, FunctionType):
        names = _FUNCTIONS.get(found.__module__)
        public = found.__qualname__ == found.__name__ and not found.__name__.startswith("_")
        return public and found.__module__ in _FACTORIES and (names is None or found.__name__ in names)
    if not inspect.isclass(found):
        return False
    home = found.__module__
    bases = [base for prefix, allowed in _BASES.items() if _is_below(home, [prefix]) for base in allowed]
    if home in _FACTORIES and not issubclass(found, BaseException):
        return True
    return any(issubclass(found, base) for base in map(_base, bases))


def _find(name: str) -> Any:
    """What a dotted name stands for; None if there is no such thing, or the way to it leaves the modules listed above.

    Only modules are walked through, never the attributes of classes or other objects.
    """
    found: Any = None
    parts = name.split(".")
    for end, part in enumerate(parts, start=1):
        if found is not None and not inspect.ismodule(found):
            return None
        if found is not None and not _is_near(found.__name__):
            return None
        if found is not None and hasattr(found, part):
            found = getattr(found, part)
            continue
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            return None
    return found


def _base(name: str) -> type:
    module, _, attribute = name.rpartition(".")
    found: type = getattr(importlib.import_module(module), attribute)
    return found


def _is_near(module: str) -> bool:
    """Whether a module is below a listed name, or above one on the way to it."""
    listed = (*_BASES, *_FACTORIES)
    return _is_below(module, listed) or any(_is_below(name, [module]) for name in listed)


def _walk(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every value below a value, at any depth, with its key."""
    waiting = [(key, value)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{key}.{name}" if key else str(name), item) for name, item in reversed(list(value.items()))]
        elif isinstance(value, list | tuple):
            waiting += [(f"{key}[{index}]", item) for index, item in reversed(list(enumerate(value)))]
        yield key, value


def _texts(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in _walk(config, ""):
        if isinstance(value, str):
            yield key, value
        if isinstance(value, Mapping):
            yield from ((f"{key}.{name}", name) for name in value if isinstance(name, str) and "${" in name)


def _targets(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in _walk(config, "") if key.rpartition(".")[2] == TARGET)


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
