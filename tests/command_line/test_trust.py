"""What the configuration of somebody else's run may call."""

import re
from pathlib import Path

import pytest

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.command_line.trust import _BASES, _base, check_targets, targets_in, without_files_of_weights
from rnc_lightning.system.errors import UserError

FILE = Path("config.yaml")
OURS = sorted(
    {
        name
        for path in config_directory().rglob("*.yaml")
        if not {"hydra", "study"} & set(path.relative_to(config_directory()).parts) and path.name != "train.yaml"
        for name in re.findall(r"_target_: (?:\S+,)?([\w.]+)", path.read_text(encoding="utf-8"))
    }
)


def allowed(name: str, *trust: str) -> bool:
    try:
        check_targets({"a": [{"_target_": name}]}, trust, FILE)
    except UserError:
        return False
    return True


def test_everything_that_a_run_of_this_suite_names_is_allowed() -> None:
    assert len(OURS) > 40
    assert not [name for name in OURS if not allowed(name)]


@pytest.mark.parametrize(
    "name",
    [
        "torch.nn.Linear", "torch.optim.AdamW", "torch.optim.lr_scheduler.CosineAnnealingLR", "timm.create_model",
        "timm.layers.Mlp", "timm.optim.Lamb", "torchvision.transforms.v2.Compose", "torchvision.transforms.Resize",
        "lightning.pytorch.callbacks.EarlyStopping", "lightning.pytorch.loggers.CSVLogger", "lightning.pytorch.Trainer",
        "lightning.pytorch.strategies.DDPStrategy", "lightning.pytorch.profilers.SimpleProfiler",
    ],
)  # fmt: skip
def test_parts_of_the_libraries_are_allowed(name: str) -> None:
    assert allowed(name)


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "builtins.eval", "builtins.open", "pathlib.Path.write_text", "subprocess.run", "functools.partial",
        "hydra.utils.get_method", "hydra.utils.get_class", "hydra.utils.get_object", "hydra.utils.instantiate",
        "omegaconf.OmegaConf.load", "numpy.load", "pickle.loads", "my_package.Model",
        # functions of allowed packages that read, write, or run something
        "torch.load", "torch.hub.load", "torch.nn.functional.relu", "torch.nn.init.zeros_", "torchvision.io.read_file",
        "timm.models.load_checkpoint", "timm.models._hub.load_state_dict_from_hf", "timm.utils.CheckpointSaver",
        "lightning.fabric.utilities.cloud_io._load", "lightning.pytorch.cli.LightningCLI",
        "rnc_lightning.system.files.write_text", "rnc_lightning.encoders.save_encoder", "rnc_lightning.runs.run.run",
        "rnc_lightning.datasets.images.cache.cached_images", "rnc_lightning.tracking.loggers.finish",
        "rnc_lightning.sweeps.callback.Sweep", "rnc_lightning.studies.maps.Maps",
        # ways out of an allowed package
        "rnc_lightning.runs.run.tempfile.mkdtemp", "rnc_lightning.encoders.handoff.write_text",
        "rnc_lightning.encoders.handoff.Path", "rnc_lightning.datasets.images.cache.shutil.rmtree",
        "rnc_lightning.datasets.images.transforms.Any", "rnc_lightning.tracking.loggers.Path",
        "rnc_lightning.stages.Regress.load_from_checkpoint", "lightning.pytorch.Trainer.save_checkpoint",
        "lightning.pytorch.callbacks.Callback.__subclasses__", "torch.nn.Linear.__init__.__globals__.get",
        "torch.nn.modules.module.torch.load", "torch.optim.optimizer.functools.partial",
        "torchvision.transforms.transforms.torch.load", "timm.models._factory.os.system",
        # no names
        "", "a", "torch.nn.", "torch..nn.Linear", "torch.nn.Linear()", "torch.nn.\nLinear", "torch.nn.NoSuchLayer",
    ],
)  # fmt: skip
def test_everything_else_is_refused(name: str) -> None:
    assert not allowed(name)


def test_every_base_exists() -> None:
    assert all(isinstance(_base(name), type) for names in _BASES.values() for name in names)


def test_trust_takes_packages_modules_and_objects() -> None:
    assert allowed("my_package.models.Model", "other", "my_package")
    assert allowed("my_package.models.Model", "my_package.models")
    assert allowed("my_package.models.Model", "my_package.models.Model")
    assert not allowed("my_package_2.Model", "my_package")
    assert not allowed("my_package.models.Model", "my_package.models.Mod")
    for name in ("", "*", "my package", "my-package", "os;"):
        with pytest.raises(UserError, match=r"trust=.*: must be the name of a package"):
            check_targets({}, [name], FILE)


def test_the_message_names_the_key_and_the_option() -> None:
    config = {"a": {"b": [1, {"_target_": "one.x", "_args_": [{"_target_": "two.y"}]}]}}
    with pytest.raises(UserError) as error:
        check_targets(config, [], FILE)
    assert str(error.value) == (
        "config.yaml: a.b[1]._target_ is one.x (and 1 more), which the configuration of a run may only call if you "
        "trust it: if you know that code, add trust=one.x,two.y"
    )
    assert targets_in(config) == ("one.x", "two.y")
    check_targets(config, targets_in(config), FILE)


@pytest.mark.parametrize(
    "config",
    [
        {"a": "${oc.env:HOME}"}, {"a": [{"b": "x${c}"}]}, {"${a}": 1}, {"_target_": "${oc.decode:os.system}"},
        {"a": {"_target_": None}}, {"a": {"_target_": {"_target_": "torch.nn.Linear"}}},
        {"a": {"_target_": ["os", "system"]}},
    ],
)  # fmt: skip
def test_interpolations_and_targets_that_are_no_text_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"holds an interpolation|must be a dotted name"):
        check_targets(config, ["os", "torch"], FILE)


def test_no_model_of_timm_reads_weights_after_training() -> None:
    ours = {"_target_": "rnc_lightning.encoders.TimmEncoder", "name": "a", "weights": "w.pth"}
    config = {"encoder": {**ours, "kwargs": {"pretrained": True, "checkpoint_path": "w.pth", "drop_rate": 0.1}}}
    changed = without_files_of_weights({**config, "data": [{"_target_": "other.X", "pretrained": True}]})
    assert changed["encoder"]["weights"] is None
    assert changed["encoder"]["kwargs"] == {"pretrained": False, "checkpoint_path": None, "drop_rate": 0.1}
    assert changed["data"] == [{"_target_": "other.X", "pretrained": True}]
    assert config["encoder"]["weights"] == "w.pth"
