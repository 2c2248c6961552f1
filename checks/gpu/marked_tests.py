"""The tests marked `gpu`, by pytest. Only their files are read, since others import what a GPU machine may lack."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from gpu.setting import ROOT, Notes, Setting

_MARK = "pytest.mark.gpu"


def measure(setting: Setting, notes: Notes) -> None:
    """Run them and count."""
    files = marked_files(ROOT / "tests")
    if not files:
        notes.fail(f"no test with {_MARK} under {ROOT / 'tests'}")
        return
    report = setting.folder / "gpu_tests.xml"
    options = ["-m", "gpu", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
    command = [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", *map(str, files)]
    try:
        code = subprocess.run(command, cwd=ROOT, timeout=max(1.0, setting.left - 3), check=False).returncode
    except subprocess.TimeoutExpired:
        notes.fail("pytest did not end in time")
        return
    if not report.is_file():
        notes.fail(f"pytest ended with exit code {code} and wrote no report")
        return
    cases = list(ElementTree.parse(report).iter("testcase"))
    failures = {_name(case): _reason(case) for case in cases if _reason(case)}
    skipped = [_name(case) for case in cases if case.find("skipped") is not None]
    passed = len(cases) - len(failures) - len(skipped)
    notes.row("Tests", files=len(files), tests=len(cases), passed=passed, failed=len(failures), skipped=len(skipped))
    for name, reason in failures.items():
        notes.fail(f"{name}: {reason}")
    if setting.on_gpu and (skipped or not passed):
        notes.fail(f"there is a GPU, and these were skipped: {', '.join(skipped) or 'all'}")
    if code not in (0, 5) and not failures:  # 5: no test was run
        notes.fail(f"pytest ended with exit code {code}")


def marked_files(folder: Path) -> list[Path]:
    """Files that mark a test."""
    return [path for path in sorted(folder.rglob("test_*.py")) if _MARK in path.read_text(encoding="utf-8")]


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"


def _reason(case: ElementTree.Element) -> str:
    """Why a test failed, in a line; empty where it did not."""
    found = [part for part in (case.find("failure"), case.find("error")) if part is not None]
    return " ".join((found[0].get("message") or "?").split())[:300] if found else ""
