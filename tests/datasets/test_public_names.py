"""What `rnc_lightning.datasets` offers to who adds a data set."""

import subprocess
import sys

import pytest

import rnc_lightning.datasets


@pytest.mark.parametrize("name", rnc_lightning.datasets.__all__)
def test_each_name_is_there(name: str) -> None:
    assert getattr(rnc_lightning.datasets, name) is not None


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Datasets'"):
        rnc_lightning.datasets.Datasets  # noqa: B018


def test_nothing_is_loaded_for_what_is_not_used() -> None:
    code = (
        "import sys, rnc_lightning.datasets\n"
        "sys.exit(', '.join({'torch', 'torchvision', 'cv2', 'lightning', 'pandas'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ended.stderr.strip() == ""
