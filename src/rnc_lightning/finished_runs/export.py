"""Export what a finished run has learnt: encoder, model card, timm weights, ONNX."""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnc_lightning.command_line.identity import shaping
from rnc_lightning.finished_runs.finished_run import FinishedRun, open_run
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import sha256, write_text
from rnc_lightning.system.synthetic_marker import ALL_PARTS

if TYPE_CHECKING:
    from torch import Tensor

    from rnc_lightning.finished_runs.input_description import PreparedInput
    from rnc_lightning.stages import Regress

log = logging.getLogger(__name__)

_TESTED = 256  # test inputs that ONNX is checked with
_MARK = "rnc_lightning export"  # in config.json, so that nothing else is ever replaced


def export_run(
    run: Path | str,
    out: Path | str | None = None,
    *,
    onnx: bool = False,
    tolerance: float = 1e-4,
    overwrite: bool = False,
) -> Path:
    """Write encoder, model card and configuration, and return their folder.

    Args:
        run: Directory of a finished run.
        out: Folder to make; None: `export` within the run's.
        onnx: Also write `regressor.onnx`, encoder and head, and check it.
        tolerance: How far its predictions may be from PyTorch's, of the largest of them.
        overwrite: Whether an export that is there may be replaced.

    Raises:
        UserError: For whatever the user can fix; nothing is then left behind.
    """
    place = Path(run) / "export" if out is None else Path(out)
    _check(place, tolerance, overwrite)
    if not isinstance(onnx, bool):
        raise UserError(f"onnx={onnx}: must be true or false")
    if onnx:
        from rnc_lightning.finished_runs.onnx_export import check_installed

        check_installed()
    finished = open_run(Path(run))
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        _write(finished, unfinished, tolerance if onnx else None)
        if place.exists():
            shutil.rmtree(place)
        unfinished.replace(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return place


def _write(run: FinishedRun, folder: Path, tolerance: float | None) -> None:
    """Fill the folder, the card last."""
    from safetensors.torch import save_file

    from rnc_lightning.encoders.handoff import read_card, save_encoder
    from rnc_lightning.finished_runs.input_description import prepared_input
    from rnc_lightning.finished_runs.model_card import model_card

    regressor = run.regressor().cpu()
    prepared = prepared_input(run)
    origin = read_card(run.path / "encoder.safetensors")
    made = ("sha256", "parameters", "num_features")
    kept = {key: value for key, value in origin.items() if key not in made}
    save_encoder(regressor.exported_encoder, folder / "encoder.safetensors", kept)
    backbone = _backbone(run.config["encoder"])
    if backbone is not None:
        tensors = regressor.exported_encoder.get_submodule("model").state_dict()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    differences = None if tolerance is None else _onnx(run, regressor, prepared, folder / "regressor.onnx", tolerance)
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    data = run.unread_data()
    facts = _facts(run, prepared, backbone, differences)
    facts |= {
        "synthetic_parts": list(ALL_PARTS if run.result.get("synthetic_data") else data.synthetic_parts),
        "files": files,
    }
    write_text(folder / "config.json", json.dumps(facts, indent=1))
    write_text(folder / "README.md", model_card(run, prepared, data, regressor.num_features, backbone, differences))


def _onnx(
    run: FinishedRun, regressor: "Regress", prepared: "PreparedInput", path: Path, tolerance: float
) -> dict[str, float]:
    """Write the ONNX file and say how far it is from PyTorch, by kind of inputs."""
    import torch

    from rnc_lightning.finished_runs.onnx_export import Whole, largest_differences, refuse_beyond, write_onnx

    whole = Whole(regressor.encoder, regressor.head).eval()
    write_onnx(whole, prepared.shape, path)
    generator = torch.Generator().manual_seed(0)
    inputs = {f"{n} random inputs": torch.randn(n, *prepared.shape, generator=generator) for n in (1, 7)}
    try:
        tested = _test_inputs(run)
        inputs[f"{len(tested)} test inputs"] = tested
    except UserError as error:
        log.warning("the test inputs are not at hand, so ONNX is checked with random ones only: %s", error)
    differences = largest_differences(whole, path, inputs)
    with torch.no_grad():
        scale = max(1.0, *(float(whole(x[:64]).abs().max()) for x in inputs.values()))
    refuse_beyond(differences, scale, tolerance)
    return differences


def _test_inputs(run: FinishedRun) -> "Tensor":
    """The first prepared inputs of the run's test set.

    Raises:
        UserError: Where its data are missing or have changed.
    """
    import torch

    datamodule = run.data_of_run
    found: list[Tensor] = []
    for batch in datamodule.plain_loader("test"):
        found.append(datamodule.on_after_batch_transfer({"x": batch["x"]})["x"])
        if sum(map(len, found)) >= _TESTED:
            break
    return torch.cat(found)[:_TESTED]


def _backbone(encoder: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `timm.create_model` needs for the encoder; None where it is none of timm's."""
    if not str(encoder["_target_"]).endswith(".TimmEncoder"):
        return None
    return {"name": encoder["name"], "in_chans": encoder.get("in_channels", 3), **(encoder.get("kwargs") or {})}


def _facts(
    run: FinishedRun,
    prepared: "PreparedInput",
    backbone: Mapping[str, Any] | None,
    differences: Mapping[str, float] | None,
) -> dict[str, Any]:
    kept = ("synthetic_data", "data_fingerprint", "counts", "test", "constant", "versions", "code", "git_revision")
    encoder = {key: value for key, value in run.config["encoder"].items() if key != "weights"}
    return {
        "made_by": _MARK,
        **run.identity(),
        "encoder": encoder,
        "timm": backbone,
        "input": {"shape": list(prepared.shape), **prepared.facts},
        "target": {name: asdict(dimension) for name, dimension in run.target.dimensions.items()},
        **{key: run.result[key] for key in kept},
        "onnx_differences": differences,
        "checkpoint_sha256": run.checkpoint_sha256,
        "training": shaping(run.config),
    }


def _check(place: Path, tolerance: float, overwrite: bool) -> None:
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance > 0:
        raise UserError(f"tolerance={tolerance}: must be a number above 0")
    if not place.exists():
        return
    config = place / "config.json"
    if place.is_dir() and not any(place.iterdir()):
        return
    if not config.is_file() or _MARK not in config.read_text(encoding="utf-8", errors="replace"):
        raise UserError(f"out={place} is there already, and is no export: name another folder")
    if overwrite is not True:
        raise UserError(f"out={place} holds an export already; overwrite=true replaces it")
