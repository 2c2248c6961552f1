"""A whole regressor as an ONNX file: prepared inputs to predictions in label units, checked against PyTorch."""

import importlib.util
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnc_lightning.system.errors import UserError

_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_AT_ONCE = 64  # test inputs at a time


class Whole(nn.Module):
    """Encoder and head in one: inputs (B, ...) to predictions (B, D).

    Args:
        encoder: Inputs to features.
        head: Has `forward` and `decode`.
    """

    def __init__(self, encoder: nn.Module, head: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (B, ...) to predictions (B, D)."""
        prediction: Tensor = self.head.decode(self.head(self.encoder(x)))
        return prediction


def check_installed() -> None:
    """Refuse where a package is missing.

    Raises:
        UserError: With all of those missing.
    """
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(f"onnx=true needs {', '.join(missing)}: pip install 'rnc-lightning[onnx]'")


def write_onnx(whole: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Write the file; any number of inputs at once goes in.

    Args:
        whole: In evaluation mode, on the CPU.
        shape: Of one input.
        path: Of the file.

    Raises:
        UserError: Where PyTorch cannot put it into ONNX.
    """
    quiet = logging.getLogger("onnxscript"), logging.getLogger("onnx_ir")
    for logger in quiet:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # about its own deprecations
            torch.onnx.export(
                whole,
                (torch.zeros(2, *shape),),
                path,
                input_names=["x"],
                output_names=["prediction"],
                dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"onnx=true: PyTorch cannot put this regressor into ONNX: {reason}") from error


def largest_differences(whole: nn.Module, path: Path, inputs: Mapping[str, Tensor]) -> dict[str, float]:
    """Largest absolute difference of ONNX Runtime's predictions from PyTorch's, in label units, by kind of inputs."""
    return {name: _difference(whole, path, x) for name, x in inputs.items()}


def refuse_beyond(differences: Mapping[str, float], scale: float, tolerance: float) -> None:
    """Refuse a file that predicts something else.

    Args:
        differences: From `largest_differences`.
        scale: Of predictions: the largest of them, say.
        tolerance: Of it.

    Raises:
        UserError: With the largest difference.
    """
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= tolerance * scale:
        raise UserError(
            f"onnx=true: ONNX Runtime differs from PyTorch by {differences[worst]:.3g} on {worst}, more than "
            f"tolerance={tolerance:g} of {scale:.3g} allows; nothing was exported"
        )


def _difference(whole: nn.Module, path: Path, x: Tensor) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for part in torch.split(x, _AT_ONCE):
        with torch.no_grad():
            expected = whole(part).numpy()
        found = session.run(None, {"x": part.numpy()})[0]
        if found.shape != expected.shape or not np.isfinite(found).all():
            return float("inf")
        worst = max(worst, float(np.abs(found.astype(np.float64) - expected).max()))
    return worst
