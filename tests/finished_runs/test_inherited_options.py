"""Another data set is read as the data of the run were."""

from pathlib import Path
from typing import Any

import pytest

from rnc_lightning.command_line.compose import compose_config
from rnc_lightning.finished_runs.inherited_options import inherited_options, transform_of_run
from rnc_lightning.system.errors import UserError

RUN: dict[str, Any] = {
    "sampling_rate": 200.0, "window": 10, "low": 0.5, "high": None, "channels": None, "in_channels": 2,
}  # fmt: skip
PREPARATION = {"channels": ["EEG C3-REF", "C4"]}
SIGNALS = ["data=signals", "data.csv=my.csv", "data.target=[age]"]


def _given(*options: str) -> dict[str, str]:
    return dict(option.split("=", 1) for option in [*SIGNALS, *options])


def test_signals_get_rate_band_window_and_channels_of_the_run() -> None:
    keys = compose_config(SIGNALS).data.keys()
    added = inherited_options(keys, _given(), RUN, PREPARATION, Path("run"))
    data = compose_config([*SIGNALS, *added]).data
    assert {key: data[key] for key in RUN if key not in ("channels", "in_channels")} == {
        key: value for key, value in RUN.items() if key not in ("channels", "in_channels")
    }
    assert list(data.channels) == PREPARATION["channels"]


def test_other_signals_than_those_of_training_are_refused() -> None:
    keys = compose_config(SIGNALS).data.keys()
    assert "data.window=10" not in inherited_options(keys, _given("data.window=10.0"), RUN, None, Path("run"))
    for option in ("data.sampling_rate=100", "data.window=null", "data.high=40"):
        with pytest.raises(UserError, match=rf"^{option}, but run was trained with .*: leave it out"):
            inherited_options(keys, _given(option), RUN, None, Path("run"))


def test_images_get_background_orientation_and_range() -> None:
    keys = compose_config(["data=table", "data.csv=my.csv", "data.target=[age]"]).data.keys()
    run = {"background": [1, 2, 3], "exif_orientation": False, "image_range": None}
    added = inherited_options(keys, {"data.exif_orientation": "true"}, run, {"image_range": [0, 4095]}, Path("run"))
    assert added == ["data.background=[1, 2, 3]", "data.image_range=[0, 4095]"]


def test_the_transform_of_the_run_is_used_if_it_is_the_same_kind_and_not_set() -> None:
    ours = {"data": {"eval_transform": {"_target_": "a", "scale": 20.0}}}
    theirs = {"seed": 0, "data": {"csv": "x", "eval_transform": {"_target_": "a", "scale": 1.0}}}
    assert transform_of_run(theirs, ours, [])["data"] == {"csv": "x", "eval_transform": ours["data"]["eval_transform"]}
    assert transform_of_run(theirs, ours, ["data.train_transform.scale"]) == theirs
    assert transform_of_run(theirs, {"data": {"eval_transform": {"_target_": "b"}}}, []) == theirs
