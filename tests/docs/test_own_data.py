"""The worked examples of docs/own_data.md, run as they stand, and the figures that the page gives."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PAGE = (Path(__file__).parents[2] / "docs" / "own_data.md").read_text(encoding="utf-8")
WITHOUT_BARS = "trainer.enable_progress_bar=false callbacks.model_summary=null plots=false callbacks.diagnostics=null"


def _section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def _blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


def _run(section: str) -> str:
    """Run the page's Python in this process and its commands as a person would; returns what they print."""
    for block in _blocks(section, "python"):
        exec(compile(block, "own_data.md", "exec"), {})
    printed = ""
    for block in _blocks(section, "sh"):
        for command in block.replace("\\\n", " ").strip().splitlines():
            more = f" {WITHOUT_BARS}" if "rnc_lightning.train" in command else ""
            called = subprocess.run(
                command.replace("python ", f"{sys.executable} ", 1) + more,
                shell=True,
                capture_output=True,
                text=True,
                check=False,
            )
            assert called.returncode == 0, called.stderr
            printed += called.stdout
    return printed


def _results(*runs: str) -> list[dict]:
    return [json.loads(Path("runs", run, "result.json").read_text()) for run in runs]


@pytest.mark.slow
def test_images() -> None:
    printed = _run(_section("Worked example: images"))
    assert "every sample can be used" in printed
    rnc, l1 = _results("ink_rnc", "ink_l1")
    assert rnc["data_fingerprint"] == l1["data_fingerprint"]  # the same split
    assert rnc["dataset"] == "ink"
    assert rnc["units"] == ["percent"]
    for result in (rnc, l1):
        assert result["test"]["mae"] < 0.8 * result["constant"]["mae"]  # it learns
    sheets = {part: set() for part in ("train", "val", "test")}
    for line in Path("runs/ink_rnc/split.csv").read_text().splitlines()[1:]:
        name, part = line.split(",")
        sheets[part].add(int(re.findall(r"\d+", name)[0]) // 20)
    assert not sheets["train"] & sheets["test"]
    assert not sheets["train"] & sheets["val"]


@pytest.mark.slow
def test_plain_features() -> None:
    _run(_section("Worked example: plain features"))
    (result,) = _results("diabetes_rnc")
    assert result["dataset"] == "diabetes"
    assert result["test"]["mae"] < 0.9 * result["constant"]["mae"]


def test_a_configuration_of_your_own_composes() -> None:
    from hydra import compose, initialize_config_dir

    from rnc_lightning.command_line.compose import check_keys, config_directory, resolve_config

    section = _section("Your own configuration")
    text = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    Path("my_conf/experiment").mkdir(parents=True)
    Path("my_conf/experiment/ink.yaml").write_text(text)
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        words = [f"hydra.searchpath=[file://{Path.cwd()}/my_conf]", "+experiment=ink"]
        config = resolve_config(compose("train", words))
    check_keys(config)
    assert config["data"]["target"] == ["ink"]
    assert config["data"]["train_transform"]["size"] == 32
    assert yaml.safe_load(text)["dataset"] == config["dataset"] == "ink"


@pytest.mark.parametrize("title", ["Worked example: images", "Worked example: plain features"])
def test_the_page_has_what_is_run(title: str) -> None:
    assert _blocks(_section(title), "python")
    assert _blocks(_section(title), "sh")
