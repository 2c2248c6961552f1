"""Which edits change the hash of the code, and which code is hashed."""

import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rnc_lightning
from rnc_lightning.system.code_version import SHAPING, code_version, hash_rooms, training_code_version


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


def test_code_that_the_loss_uses_changes_the_version(package: Callable[..., str]) -> None:
    assert package() == package()
    assert package(loss="x = helper(2)") != package()
    assert package(helper="return x + 1") != package()


def test_code_that_the_loss_does_not_use_leaves_the_version(package: Callable[..., str]) -> None:
    assert package(other="y = 1") == package()


def test_comments_docstrings_and_layout_leave_the_version(package: Callable[..., str]) -> None:
    assert package(loss='"""A loss."""\n\n    x = helper( 1 )  # one') == package()


def test_every_module_of_the_loss_is_found() -> None:
    loss = code_version(["rnc_lightning.objectives.rnc.RnCLoss"])
    assert loss == code_version(["rnc_lightning.objectives.rnc.RnCLoss"] * 2)
    # The closed-form gradient is in a separate module: naming both gives another version only if the first call had
    # missed that module.
    assert loss == code_version(["rnc_lightning.objectives.rnc.RnCLoss", "rnc_lightning.objectives._rnc_core"])
    assert loss != code_version(["rnc_lightning.encoders.SmallResNet"])


def test_for_an_installed_package_its_version_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_version(["timm.create_model"])
    assert before == code_version(["timm.create_model"])
    monkeypatch.setattr("rnc_lightning.system.code_version.version", lambda _: "another")
    assert code_version(["timm.create_model"]) != before


OTHERS = {  # rooms whose code cannot change a result
    "system", "synthetic", "plots", "tracking", "command_line", "finished_runs", "sweeps", "reports", "studies",
}  # fmt: skip


def test_every_room_is_listed_as_shaping_results_or_not() -> None:
    house = Path(rnc_lightning.__file__).parent
    rooms = {path.parent.name for path in house.glob("*/__init__.py")}
    assert rooms == SHAPING | OTHERS
    assert not SHAPING & OTHERS


def test_only_edits_in_rooms_that_shape_results_change_the_hash(tmp_path: Path) -> None:
    house = tmp_path / "rnc_lightning"
    shutil.copytree(Path(rnc_lightning.__file__).parent, house, ignore=shutil.ignore_patterns("__pycache__"))
    before = hash_rooms(house)
    assert before == training_code_version()
    for file in ("tracking/dashboard.py", "synthetic/faces.py", "train.py"):
        _append(house / file)
        assert hash_rooms(house) == before, file
    _append(house / "objectives/rnc.py")
    assert hash_rooms(house) != before


def _append(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
