"""What a run asks Slurm for."""

from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import DictConfig

from rnc_lightning.command_line.messages import one_line
from rnc_lightning.sweeps.slurm.submission import required_resources, submit
from rnc_lightning.system.errors import UserError


@pytest.mark.parametrize(
    ("trainer", "chosen", "expected"),
    [
        ({"accelerator": "cpu", "devices": 2}, {}, {"nodes": 1, "gpus_per_node": None, "cpus_per_task": 6}),
        ({"accelerator": "gpu", "devices": [1, 3]}, {}, {"nodes": 1, "gpus_per_node": 2, "cpus_per_task": 6}),
        ({"devices": 1}, {"gpus_per_node": 1, "cpus_per_task": 9}, {"gpus_per_node": 1, "cpus_per_task": 9}),
        ({"devices": 1}, {"gpus_per_node": 0}, {"gpus_per_node": None}),
        ({"accelerator": "gpu", "devices": 1}, {"gres": "gpu:a100:1"}, {"gpus_per_node": None}),
        ({"accelerator": "gpu", "devices": 4, "num_nodes": 2}, {}, {"nodes": 2, "gpus_per_node": 4}),
    ],
)
def test_nodes_gpus_and_cores_follow_the_trainer(
    trainer: dict[str, Any], chosen: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert required_resources(trainer, 2, chosen).items() >= expected.items()


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"accelerator": "auto", "devices": 1}, "whether the jobs need a GPU: .* trainer=cpu"),
        ({"accelerator": "gpu", "devices": "auto"}, "trainer.devices=auto: .* give a number"),
    ],
)
def test_what_slurm_cannot_be_told_is_one_line(trainer: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        required_resources(trainer, 0, {})


def test_runs_that_need_different_things_are_refused(compose_config: Callable[..., DictConfig]) -> None:
    pytest.importorskip("submitit")
    configs = [compose_config("trainer=cpu"), compose_config("trainer=ddp_cpu")]
    with pytest.raises(UserError, match="different resources of Slurm"):
        submit(print, {}, configs, [[], []], 0)


def test_the_configuration_is_complete_and_without_slurm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    from hydra import compose, initialize_config_dir

    from rnc_lightning.command_line.compose import config_directory

    words = ["hydra/launcher=slurm", "trainer=ddp_cpu", "trainer.num_nodes=3"]
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        cfg = compose("train", words, return_hydra_config=True)
    launcher = cfg.hydra.launcher
    assert (launcher.nodes, launcher.tasks_per_node, launcher.name) == (3, 1, "digits_rnc")
    assert launcher.additional_parameters == {"requeue": True}
    monkeypatch.setenv("PATH", "")
    values = {**launcher, "submitit_folder": "jobs"}
    with pytest.raises(UserError, match="srun"):
        submit(print, values, [cfg], [[]], 0)


def test_a_missing_extra_is_named() -> None:
    from hydra.errors import MissingConfigException

    error = MissingConfigException("Could not load", missing_cfg_file="hydra/launcher/submitit_slurm")
    assert one_line(error) == "hydra/launcher=slurm needs submitit: pip install 'rnc-lightning[slurm]'"
