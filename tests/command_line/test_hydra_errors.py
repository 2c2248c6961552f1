"""What Hydra finds wrong is said in one line, in the same words everywhere."""

import shlex
from collections.abc import Callable

import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig

from rnc_lightning.command_line.compose import resolve_config
from rnc_lightning.command_line.hydra_errors import is_hydras
from rnc_lightning.command_line.messages import one_line, reason
from rnc_lightning.command_line.quoting import path_quoted, quoted


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("head=crn", "head=crn: unknown option; did you mean head=corn? (head: balanced_mse, corn, "),
        ("head=", "head=: unknown option; known here: balanced_mse, corn, "),
        ("+experiment=digits_rcn", "experiment=digits_rcn: unknown option; did you mean +experiment=digits_rnc?"),
        ("+experiment=a/b", "experiment=a/b: unknown option; known here: agedb_dino, "),
        ("data=agebd", "data=agebd: unknown option; did you mean data=agedb? (data: agedb, "),
        ("trainer.fast_dev_run=true", "trainer.fast_dev_run: use +debug=one_batch"),
        ("trainer.max_epochs=3", "trainer.max_epochs: the length of a stage is recipe."),
        (
            "logger=[wandb,tensorbord]",
            "logger=tensorbord: unknown option; did you mean logger=tensorboard? (logger: csv, ",
        ),
        ("data.batchsize=3", "data.batchsize: unknown option; did you mean data.batch_size?"),
        ("headd=l1", "headd: unknown option; did you mean head?"),
        ("foo.bar=1", "foo: unknown option; known here: recipe, "),
        ("experiment=digits_rnc", "experiment=digits_rnc: is added with +; write +experiment=digits_rnc"),
        ("experimnt=digits_rnc", "experimnt: unknown option; did you mean +experiment?"),
        ("+seed=1", "+seed=1: is there already; write seed=1"),
        ("+head=l1", "head: chosen twice; "),
        ("head@a=l1", "head@a: unknown option; did you mean head?"),
        ("~foo", "~foo: unknown option; "),
        ("head=3", "a group takes the name of a choice, such as head=l1; "),
        ("head=l1,crn", "head=l1,crn: several values; -m runs each; head=[l1,crn] is a list"),
        ("hello", "hello: an option is key=value, such as seed=1; --help shows all"),
        ("seed=[1", "seed=[1: cannot be read because of [ without quotes; write "),
    ],
)
def test_it_is_one_line_without_the_search_path(
    argument: str, told: str, compose_config: Callable[..., DictConfig]
) -> None:
    with pytest.raises((HydraException, ValueError)) as refused:
        compose_config(argument)
    assert is_hydras(refused.value)
    line = one_line(refused.value)
    assert line.startswith(told), line
    for word in ("search path", "\n", "hydra.cc", "no such"):
        assert word not in line
    assert reason(refused.value) == line


@pytest.mark.parametrize(
    ("argument", "because", "value"),
    [
        ("dataset=müll", "ü", "müll"),
        ("dataset=日本", "日 本", "日本"),
        ("dataset=~/x.csv", "~", "~/x.csv"),
        ("dataset=a=b", "=", "a=b"),
        ("dataset=a[1] (2)", "[ ] ( )", "a[1] (2)"),
        ("dataset=it's", "'", "it's"),
        ('dataset="half', '"', '"half'),
        ("dataset=a&b;c#d!", "& ; # !", "a&b;c#d!"),
        ("dataset=[größe]", "ö ß", ["größe"]),
        ("dataset=[body (kg), 'alter']", "( )", None),
        ("dataset=[größe,alter]", "ö ß", ["größe", "alter"]),
    ],
)
def test_the_quoted_form_that_is_shown_works(
    argument: str, because: str, value: object, compose_config: Callable[..., DictConfig]
) -> None:
    with pytest.raises(HydraException) as refused:
        compose_config(argument)
    line = one_line(refused.value)
    assert f"cannot be read because of {because}" in line
    (form,) = shlex.split(line.rpartition("; write ")[2])  # what a shell passes on
    assert value is None or compose_config(form).dataset == value


def test_a_key_that_quotes_do_not_help_is_sent_to_a_file(compose_config: Callable[..., DictConfig]) -> None:
    with pytest.raises(HydraException) as refused:
        compose_config("+data.plausible.größe=[0,3]")
    assert "+data.plausible.größe cannot be read because of ö ß; set it in a YAML file" in one_line(refused.value)


@pytest.mark.parametrize("value", ["müll.csv", "~/x.csv", "a=b.csv", "a[1] (2).csv", "it's.csv", "~/größe/a.csv"])
def test_paths_of_tables_need_no_quotes_and_a_tilde_is_the_home_directory(
    value: str, compose_config: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    words = [path_quoted(f"data.csv={value}"), "data.target=[y]", f"+data.root={quoted('~/pictures')}"]
    config = resolve_config(compose_config("data=table", "method=l1", *words[:2], words[2].lstrip("+")))
    assert config["data"]["csv"] == value.replace("~/", "/home/me/")
    assert config["data"]["root"] == "/home/me/pictures"


def test_a_bug_stays_one() -> None:
    assert not is_hydras(ValueError("no value"))
    assert reason(ValueError("no value")) == "ValueError: no value"
