"""The dashboard command: a file without a network, a view with a server, one line without either."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wandb_server import PlayedServer

from rnc_lightning.system.errors import UserError
from rnc_lightning.tracking import dashboard


def test_the_specification_is_written_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(sys, "argv", ["dashboard", "project=mine", "out=spec.json"])
    dashboard.main()
    sections = json.loads((tmp_path / "spec.json").read_text())["section"]["panelBankConfig"]["sections"]
    kinds = {panel["viewType"] for section in sections for panel in section["panels"]}
    assert kinds >= {"Run Comparer", "Run History Line Plot", "Bar Chart", "Scatter Plot", "Media Browser"}


def test_the_view_is_saved_in_the_project() -> None:
    server = PlayedServer()
    environment = {**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": "a" * 40}
    environment.pop("WANDB_MODE", None)
    command = [sys.executable, "-m", "rnc_lightning.tracking.dashboard", "project=mine"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    server.stop()
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"{server.url}/entity/mine")
    (view,) = server.views
    assert view["section"]["panelBankConfig"]["sections"][0]["name"] == "Methods"


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(UserError, match=r"pip install 'rnc-lightning\[dashboard\]'"):
        dashboard.dashboard("mine", "me")
