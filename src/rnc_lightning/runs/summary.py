"""The summary printed at the start of a run: what will be computed, in a few lines."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.number_text import format_number
from rnc_lightning.runs.built import BuiltRun
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.stages import Regress, Stage
from rnc_lightning.system.synthetic_marker import synthetic_note
from rnc_lightning.targets import TargetSpec

_MOST_LINES = 15


def print_summary(
    request: RunRequest, built: BuiltRun, directory: RunDirectory, reused: Mapping[str, str], console: Console
) -> None:
    """Print the summary, and before it the whole configuration if `print_config` is set.

    Args:
        request: The run.
        built: Its parts.
        directory: Its directory.
        reused: For each stage that is not computed from the start, the reason in words.
        console: Console to print to. Names given by the user (paths, columns) are printed without Rich markup.
    """
    if request.config["print_config"]:
        from rnc_lightning.command_line.tables import config_tree

        console.print(config_tree(request.config))
    table = Table.grid(padding=(0, 2))
    for key, value in _lines(request, built, directory, reused):
        table.add_row(Text(key, style="bold"), Text(value))
    console.print(table)


def _lines(
    request: RunRequest, built: BuiltRun, directory: RunDirectory, reused: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    config, identity = request.config, request.identity
    added = f", with {' and '.join(identity['with'])}" if identity["with"] else ""
    yield "run", f"{config['method']}, head {identity['head']}, {config['scheme']}{added}, seed {request.seed}"
    yield "data", _data(str(config["dataset"]), built)
    yield "target", _target(built.target)
    yield "encoder", _encoder(config["encoder"], built.regressor)
    room = _MOST_LINES - 7
    shown = list(built.modules)[:room]
    for stage in shown:
        yield stage, _stage(stage, config["stages"][stage], built, reused.get(stage))
    if len(built.modules) > room:
        yield "", f"and {len(built.modules) - room} more stages"
    yield "device", _device(request, built)
    yield "directory", str(directory.path)


def _data(name: str, built: BuiltRun) -> str:
    counts = ", ".join(f"{count:,} {part}" for part, count in built.datamodule.counts.items())
    note = synthetic_note(built.datamodule.synthetic_parts)
    skipped = sum(built.datamodule.skipped.values())
    return f"{name}{f' ({note})' if note else ''}: {counts}{f'; {skipped:,} skipped' if skipped else ''}"


def _target(target: TargetSpec) -> str:
    def describe(name: str) -> str:
        dimension = target.dimensions[name]
        unit = f" {dimension.unit}" if dimension.unit else ""
        ends = [format_number(end, trim=True) for end in (dimension.low, dimension.high)]
        seen = f", {dimension.transform}" if dimension.transform else ""
        return f"{name}, {' to '.join(ends)}{unit}{seen}{', standardised' if dimension.is_scaled else ''}"

    return "; ".join(map(describe, target.names))


def _encoder(config: Mapping[str, Any], regressor: Regress) -> str:
    name = config.get("name") or str(config["_target_"]).rpartition(".")[2]
    count = sum(parameter.numel() for parameter in regressor.exported_encoder.parameters())
    return f"{name}, {count:,} parameters, {regressor.num_features} features"


def _stage(name: str, config: Mapping[str, Any], built: BuiltRun, reused: str | None) -> str:
    module, plan = built.modules[name], built.plans[name]
    views = f" x {plan.views} views" if plan.views is not None else ""
    optimizer = config["optimizer"]
    rate = f"{str(optimizer['_target_']).rpartition('.')[2]}, learning rate {optimizer.get('lr', 'default')}"
    batch = f"{plan.batch_size} samples{views} per batch"
    text = f"{_plural(plan.epochs, 'epoch')}, {batch}, {rate}, {_describe_module(module)}"
    return f"{text}; {reused}" if reused else text


def _describe_module(module: Stage) -> str:
    if isinstance(module, Regress):
        return "encoder frozen" if module.freeze_encoder else "encoder trained"
    return type(module.objective).__name__ if hasattr(module, "objective") else type(module).__name__


def _device(request: RunRequest, built: BuiltRun) -> str:
    trainer = built.make_trainer(logger=False, enable_checkpointing=False)
    kind = trainer.strategy.root_device.type
    name = torch.cuda.get_device_name(trainer.strategy.root_device) if kind == "cuda" else kind.upper()
    count = distributed.world_size()
    processes = f"{count} processes" if count > 1 else _plural(torch.get_num_threads(), "thread")
    return f"{name}, {processes}, precision {request.trainer.get('precision', '32-true')}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
