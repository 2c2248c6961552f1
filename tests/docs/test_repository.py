"""The files that people expect of a repository: there, valid, and in agreement with each other."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import rnc_lightning

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
PACKAGE = ROOT / "src" / "rnc_lightning"
ROOMS = sorted(init.parent.name for init in PACKAGE.glob("*/__init__.py"))
PLAIN_ROOMS = ("encoders", "heads", "metrics", "objectives", "regularizers", "stages")


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _steps(job: dict) -> list[dict]:
    """A job's steps, once for each entry of its matrix, with the entry's values filled in."""
    entries = job.get("strategy", {}).get("matrix", {}).get("include", [{}])
    filled = []
    for entry in entries:
        text = yaml.safe_dump(job["steps"])
        for key, value in entry.items():
            text = text.replace(f"${{{{ matrix.{key} }}}}", str(value))
        filled += yaml.safe_load(text)
    return filled


def test_the_licence_is_the_same_everywhere() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License\n\nCopyright (c) 2026 the rnc_lightning authors\n")
    assert PROJECT["license"] == CITATION["license"] == "MIT"
    assert PROJECT["license-files"] == ["LICENSE"]


def test_the_version_has_one_place() -> None:
    assert "version" not in PROJECT
    assert CITATION["version"] == rnc_lightning.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)[0] in ("Unreleased", rnc_lightning.__version__)


def test_the_package_need_not_be_installed_and_loads_nothing() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); import rnc_lightning as r; print(r.__version__)"
    # Without the packages of site-packages, PyTorch and this one among them.
    called = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert called.stdout.strip() == rnc_lightning.__version__, called.stderr


def test_the_citation_names_the_paper_of_the_front_page() -> None:
    assert CITATION["references"][0]["title"] in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_make_what_the_makefile_has(path: Path) -> None:
    workflow = _read(path)
    assert workflow["permissions"] == {"contents": "read"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for job in workflow["jobs"].values():
        commands = [step["run"] for step in _steps(job) if "run" in step]
        assert commands
        assert {command.removeprefix("make ") for command in commands} <= targets


def test_the_tests_run_on_every_python_that_is_promised() -> None:
    (workflow,) = WORKFLOWS
    entries = _read(workflow)["jobs"]["make"]["strategy"]["matrix"]["include"]
    tried = {entry["python"] for entry in entries if entry["target"] == "test"}
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert tried == set(promised)
    assert {entry["target"] for entry in entries} == {"lint", "docs", "test"}


def test_hooks_have_the_versions_of_the_environment() -> None:
    constraints = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
    )
    hooks = [hook for repo in _read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    pins = dict(pin.split("==") for hook in hooks for pin in hook.get("additional_dependencies", []))
    assert {"ruff-check", "ruff-format", "mypy"} <= {hook["id"] for hook in hooks}
    assert pins["ruff"] == constraints["ruff"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_ask_for_something(path: Path) -> None:
    form = _read(path)
    assert form["name"]
    assert form["description"]
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in asked)
    assert any(field.get("validations", {}).get("required") for field in asked)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_say_what_they_export(room: str) -> None:
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    module = importlib.import_module(f"rnc_lightning.{room}")
    exports = getattr(module, "__all__", ())
    taken = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    if room in PLAIN_ROOMS or any(name.startswith(f"rnc_lightning.{room}.") for name in taken):
        assert exports, "what a room takes from its modules is for others, so __all__ names it"
    for name in exports:
        assert getattr(module, name) is not None
