"""The configuration of a finished run, as it is used afterwards: on one device, without what only training needs."""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnc_lightning.command_line.compose import with_option
from rnc_lightning.command_line.identity import VOLATILE
from rnc_lightning.command_line.trust import without_files_of_weights
from rnc_lightning.system.errors import UserError, first_line

log = logging.getLogger(__name__)

# One process on one device, no progress bar, all batches, however the run was trained.
_SINGLE_DEVICE = {
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
    "sync_batchnorm": False,
    "limit_test_batches": 1.0,
    "enable_progress_bar": False,
}
_NOT_FOR_TESTS = ("callbacks", "default_root_dir", "logger", "profiler")  # arguments of the Trainer that write files


def config_for_tests(config: Mapping[str, Any], stage: str) -> dict[str, Any]:
    """The configuration for one process, without what only training needed: compilation, pretrained weights."""
    import torch

    changed: dict[str, Any] = copy.deepcopy(without_files_of_weights(config))
    trainer, module, encoder = changed["trainer"], changed["stages"][stage]["module"], changed["encoder"]
    changed["trainer"] = trainer = {key: value for key, value in trainer.items() if key not in _NOT_FOR_TESTS}
    gpu = torch.cuda.is_available()
    accelerator = trainer.get("accelerator", "auto")
    trainer.update({**_SINGLE_DEVICE, "accelerator": accelerator if gpu or accelerator == "cpu" else "auto"})
    if not gpu and trainer.get("precision") == "16-mixed":
        trainer["precision"] = "32-true"
    if "compile" in module:
        module["compile"] = None
    if "weights" in encoder:
        encoder["weights"] = None  # the checkpoint has all of them
    return changed


def with_data_options(config: dict[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """The configuration with options about where the data are and how they are read; other options are refused."""
    for option in options:
        key, _, value = option.partition("=")
        key = key.lstrip("+")
        if key not in VOLATILE and key != "data.eval_batch_size":
            allowed = ", ".join(name for name in VOLATILE if name.startswith("data."))
            raise UserError(
                f"{key}: would change the data of the run, for which only {allowed} can be set; "
                "to evaluate on other data, name the data set: data=NAME"
            )
        config = with_option(config, key, value)
    if not any(option.lstrip("+").startswith("data.cache_dir=") for option in options):
        _only_existing_cache(config["data"])
    return config


def _only_existing_cache(data: dict[str, Any]) -> None:
    """Use the cache folder that a run's configuration names only where it exists: its author chose it, not the user.

    Raises:
        UserError: If the data need a cache.
    """
    folder = data.get("cache_dir")
    if folder is None or Path(str(folder)).is_dir():
        return
    if data.get("cache"):
        raise UserError(f"data.cache_dir={folder} of the run does not exist here: choose one with data.cache_dir=...")
    log.info("%s, the cache folder of the run, does not exist here: nothing is cached (data.cache_dir=...)", folder)
    data["cache_dir"] = None


@contextmanager
def errors_of(run: Path) -> Iterator[None]:
    """Turn what goes wrong while parts are built from a configuration that was altered into one line."""
    try:
        yield
    except (AttributeError, AssertionError, IndexError, KeyError, TypeError) as error:
        raise UserError(
            f"{run / 'config.yaml'} was altered or is incomplete: {type(error).__name__} {first_line(error)}"
        ) from error


def check_kind(part: object, key: str, kind: type) -> None:
    """Check that a part of a run is what its place in the configuration says.

    Raises:
        TypeError: If it is not.
    """
    if not isinstance(part, kind):
        raise TypeError(f"{key} must be a {kind.__name__}, got a {type(part).__name__}")
