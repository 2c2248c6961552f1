"""The sweep files of experiments/sweeps: what an agent makes of them, and an agent at work on a played server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args
from wandb_server import PlayedServer

from rnc_lightning.command_line.compose import check_keys, compose_config, resolve_config

SWEEPS = sorted((Path(__file__).parents[2] / "experiments/sweeps").glob("*.yaml"))
PATIENCE = 900


def _trials(sweep: dict[str, Any]) -> list[dict[str, dict[str, Any]]]:
    """Arguments as a server gives them to an agent: each parameter's first or lowest value, and its last or highest."""
    ends = [
        {name: (told["values"][place] if "values" in told else told[end]) for name, told in sweep["parameters"].items()}
        for place, end in ((0, "min"), (-1, "max"))
    ]
    return [{name: {"value": value} for name, value in trial.items()} for trial in ends]


def _words(sweep: dict[str, Any], trial: dict[str, dict[str, Any]]) -> list[str]:
    """The words of the training command, filled in by the agent's own code."""
    command = sweep["command"]
    assert command[:4] == ["${env}", "${interpreter}", "-m", "${program}"]
    assert sweep["program"] == "rnc_lightning.train"
    assert command[-1] == "${args_no_hyphens}"
    return [*command[4:-1], *create_sweep_command_args({"args": trial})["args_no_hyphens"]]


def test_there_are_sweeps() -> None:
    assert {path.stem for path in SWEEPS} >= {"digits_rnc", "digits_heads"}


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_file_composes_and_asks_for_what_is_logged(path: Path) -> None:
    sweep = yaml.safe_load(path.read_text(encoding="utf-8"))
    for trial in _trials(sweep):
        config = resolve_config(compose_config(_words(sweep, trial)))
        check_keys(config)
        assert "wandb" in config["logger"]
        for name, told in trial.items():
            value: Any = config
            for key in name.split("."):
                value = value[key]
            assert told["value"] in (value, config["head_name"] if name == "head" else value)
        assert sweep["metric"] == {"name": "regress/val/mae", "goal": "minimize"}


@pytest.mark.slow
def test_an_agent_runs_the_trials_under_its_ids(tiny_digits: list[str], tmp_path: Path) -> None:
    server = PlayedServer()
    environment = {**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": "a" * 40}
    environment.pop("WANDB_MODE", None)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    sweep = yaml.safe_load(next(path for path in SWEEPS if path.stem == "digits_rnc").read_text())
    short = ["recipe.pretrain.epochs=1", "recipe.linear_probe.epochs=2", "paths.output_dir=runs"]
    sweep["command"][-1:-1] = [*tiny_digits, *short]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))

    def wandb(*words: str) -> None:
        command = [str(Path(sys.executable).with_name("wandb")), *words]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=PATIENCE)

    wandb("sweep", "--entity", "entity", "sweep.yaml")
    first, second = _trials(sweep)
    # The third asks for what the first one has finished, as a sweep that is made anew does.
    for place, trial in enumerate((first, second, first)):
        server.trials.append({"type": "run", "run_id": f"trial{place}", "program": sweep["program"], "args": trial})
    wandb("agent", "--count", "3", "entity/project/sweep")
    server.stop()
    assert server.exit_codes == {"trial0": 0, "trial1": 0, "trial2": 0}
    assert {run["sweep"] for run in server.runs.values()} == {"sweep"}
    results = [json.loads(path.read_text()) for path in tmp_path.glob("runs/digits_rnc/*/result.json")]
    errors = {result["overrides"]["recipe.pretrain.lr"]: result["test"]["mae"] for result in results}
    assert len(errors) == 2
    for rows in server.history.values():
        assert len([row for row in rows if sweep["metric"]["name"] in row]) == 2
        ((error,),) = ([row["test/mae"] for row in rows if "test/mae" in row],)
        assert error in errors.values()
    repeated = [[row["test/mae"] for row in server.history[f"trial{i}"] if "test/mae" in row] for i in (0, 2)]
    assert repeated[0] == repeated[1]
