"""More epochs on a finished run are another run: it is said why, and what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from rnc_lightning.runs.comparison import check_config
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.other_epochs import other_epochs
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.system.errors import UserError


def test_more_epochs_in_the_same_directory_are_refused(
    compose_config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    short, long, other = (
        RunRequest.read(compose_config("+experiment=digits_rnc", *words), words)
        for words in (
            ["recipe.linear_probe.epochs=2"],
            ["recipe.linear_probe.epochs=4"],
            ["recipe.linear_probe.epochs=4", "recipe.linear_probe.lr=0.3"],
        )
    )
    directory = RunDirectory(tmp_path / "run")
    directory.begin(short.config, {})
    check_config(short, directory)
    with pytest.raises(
        UserError, match=r"another number of epochs \(regress: 2 -> 4\), .*a cosine over all"
    ) as refused:
        check_config(long, directory)
    assert f"+encoder_from={directory.path}" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(UserError, match=r"another configuration \(.*recipe\.linear_probe\.lr: .* -> 0\.3"):
        check_config(other, directory)


def test_only_epochs_of_stages_count() -> None:
    path = Path("run")
    assert other_epochs(path, ["recipe.end_to_end.epochs: 1 -> 2"]) is None  # of a scheme that is not run
    assert other_epochs(path, ["stages.a.epochs: 1 -> 2", "stages.b.epochs: 3 -> 2"]) is not None
    assert other_epochs(path, ["stages.a.epochs: 1 -> 2", "callbacks.x.every_n_epochs: 1 -> 2"]) is None
    assert other_epochs(path, []) is None
