"""Export the encoder of a finished run: weights, model card, timm weights, ONNX."""

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnc_lightning.command_line.identity import without_volatile
from rnc_lightning.finished_runs.finished_run import FinishedRun, open_run
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import sha256, write_text
from rnc_lightning.system.synthetic_marker import ALL_PARTS

if TYPE_CHECKING:
    from torch import Tensor

    from rnc_lightning.finished_runs.input_description import PreparedInput
    from rnc_lightning.stages import Regress

log = logging.getLogger(__name__)

_CHECKED_INPUTS = 256  # number of test inputs that the ONNX file is checked with
_MARK = "rnc_lightning export"  # in config.json, so that no other folder is ever replaced


def export_run(
    run: Path | str,
    out: Path | str | None = None,
    *,
    onnx: bool = False,
    tolerance: float = 1e-4,
    overwrite: bool = False,
    trust: Sequence[str] = (),
) -> Path:
    """Write encoder, model card and configuration, and return their folder.

    Args:
        run: Directory of a finished run.
        out: Folder to create; None: `export` in the directory of the run.
        onnx: Whether to write `regressor.onnx` too (encoder and head), and check it.
        tolerance: Largest accepted difference of its predictions from PyTorch's, as a fraction of the largest one.
        overwrite: Whether an earlier export may be replaced.
        trust: What the configuration of the run may name besides what every run may; see `open_run`.

    Raises:
        UserError: For anything the user can fix; nothing is left behind then.
    """
    folder = Path(run) / "export" if out is None else Path(out)
    _check_arguments(folder, onnx, tolerance, overwrite)
    if onnx:
        from rnc_lightning.finished_runs.onnx_export import check_installed

        check_installed()
    finished = open_run(Path(run), trust)
    if out is None:
        finished.check_inside(folder)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        _write(finished, unfinished, tolerance if onnx else None)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _write(run: FinishedRun, folder: Path, tolerance: float | None) -> None:
    """Write all files, the model card last."""
    from safetensors.torch import save_file

    from rnc_lightning.encoders.handoff import save_encoder
    from rnc_lightning.finished_runs.input_description import prepared_input
    from rnc_lightning.finished_runs.model_card import model_card

    regressor = run.regressor().cpu()
    prepared = prepared_input(run)
    _check_predictions(run, regressor, prepared)
    origin = _origin(run)
    save_encoder(regressor.exported_encoder, folder / "encoder.safetensors", origin)
    backbone = _timm_arguments(run.config["encoder"])
    if backbone is not None:
        tensors = regressor.exported_encoder.get_submodule("model").state_dict()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    differences = None
    if tolerance is not None:
        differences = _export_onnx(run, regressor, prepared, folder / "regressor.onnx", tolerance)
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    data = run.unread_data()
    facts = _facts(run, prepared, backbone, differences)
    facts["synthetic_parts"] = list(ALL_PARTS if run.result.get("synthetic_data") else data.synthetic_parts)
    facts["files"] = files
    write_text(folder / "config.json", json.dumps(facts, indent=1))
    write_text(folder / "README.md", model_card(run, prepared, data, regressor.num_features, backbone, differences))


def _origin(run: FinishedRun) -> dict[str, Any]:
    from rnc_lightning.encoders.handoff import read_card

    try:
        return read_card(RunDirectory(run.path).encoder)
    except ValueError as error:
        raise UserError(f"{error}; the command of the run writes it again") from error


def _check_predictions(run: FinishedRun, regressor: "Regress", prepared: "PreparedInput") -> None:
    """Refuse a model whose predictions from random inputs are not finite."""
    import torch

    from rnc_lightning.finished_runs.predictor import check_finite

    inputs = torch.randn(2, *prepared.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        check_finite(regressor(inputs), ["random inputs"] * 2, str(run.checkpoint))


def _export_onnx(
    run: FinishedRun, regressor: "Regress", prepared: "PreparedInput", path: Path, tolerance: float
) -> dict[str, float]:
    """Write the ONNX file; returns its largest difference from PyTorch for each kind of inputs."""
    import torch

    from rnc_lightning.finished_runs.onnx_export import (
        EncoderWithHead,
        check_differences,
        largest_difference,
        write_onnx,
    )

    model = EncoderWithHead(regressor.encoder, regressor.head, run.target).eval()
    write_onnx(model, prepared.shape, path)
    generator = torch.Generator().manual_seed(0)
    inputs = {f"{n} random inputs": torch.randn(n, *prepared.shape, generator=generator) for n in (1, 7)}
    try:
        tested = _test_inputs(run)
        inputs[f"{len(tested)} test inputs"] = tested
    except UserError as error:
        log.warning("the test inputs cannot be read, so ONNX is checked with random inputs only: %s", error)
    differences = {name: largest_difference(model, path, x) for name, x in inputs.items()}
    with torch.no_grad():
        scale = max(1.0, *(float(run.target.to_model(model(x[:64])).abs().max()) for x in inputs.values()))
    check_differences(differences, scale, tolerance)
    return differences


def _test_inputs(run: FinishedRun) -> "Tensor":
    """The first prepared inputs of the run's test set, (N, ...).

    Raises:
        UserError: If the data are missing or have changed.
    """
    import torch

    datamodule = run.data_of_run
    inputs: list[Tensor] = []
    for batch in datamodule.plain_loader("test"):
        inputs.append(datamodule.on_after_batch_transfer({"x": batch["x"]})["x"])
        if sum(map(len, inputs)) >= _CHECKED_INPUTS:
            break
    return torch.cat(inputs)[:_CHECKED_INPUTS]


def _timm_arguments(encoder: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of `timm.create_model` for the encoder; None if it is not from timm."""
    if not str(encoder["_target_"]).endswith(".TimmEncoder"):
        return None
    from rnc_lightning.encoders.timm import model_arguments

    settings = {key: encoder.get(key) for key in ("img_size", "kwargs")}
    arguments = model_arguments(encoder["name"], encoder.get("in_channels", 3), **settings)
    return {"name": arguments.pop("model_name"), **arguments}


def _facts(
    run: FinishedRun,
    prepared: "PreparedInput",
    backbone: Mapping[str, Any] | None,
    differences: Mapping[str, float] | None,
) -> dict[str, Any]:
    keys = ("synthetic_data", "data_fingerprint", "counts", "test", "constant", "versions", "code", "git_revision")
    return {
        "made_by": _MARK,
        **run.identity(),
        "encoder": {key: value for key, value in run.config["encoder"].items() if key != "weights"},
        "timm": backbone,
        "input": {"shape": list(prepared.shape), **prepared.facts},
        "target": {name: asdict(dimension) for name, dimension in run.target.dimensions.items()},
        **{key: run.result[key] for key in keys},
        "onnx_differences": differences,
        "checkpoint_sha256": run.checkpoint_sha256,
        "training": without_volatile(run.config),
    }


def _check_arguments(folder: Path, onnx: bool, tolerance: float, overwrite: bool) -> None:
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance > 0:
        raise UserError(f"tolerance={tolerance}: must be a number above 0")
    if not isinstance(onnx, bool):
        raise UserError(f"onnx={onnx}: must be true or false")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    config = folder / "config.json"
    if not config.is_file() or _MARK not in config.read_text(encoding="utf-8", errors="replace"):
        raise UserError(f"out={folder} exists and is not an export: choose another folder")
    if overwrite is not True:
        raise UserError(f"out={folder} already has an export; overwrite=true replaces it")
