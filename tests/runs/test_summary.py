"""The first screen of a run."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig
from rich.console import Console

from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import UserError

SHORT = ("recipe.pretrain.epochs=1", "recipe.linear_probe.epochs=1")


def _first_screen(compose_config: Callable[..., DictConfig], *options: str) -> list[str]:
    """What a run prints before its result, line by line."""
    text = io.StringIO()
    console = Console(file=text, width=250)
    run(compose_config("+experiment=digits_rnc", *SHORT, *options), ("+experiment=digits_rnc", *options), console)
    lines = text.getvalue().splitlines()
    end = next(i for i, line in enumerate(lines) if "test set" in line)
    return [line.rstrip() for line in lines[:end]]


def test_the_summary_is_short_and_shows_names_as_they_are(
    compose_config: Callable[..., DictConfig], tiny_digits: list[str]
) -> None:
    first = _first_screen(compose_config, *tiny_digits, "paths.run_dir='runs/target=[y],b'")
    assert len(first) <= 15
    shown = dict(line.split(None, 1) for line in first)
    assert shown["directory"] == "runs/target=[y],b"
    assert shown["data"] == "digits (synthetic target): 109 train, 37 val, 37 test"
    assert shown["encoder"].startswith("SmallResNet, ")
    assert "1 epoch, 32 samples x 2 views per batch, SGD, learning rate" in shown["pretrain"]
    assert "encoder frozen" in shown["regress"]
    assert "precision 32-true" in shown["device"]


def test_what_is_reused_is_said(compose_config: Callable[..., DictConfig], tiny_digits: list[str]) -> None:
    _first_screen(compose_config, *tiny_digits, "paths.run_dir=one")
    second = _first_screen(compose_config, *tiny_digits, "head=mse", "paths.run_dir=two")
    (pretrain,) = [line for line in second if line.startswith("pretrain")]
    assert "trained" in pretrain.rpartition(";")[2]


def test_print_config_shows_the_whole_tree_before_it(
    compose_config: Callable[..., DictConfig], tiny_digits: list[str]
) -> None:
    first = _first_screen(compose_config, *tiny_digits, "print_config=true", "paths.run_dir=one")
    assert first[0] == "configuration"
    assert len(first) > 100


def test_errors_come_before_anything_is_printed(
    compose_config: Callable[..., DictConfig], tiny_digits: list[str], tmp_path: Path
) -> None:
    text = io.StringIO()
    cfg = compose_config(*tiny_digits, "recipe.linear_probe.lr=-1", "print_config=true")
    with pytest.raises(UserError, match="optimizer"):
        run(cfg, (), Console(file=text))
    assert not text.getvalue()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
