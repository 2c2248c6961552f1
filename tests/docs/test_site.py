"""The documentation site builds without a warning, shows the whole repository, and asks nobody for fonts."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_site(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="needs the extra `docs`")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ROOT / "mkdocs.yml"]
    built = subprocess.run([*command, "--site-dir", tmp_path / "site"], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    pages = {page.relative_to(tmp_path / "site").as_posix() for page in (tmp_path / "site").rglob("*.html")}
    rooms = {init.parent.name for init in (ROOT / "src" / "rnc_lightning").glob("*/__init__.py")}
    assert {f"api/{room}.html" for room in rooms} <= pages
    assert {f"notebooks/{notebook.stem}.html" for notebook in (ROOT / "notebooks").glob("*.ipynb")} <= pages
    assert {"index.html", "own_data.html", "checked/faults.html", "experiments/digits/index.html"} <= pages
    reference = (tmp_path / "site" / "api" / "objectives.html").read_text(encoding="utf-8")
    assert 'id="rnc_lightning.objectives.rnc.rnc_loss"' in reference
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "fonts.googleapis" not in text
        assert str(ROOT) not in text
