"""Which data these are: names, targets and the content of every input, as one hash and sample by sample."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rnc_lightning.datasets.reading.content import FileContents
from rnc_lightning.datasets.splits import ChosenInputs, Split, SplitName

log = logging.getLogger(__name__)

_SHOWN = 3  # names in a message
_KINDS = ("names", "targets", "inputs")


@dataclass(frozen=True)
class DataIdentity:
    """What a run's data are.

    Attributes:
        fingerprint: 16 hexadecimal digits of a SHA-256 over everything.
        names: Names of the samples of each part.
        hashes: `<part>/names`, `/targets` and `/inputs`: 8 bytes (N,) of the hash of each sample's name, target and
            input. They tell what has changed between two fingerprints. No inputs if their content is unknown.
    """

    fingerprint: str
    names: Mapping[str, Sequence[str]]
    hashes: Mapping[str, NDArray[np.uint64]]


def identify(splits: Mapping[SplitName, Split], contents: FileContents, extra: bytes = b"") -> DataIdentity:
    """Hash names, targets (as float64, whatever their type) and inputs.

    Args:
        splits: The data. Inputs made of more than files say what it is in `besides_files`.
        contents: Hashes of files.
        extra: What else identifies the data, such as the preparation of the inputs.

    Raises:
        UserError: If a file cannot be read.
    """
    digest, hashes = hashlib.sha256(), {}
    for part, split in splits.items():
        names = [_hash(name.encode(errors="surrogateescape")) for name in split.names]
        targets = [_hash(row.tobytes()) for row in split.targets.to(torch.float64).numpy()]
        inputs = input_hashes(split.inputs, contents)
        for kind, values in zip(_KINDS, (names, targets, inputs), strict=True):
            digest.update(f"{part}/{kind}".encode())
            digest.update(b"".join(values or ()))
            if values is not None:
                hashes[f"{part}/{kind}"] = np.array([int.from_bytes(one[:8], "little") for one in values], np.uint64)
        digest.update(_hash(getattr(split.inputs, "besides_files", b"")))
    digest.update(extra)
    return DataIdentity(digest.hexdigest()[:16], {part: split.names for part, split in splits.items()}, hashes)


def input_hashes(inputs: Any, contents: FileContents) -> list[bytes] | None:
    """The hash of each input: of the bytes of its file, or of its values in memory.

    Args:
        inputs: Inputs with `paths` (and `path_of`, the index of each input's path, if there are fewer paths than
            inputs), a tensor, an array, a list, or some of these.
        contents: Hashes of files.

    Returns:
        N hashes; None for inputs of any other kind.
    """
    if isinstance(inputs, ChosenInputs):
        every = input_hashes(inputs.inputs, contents)
        return None if every is None or len(every) != len(inputs.inputs) else [every[i] for i in inputs.indices]
    if (paths := getattr(inputs, "paths", None)) is not None:
        known = contents.digests(list(paths))
        hashes = [bytes.fromhex(known[path]) for path in paths]
        return [hashes[i] for i in inputs.path_of] if hasattr(inputs, "path_of") else hashes
    if isinstance(inputs, Tensor):
        inputs = inputs.detach().cpu().numpy()
    if isinstance(inputs, np.ndarray | list | tuple):
        values = [_value_hash(value) for value in inputs]
        return None if None in values else [value for value in values if value is not None]
    return None


def describe_changes(before: Mapping[str, NDArray[np.uint64]], now: DataIdentity) -> str:
    """What has changed in the data, in a few words.

    Args:
        before: `hashes` of the data before; empty if they are not known.
        now: The data now.
    """
    if not before:
        return "names, labels or inputs"
    old, new = _samples(before), _samples(now.hashes)
    names = {
        code: name
        for part in now.names
        for code, name in zip(now.hashes[f"{part}/names"].tolist(), now.names[part], strict=True)
    }
    both = [code for code in new if code in old]
    changes = [
        f"the {what} of {_count([names[code] for code in both if old[code][kind] != new[code][kind]])}"
        for kind, what in (("inputs", "inputs"), ("targets", "labels"), ("part", "split"))
        if any(old[code][kind] != new[code][kind] for code in both)
    ]
    if added := [names[code] for code in new if code not in old]:
        changes.append(f"{_count(added)} added")
    if gone := len(old.keys() - new.keys()):
        changes.append(f"{gone:,} sample{'s' if gone > 1 else ''} gone")
    return "; ".join(changes) or "the order of the samples or the preparation of the inputs"


def _samples(hashes: Mapping[str, NDArray[np.uint64]]) -> dict[int, dict[str, Any]]:
    """What is known of each sample, by the hash of its name."""
    samples: dict[int, dict[str, Any]] = {}
    for key, names in hashes.items():
        part, _, kind = key.partition("/")
        if kind != "names":
            continue
        columns = {kind: hashes.get(f"{part}/{kind}", np.empty(0, np.uint64)).tolist() for kind in _KINDS[1:]}
        if len(columns["inputs"]) != len(names):  # one hash for several samples: not assigned to any
            columns["inputs"] = [sum(columns["inputs"])] * len(names)
        for i, code in enumerate(names.tolist()):
            samples[code] = {"part": part, **{kind: values[i] for kind, values in columns.items()}}
    return samples


def _count(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"{len(names):,} sample{'s' if len(names) != 1 else ''} ({shown})"


def _value_hash(value: Any) -> bytes | None:
    """The hash of an input in memory; None for an unknown type."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, Image.Image):
        value = np.asarray(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return _hash(f"{value.dtype} {value.shape} ".encode() + np.ascontiguousarray(value).tobytes())
    if isinstance(value, int | float | str | bytes):
        return _hash(repr(value).encode(errors="surrogateescape"))
    return None


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:16]
