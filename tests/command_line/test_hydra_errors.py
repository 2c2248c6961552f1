"""What Hydra finds wrong is said in one line, in the same words everywhere."""

from collections.abc import Callable

import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig

from rnc_lightning.command_line.hydra_errors import is_hydras
from rnc_lightning.command_line.messages import one_line, reason


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("head=crn", "head=crn: unknown option; did you mean head=corn? (head: balanced_mse, corn, "),
        ("head=", "head=: unknown option; known here: balanced_mse, corn, "),
        ("+experiment=digits_rcn", "experiment=digits_rcn: unknown option; did you mean +experiment=digits_rnc?"),
        ("+experiment=a/b", "experiment=a/b: unknown option; known here: agedb_dino, "),
        ("data=agebd", "data=agebd: unknown option; did you mean data=agedb? (data: agedb, "),
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
        ("seed=[1", "seed=[1: cannot be read ("),
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


def test_a_bug_stays_one() -> None:
    assert not is_hydras(ValueError("no value"))
    assert reason(ValueError("no value")) == "ValueError: no value"
