"""Write a regressor (prepared inputs to predictions in label units) as ONNX and check it against PyTorch."""

import importlib.util
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnc_lightning.system.errors import UserError
from rnc_lightning.targets import TargetSpec

_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_BATCH = 64


class EncoderWithHead(nn.Module):
    """Encoder and head in one module, from inputs (B, ...) to predictions (B, D) in label units.

    Args:
        encoder: From inputs to features.
        head: With `forward` and `decode`.
        target: Converts what the head decodes to label units; the predictions are float64 if it scales labels.
    """

    def __init__(self, encoder: nn.Module, head: Any, target: TargetSpec) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.target = target

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (B, D) for inputs (B, ...)."""
        return self.target.to_labels(self.head.decode(self.head(self.encoder(x))))


def check_installed() -> None:
    """Check that the packages for ONNX are installed.

    Raises:
        UserError: If not, with the names of the missing packages.
    """
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(f"onnx=true needs {', '.join(missing)}: pip install 'rnc-lightning[onnx]'")


def write_onnx(model: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Write an ONNX file for batches of any size.

    Args:
        model: The model in evaluation mode, on the CPU.
        shape: Shape of one input.
        path: File to write.

    Raises:
        UserError: If PyTorch cannot export the model to ONNX.
    """
    for logger in ("onnxscript", "onnx_ir"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter about its own deprecations
            torch.onnx.export(
                model,
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
        raise UserError(f"onnx=true: PyTorch cannot export this regressor to ONNX: {reason}") from error


def check_differences(differences: Mapping[str, float], scale: float, tolerance: float) -> None:
    """Check that the ONNX file predicts what PyTorch predicts.

    Args:
        differences: Values of `largest_difference` by kind of inputs.
        scale: Magnitude of the predictions, such as the largest one.
        tolerance: Largest accepted difference, as a fraction of `scale`.

    Raises:
        UserError: If a difference is larger.
    """
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= tolerance * scale:
        raise UserError(
            f"onnx=true: ONNX Runtime differs from PyTorch by {differences[worst]:.3g} on {worst}, more than "
            f"tolerance={tolerance:g} of {scale:.3g} allows; nothing was exported"
        )


def largest_difference(model: EncoderWithHead, path: Path, x: Tensor) -> float:
    """Largest absolute difference of ONNX Runtime's predictions from PyTorch's for inputs (N, ...).

    It is in label units or, if the target scales labels, in the units that the model sees: standard deviations.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for part in torch.split(x, _BATCH):
        with torch.no_grad():
            expected = model(part)
        predicted = torch.from_numpy(session.run(None, {"x": part.numpy()})[0])
        if predicted.shape != expected.shape or not predicted.isfinite().all():
            return float("inf")
        ours, theirs = (model.target.to_model(prediction).double() for prediction in (expected, predicted))
        worst = max(worst, float((theirs - ours).abs().max()))
    return worst
