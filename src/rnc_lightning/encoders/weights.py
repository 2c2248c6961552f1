"""A file of weights from elsewhere, fitted to a timm model: prefixes, classifiers, other channels and image sizes."""

import argparse
import logging
import pickle
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from rnc_lightning.system.errors import first_line

log = logging.getLogger(__name__)

# What a checkpoint calls the weights in it; where it has several, averaged ones come first, as in timm.
_WRAPPERS = ("state_dict_ema", "model_ema", "teacher", "state_dict", "model", "student")
_AVERAGED = ("teacher", "ema", "momentum")
_MOST_MISSING = 0.1  # of the model's tensors
_SHOWN = 4  # names of tensors in a message


def load_weights(model: nn.Module, name: str, path: Path, in_channels: int) -> None:
    """Load the file's weights into a model of timm without a classifier, and log what was changed or left out.

    Args:
        model: The model; its tensors are overwritten.
        name: Its name in timm.
        path: Safetensors, a PyTorch state dict or checkpoint (only tensors and plain values are read), or `.npz` for
            models for which timm reads that.
        in_channels: Channels of the model's input.

    Raises:
        ValueError: If the file cannot be read, is of another model, or has less than nine tenths of the tensors.
    """
    if path.suffix in (".npz", ".npy"):
        _load_arrays(model, name, path)
        return
    tensors, notes = read_tensors(path)
    needed = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    prefix = common_prefix(tensors, needed)
    found = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    if prefix:
        notes.append(f"prefix {prefix} removed")
        if outside := [key for key in tensors if not key.startswith(prefix)]:
            notes.append(f"not used: {_some(outside)}")
    fitted = _resized(found, model, name, path)
    _fit_channels(fitted, model, in_channels)
    changed = [key for key in needed.keys() & fitted if key in found and fitted[key].shape != found[key].shape]
    notes += [f"{key} adapted from {_size(found[key])} to {_size(fitted[key])}" for key in sorted(changed)]
    if unknown := [key for key in fitted if key not in model.state_dict()]:
        classifier = [key for key in unknown if key.startswith(_named(model, "classifier"))]
        others = [key for key in unknown if key not in classifier]
        notes += [f"classifier not used: {_some(classifier)}"] * bool(classifier)
        if others:
            _warn_once(f"encoder.weights: {path} has tensors that {name} does not have: {_some(others)}")
    missing = _check_fit(fitted, needed, name, path)
    model.load_state_dict({key: fitted[key] for key in model.state_dict() if key in fitted}, strict=False)
    loaded = f"encoder.weights: {len(needed) - len(missing)} of {len(needed)} tensors of {name} loaded from {path}"
    _say_once("; ".join([loaded, *notes]))
    if missing:
        _warn_once(f"encoder.weights: {path} lacks {_some(missing)}, which start with random values")


def read_tensors(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a file by name, and notes on where in it they were; nothing in the file is executed.

    Raises:
        ValueError: If the file cannot be read, or holds no named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path), []
        with torch.serialization.safe_globals([argparse.Namespace]):  # the settings in many published checkpoints
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"weights: {path} holds more than tensors and plain values, or was cut short, and is not loaded "
            f"(weights_only): save the model's state_dict() alone"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"weights: {path} is no safetensors or PyTorch file, or was cut short ({reason})") from error
    notes: list[str] = []
    while isinstance(content, Mapping) and (inner := _inside(content)) is not None:
        notes.append(f"taken from {inner!r}")
        content = content[inner]
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)} if _is_dict(content) else {}
    if not tensors:
        raise ValueError(f"weights: {path} holds no named tensors; save the model's state_dict()")
    return tensors, notes


def common_prefix(names: Iterable[str], known: Iterable[str]) -> str:
    """What stands before the model's own names in most of a file's names: `` or such as `module.encoder.`.

    Of several equally frequent ones it is that of averaged weights (a teacher), else the first.

    >>> common_prefix(["module.encoder.conv.weight", "module.encoder.fc.weight", "module.head.weight"], ["conv.weight"])
    'module.encoder.'
    """
    known, counts = set(known), Counter[str]()
    for name in names:
        places = [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]
        counts.update(name[:place] for place in places if name[place:] in known)
    most = max(counts.values(), default=0)
    equal = [prefix for prefix, count in counts.items() if count == most]
    averaged = [prefix for prefix in equal if any(word in prefix for word in _AVERAGED)]
    return next(iter([*averaged, *equal]), "")


def _is_dict(content: Any) -> bool:
    return isinstance(content, Mapping) and all(isinstance(key, str) for key in content)


def _inside(content: Mapping[str, Any]) -> str | None:
    """The entry of a checkpoint that holds the weights; None if they are its own entries."""
    inner = [key for key, value in content.items() if _is_dict(value) and value]
    for wrapper in _WRAPPERS:
        if wrapper in inner:
            return wrapper
    if any(isinstance(value, Tensor) for value in content.values()):
        return None
    return max(inner, key=lambda key: sum(isinstance(value, Tensor) for value in content[key].values()), default=None)


def _resized(tensors: dict[str, Tensor], model: nn.Module, name: str, path: Path) -> dict[str, Tensor]:
    """The tensors as timm itself converts those of this family: former names, position embeddings of another size."""
    convert = getattr(sys.modules[timm.model_entrypoint(name).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return dict(tensors)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about timm's own code
            return dict(convert(dict(tensors), model))
    except Exception as error:  # whatever a file of another model does to it
        raise ValueError(f"weights: {path} does not fit {name}: {type(error).__name__}: {error}") from error


def _fit_channels(tensors: dict[str, Tensor], model: nn.Module, in_channels: int) -> None:
    """Fit the first convolution to another number of channels, as timm does; one that does not fit is left out."""
    for module in _named(model, "first_conv"):
        key = f"{module}weight"
        try:
            own = model.get_submodule(module.removesuffix(".")).weight
        except AttributeError:
            continue
        weight = tensors.get(key)
        if weight is None or not isinstance(own, Tensor) or weight.ndim != 4 or weight.shape[1] == own.shape[1]:
            continue
        stacked = max(1, own.shape[1] // in_channels)  # pixels that a space-to-depth stem stacks as channels
        try:
            tensors[key] = adapt_input_conv(in_channels, weight, max(1, weight.shape[1] // stacked))
        except (NotImplementedError, AssertionError):
            del tensors[key]


def _check_fit(tensors: Mapping[str, Tensor], needed: Mapping[str, Tensor], name: str, path: Path) -> list[str]:
    """Names of the model's tensors that the file lacks; refuses a file of another model."""
    for key in needed:
        if key in tensors and tensors[key].shape != needed[key].shape:
            raise ValueError(
                f"weights: {path} does not fit {name}: {key} is {_size(tensors[key])} in the file and "
                f"{_size(needed[key])} in the model"
            )
        if key in tensors and not tensors[key].isfinite().all():
            raise ValueError(f"weights: {path} has values that are not finite numbers in {key}")
    missing = [key for key in needed if key not in tensors]
    if len(missing) > _MOST_MISSING * len(needed):
        raise ValueError(
            f"weights: {path} has only {len(needed) - len(missing)} of the {len(needed)} tensors of {name}: missing "
            f"{_some(missing)}; the file has {_some(tensors)}"
        )
    return missing


def _load_arrays(model: nn.Module, name: str, path: Path) -> None:
    load: Any = getattr(model, "load_pretrained", None)
    if load is None:
        raise ValueError(f"weights: timm reads no {path.suffix} for {name}; use safetensors or a state dict")
    try:
        load(str(path))
    except Exception as error:  # whatever a file of another model does to it
        raise ValueError(f"weights: {path} does not fit {name}: {type(error).__name__}: {error}") from error


def _named(model: nn.Module, part: str) -> tuple[str, ...]:
    """What the names of a part (`first_conv`, `classifier`) of a timm model begin with."""
    config: Any = getattr(model, "pretrained_cfg", None) or {}
    names = config.get(part) or ()
    return tuple(f"{one}." for one in ([names] if isinstance(names, str) else names))


def _some(names: Iterable[str]) -> str:
    shown = list(names)
    rest = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return (", ".join(shown[:_SHOWN]) or "nothing") + rest


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))


@cache  # each stage of a run builds the encoder anew
def _say_once(line: str) -> None:
    log.info(line)


@cache
def _warn_once(line: str) -> None:
    log.warning(line)
