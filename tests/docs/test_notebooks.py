"""The notebooks run from an empty folder, and what is stored of them is what was run."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
QUICK = ("01_the_loss_by_hand",)
LARGEST = 400_000  # bytes

sys.path.insert(0, str(ROOT / "notebooks"))


def _names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def _code(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=_names(NOTEBOOKS))
def test_what_is_stored_was_run_in_order_and_tells_nothing_of_the_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    cells = _code(json.loads(text))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell["outputs"]) for cell in cells) >= len(cells) / 2
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"])
    outputs = json.dumps([[dict(output, data=_without_pictures(output)) for output in c["outputs"]] for c in cells])
    assert not re.search(r"Warning|Traceback|\"stderr\"|\\u001b|/home/|/root/|/tmp/|site-packages", outputs)
    assert len(text) < LARGEST


@pytest.mark.parametrize("name", QUICK)
def test_its_cells_run_here(name: str) -> None:
    """As plain code in this process, without the start of a kernel."""
    plt = pytest.importorskip("matplotlib.pyplot")
    cells = _code(json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")))
    names: dict[str, object] = {}
    with plt.rc_context({"backend": "agg"}), torch.random.fork_rng():
        for cell in cells:
            exec("".join(cell["source"]), names)
    plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=_names(NOTEBOOKS))
def test_runs_anew(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nbclient", reason="needs the extra `dev`")
    from execute import executed

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # nothing of the user's own settings
    (tmp_path / "empty").mkdir()
    anew = executed(path, tmp_path / "empty")  # raises where a cell fails
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert [cell.source for cell in anew.cells] == ["".join(cell["source"]) for cell in stored["cells"]]
    kinds = [[output["output_type"] for output in cell["outputs"]] for cell in _code(anew)]
    assert kinds == [[output["output_type"] for output in cell["outputs"]] for cell in _code(stored)]


def _without_pictures(output: dict) -> dict:
    return {kind: data for kind, data in output.get("data", {}).items() if not kind.startswith("image/")}
