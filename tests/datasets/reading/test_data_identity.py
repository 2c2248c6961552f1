"""Which data these are, and what has changed between two readings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.datasets.reading.content import FileContents
from rnc_lightning.datasets.reading.data_identity import DataIdentity, describe_changes, identify, input_hashes
from rnc_lightning.datasets.splits import ChosenInputs, Split

NAMES = ["a", "b", "c", "d", "e"]


def _split(**changes: Any) -> Split:
    split = Split(torch.arange(10.0).reshape(5, 2), torch.arange(5.0)[:, None], NAMES)
    return replace(split, **changes)


def _identify(**changes: Any) -> DataIdentity:
    return identify({"train": _split(**changes)}, FileContents())


def test_it_is_the_same_for_targets_of_any_type() -> None:
    assert _identify().fingerprint == _identify(targets=torch.arange(5)[:, None].double()).fingerprint
    assert _identify().fingerprint != _identify(targets=torch.arange(5)[:, None] + 1e-9).fingerprint


@pytest.mark.parametrize(
    ("inputs", "known"),
    [
        (torch.zeros(2, 3), True),
        (np.zeros((2, 3), np.uint8), True),
        ([np.zeros(3), torch.zeros(4)], True),
        ([Image.new("L", (2, 2)), Image.new("RGB", (2, 2))], True),
        ([1, 2.5], True),
        ([object(), object()], False),
        (range(2), False),
    ],
)
def test_inputs_in_memory(inputs: Any, known: bool) -> None:
    hashes = input_hashes(inputs, FileContents())
    assert (hashes is not None) == known
    chosen = input_hashes(ChosenInputs(inputs, [1]), FileContents())
    assert chosen == (None if hashes is None else hashes[1:])


def test_inputs_in_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in NAMES]
    for path in paths:
        path.write_bytes(path.name.encode())
    before = _identify(inputs=ImageFiles(paths))
    assert _identify(inputs=ImageFiles(paths)).fingerprint == before.fingerprint
    paths[1].write_bytes(b"B")
    now = _identify(inputs=ImageFiles(paths))
    assert now.fingerprint != before.fingerprint
    assert describe_changes(before.hashes, now) == "the inputs of 1 sample (b)"


def test_landmarks_belong_to_the_inputs() -> None:
    class Cropped(list[int]):
        besides_files = b""

    one, other = Cropped(range(5)), Cropped(range(5))
    other.besides_files = b"moved"
    assert _identify(inputs=one).fingerprint != _identify(inputs=other).fingerprint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": -torch.arange(10.0).reshape(5, 2) - 1}, "the inputs of 5 samples (a, b, c, ...)"),
        ({"targets": torch.tensor([[0.0], [1], [2], [7], [7]])}, "the labels of 2 samples (d, e)"),
        ({"names": ["a", "b", "c", "d", "new"]}, "1 sample (new) added; 1 sample gone"),
    ],
)
def test_changes_are_described(change: dict[str, Any], words: str) -> None:
    now = _identify(**change)
    assert describe_changes(_identify().hashes, now) == words
    assert describe_changes({}, now) == "names, labels or inputs"


def test_another_split_and_another_order_are_described() -> None:
    split = _split()
    before = identify({"train": split, "test": _split(names=["f", "g", "h", "i", "j"])}, FileContents())
    now = identify({"test": split, "train": _split(names=["f", "g", "h", "i", "j"])}, FileContents())
    assert describe_changes(before.hashes, now).startswith("the split of 10 samples (a, b, c, ...)")
    assert describe_changes(before.hashes, before).startswith("the order of the samples")
