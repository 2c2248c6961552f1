"""What a data set can do before anything becomes a batch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnc_lightning.datasets.reading.data_source import DataSource
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import PARTS, Split, SplitName
from rnc_lightning.system.errors import UserError


class Numbers(DataSource):
    """Ten numbers a part, one of which cannot be used."""

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        problems.add("no number", "row 10")
        targets = torch.arange(9.0)[:, None]
        return {part: Split(targets * 2, targets, [f"{part}-{i}" for i in range(9)]) for part in PARTS}


def test_it_is_read_once_and_what_is_bad_is_refused_or_counted() -> None:
    with pytest.raises(UserError, match=r"Numbers: 1 sample cannot be used"):
        Numbers().read_once()
    source = Numbers(on_bad="skip")
    source.read_once()
    splits = source.splits
    source.read_once()
    assert source.splits is splits
    assert source.skipped == {"no number": 1}
    assert source.counts == dict.fromkeys(PARTS, 9)
    again = Numbers(on_bad="skip")
    again.read_once()
    assert again.fingerprint == source.fingerprint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_bad": "ignore"}, "on_bad must be error or skip"),
        ({"cache": True}, "needs cache_dir"),
        ({"cache_side": 8}, "needs cache=true"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Numbers(**arguments)


def test_reading_needs_no_lightning() -> None:
    code = "import sys, rnc_lightning.datasets.reading.data_source; sys.exit('lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0
