"""The check for a GPU runs through without one, and without packages that a machine with a GPU may lack."""

import ast
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "checks"))

from gpu import report, running  # noqa: E402
from gpu.marked_tests import marked_files  # noqa: E402
from gpu.setting import Notes, read_json  # noqa: E402

LACKING = (
    "wandb", "wandb_workspaces", "edfio", "h5py", "umap", "pyarrow", "tensorboard", "optuna", "submitit", "onnx",
    "onnxruntime", "onnxscript", "lightly", "coral_pytorch", "pytorch_metric_learning", "nbclient", "mkdocs",
    "hydra_plugins.hydra_optuna_sweeper", "hydra_plugins.hydra_submitit_launcher", "hydra_plugins.hydra_colorlog",
)  # fmt: skip
# In every Python process: these are not found, and the package itself is not installed.
SITE = f"""
import importlib.metadata, sys
LACKING = {LACKING!r}
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name in LACKING else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = map(Without, sys.meta_path)
found = importlib.metadata.distribution
def distribution(name):
    if name.replace("_", "-") in ("rnc-lightning", *(lacking.replace("_", "-") for lacking in LACKING)):
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.distribution = distribution
"""


def _check(folder: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, gpu.json and gpu.md of a check that finds those packages lacking and no git."""
    site, out = folder / "site", folder / "out"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    (site / "git").write_text("#!/bin/sh\nexit 128\n")
    (site / "git").chmod(0o755)
    environment = {
        **os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(site), "CUDA_VISIBLE_DEVICES": "",
        "PATH": f"{site}:{os.environ['PATH']}",
    }  # fmt: skip
    command = ["bash", str(ROOT / "checks/gpu.sh"), str(out), *options]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    assert (out / "gpu.md").is_file(), ended.stderr
    assert {path.name for path in out.iterdir()} == {"gpu.md", "gpu.json", "gpu.log"}
    return ended.returncode, read_json(out / "gpu.json"), (out / "gpu.md").read_text()


def _sound(code: int, findings: dict[str, Any], page: str) -> None:
    states = {name: section["state"] for name, section in findings["sections"].items()}
    assert set(states.values()) == {"done"}, page
    assert code == 0, page
    assert "No GPU was there" in page
    assert findings["sections"]["machine"]["tables"]["Software"][0]["revision"] is None
    assert "rnc-lightning is not installed" in page


def test_the_loss_runs_through_without_a_gpu(tmp_path: Path) -> None:
    code, findings, page = _check(tmp_path, "--only", "loss")
    _sound(code, findings, page)
    assert "| ages | 64 |" in page


@pytest.mark.slow
def test_all_of_it_runs_through_without_a_gpu(tmp_path: Path) -> None:
    code, findings, page = _check(tmp_path)
    _sound(code, findings, page)
    assert len(findings["sections"]) == 9
    (row,) = findings["sections"]["resume"]["tables"]["Equal to the undisturbed run"]
    assert row["killed and gone on with"] is True
    (tests,) = findings["sections"]["marked_tests"]["tables"]["Tests"]
    assert tests["skipped"] == tests["tests"] > 30


@pytest.mark.slow
def test_a_machine_without_those_packages_can_import_all_that_the_check_does(tmp_path: Path) -> None:
    """Those that only a whole check would start."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    modules = [path.stem for path in (ROOT / "checks/gpu").glob("*.py") if not path.stem.startswith("__")]
    assert len(modules) > 12
    code = (
        f"import importlib; [importlib.import_module('gpu.' + name) for name in {modules!r}]; "
        "import rnc_lightning.train, rnc_lightning.runs.worker, rnc_lightning.runs.execute"
    )
    paths = os.pathsep.join([str(tmp_path), *(str(ROOT / name) for name in ("src", "checks", "benchmarks"))])
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=True)


def test_no_module_that_the_check_starts_from_names_those_packages_at_its_top() -> None:
    """What the slow test of these imports finds in a process of its own, as far as our own code decides it."""
    roots = [ROOT / "src", ROOT / "checks", ROOT / "benchmarks"]
    starts = [f"gpu.{path.stem}" for path in (ROOT / "checks/gpu").glob("*.py") if not path.stem.startswith("__")]
    waiting = [*starts, "rnc_lightning.train", "rnc_lightning.runs.worker", "rnc_lightning.runs.execute"]
    seen: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        files = [root / name.replace(".", "/") for root in roots]
        file = next((f for path in files for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)
        if file is None or name in seen:
            continue
        seen[name] = file
        imports = list(_imports_at_the_top(ast.parse(file.read_text(encoding="utf-8")).body))
        lacking = [i for i in imports if any(f"{i}.".startswith(f"{package}.") for package in LACKING)]
        assert not lacking, f"{name} imports {lacking}"
        waiting += [".".join(parts[:n]) for parts in (i.split(".") for i in imports) for n in range(1, len(parts) + 1)]
    assert len(seen) > 100
    assert {"rnc_lightning.runs.fitting.fit", "rnc_lightning.tracking"} <= set(seen)


def _imports_at_the_top(body: list[ast.stmt]) -> Iterator[str]:
    """Names that are imported when a module is; those in functions and for type checkers are not."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ClassDef | ast.With):
            yield from _imports_at_the_top(node.body)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _imports_at_the_top([*node.body, *node.orelse])


def test_a_section_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    place, looked = tmp_path / "child", []
    script = f"sleep 60 & echo $! > {place}; echo said; wait"
    began = time.monotonic()
    state = running.run_limited(["sh", "-c", script], 2.0, tmp_path / "log", lambda: looked.append(1))
    assert state == running.OUT_OF_TIME
    assert 2 <= time.monotonic() - began < 10
    assert looked
    stat = Path(f"/proc/{place.read_text().strip()}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"  # nobody may have reaped it yet
    assert running.last_lines(tmp_path / "log") == ["said"]


def test_how_a_section_ends_is_seen(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert running.run_limited(["true"], 20, log, lambda: None) == running.DONE
    assert running.run_limited(["sh", "-c", "echo why >&2; exit 3"], 20, log, lambda: None) == running.FAILED
    assert running.last_lines(log) == ["why"]


def _section(state: str, **found: Any) -> dict[str, Any]:
    return {"title": f"That is {state}", "state": state, "seconds": 3.2, "last_lines": ["the end"], "tables": {},
            "failures": [], "remarks": [], **found}  # fmt: skip


def test_the_page_says_what_went_wrong_and_the_exit_code_too(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes.json")
    notes.row("Times", ms_a_step=12.3456, workers=8)
    notes.row("Times", ms_a_step=None, workers=16)
    good = _section(running.DONE, **json.loads((tmp_path / "notes.json").read_text()))
    unequal = _section(running.DONE, failures=["not equal"])
    late, never, broken = (_section(state) for state in (running.OUT_OF_TIME, running.SKIPPED, running.FAILED))
    assert report.exit_code([good]) == 0
    assert report.exit_code([good, late]) == report.exit_code([good, never]) == 2
    assert report.exit_code([good, unequal]) == report.exit_code([late, broken]) == 1
    sections = {str(i): section for i, section in enumerate([good, unequal, late, never, broken])}
    page = report.page({"on_gpu": True, "date": "today", "seconds": 12.0, "sections": sections})
    assert "| ms a step | workers |\n|--:|--:|\n| 12.3 | 8 |\n| - | 16 |" in page
    assert "- **failed**: not equal" in page
    assert page.count("the end") == 2
    assert "Failures in: That is done; That is failed. Not finished: That is out of time; That is skipped." in page
    assert "rehearsal" not in page


def test_tests_for_a_gpu_are_found() -> None:
    names = {path.name for path in marked_files(ROOT / "tests")}
    assert {"test_rnc.py", "test_on_gpu.py", "test_mixed_precision.py", "test_gradient_cache.py"} <= names
