"""What counts as a change of code, and which code counts."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rnc_lightning.system.code_version import code_version, training_code_version


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a package of a loss and its helper, and returns the version of the loss."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def version(loss: str = "x = helper(1)", helper: str = "return x", other: str = "") -> str:
        folder = tmp_path / "made_package"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text("")
        (folder / "helpers.py").write_text(f"def helper(x):\n    {helper}\n")
        (folder / "other.py").write_text(other)
        (folder / "loss.py").write_text(f"from made_package.helpers import helper\n\nclass Loss:\n    {loss}\n")
        importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.startswith("made_package")]:
            del sys.modules[name]
        return code_version(["made_package.loss.Loss"])

    return version


def test_code_that_the_loss_uses_counts(package: Callable[..., str]) -> None:
    assert package() == package()
    assert package(loss="x = helper(2)") != package()
    assert package(helper="return x + 1") != package()


def test_code_that_it_does_not_use_does_not(package: Callable[..., str]) -> None:
    assert package(other="y = 1") == package()


def test_comments_docstrings_and_layout_do_not(package: Callable[..., str]) -> None:
    assert package(loss='"""A loss."""\n\n    x = helper( 1 )  # one') == package()


def test_every_module_of_the_loss_is_found() -> None:
    loss = code_version(["rnc_lightning.objectives.rnc.RnCLoss"])
    assert loss == code_version(["rnc_lightning.objectives.rnc.RnCLoss"] * 2)
    # The closed-form gradient is in a module of its own: the loss alone has another version than the two together
    # only if that module had been missed.
    assert loss == code_version(["rnc_lightning.objectives.rnc.RnCLoss", "rnc_lightning.objectives._rnc_core"])
    assert loss != code_version(["rnc_lightning.encoders.SmallResNet"])


def test_of_an_installed_package_the_version_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_version(["timm.create_model"])
    assert before == code_version(["timm.create_model"])
    monkeypatch.setattr("rnc_lightning.system.code_version.version", lambda _: "another")
    assert code_version(["timm.create_model"]) != before


def test_the_training_code_leaves_out_what_only_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = training_code_version.__wrapped__()
    monkeypatch.setattr("rnc_lightning.system.code_version._SHOWS_ONLY", ())
    assert training_code_version.__wrapped__() != whole
