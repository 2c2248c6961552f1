from pathlib import Path

import pytest

from rnc_lightning.command_line.identity import run_name, run_path
from rnc_lightning.system.errors import UserError

CONFIG = {"dataset": "digits", "method": "rnc", "seed": 4}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["+experiment=digits_rnc"], "digits_rnc/seed=4"),
        (["data=digits", "method=rnc"], "digits_rnc/seed=4"),
        ([], "digits_rnc/seed=4"),
        (["seed=4", "recipe.pretrain.lr=0.1", "+experiment=digits_rnc"], "digits_rnc/recipe.pretrain.lr=0.1,seed=4"),
        (["+experiment=digits_rnc", "paths.output_dir=/x", "logger=wandb", "data.num_workers=3"], "digits_rnc/seed=4"),
        (["+experiment=mine", "method=l1"], "mine/method=l1,seed=4"),
    ],
)
def test_the_same_command_has_the_same_name(overrides: list[str], expected: str) -> None:
    assert run_name(CONFIG, overrides) == expected


def test_names_stay_short_and_apart() -> None:
    long = [[f"encoder.weights=/{'x' * 300}/{i}", "+experiment=e"] for i in (1, 2)]
    names = [run_name(CONFIG, words) for words in long]
    assert names[0] != names[1]
    assert all(len(name.split("/")[1]) < 140 and name.count("/") == 1 for name in names)


def test_names_that_a_file_system_would_change_stay_apart() -> None:
    assert run_name(CONFIG, ["+tag=a/b"]) != run_name(CONFIG, ["+tag=a_b"])


@pytest.mark.parametrize("name", ["../../../x", "a/b", "..", ".hidden", "", "line\nbreak", "x" * 101, "/absolute"])
def test_names_that_become_folders_stay_in_theirs(name: str) -> None:
    config = {"dataset": name, "method": "rnc", "seed": 0, "paths": {"run_dir": None, "output_dir": "runs"}}
    with pytest.raises(UserError, match=r"^dataset: .* is part of the names of folders and files"):
        run_path(config, [])
    with pytest.raises(UserError, match=r"^method: "):
        run_path({**config, "dataset": "x", "method": name}, [])


def test_an_experiment_may_be_in_a_folder_but_not_outside() -> None:
    config = {"dataset": "x", "method": "rnc", "seed": 0, "paths": {"run_dir": None, "output_dir": "runs"}}
    assert run_path(config, ["+experiment=mine/agedb"]) == Path("runs/mine/agedb/seed=0")
    with pytest.raises(UserError, match=r"^experiment: "):
        run_path(config, ["+experiment=../../agedb"])
