"""Rank-N-Contrast and its baselines for regression representation learning.

The loss works in any training loop; importing it loads PyTorch and nothing above it:

>>> import torch
>>> from rnc_lightning import RnCLoss
>>> features = torch.randn(8, 2, 16, requires_grad=True)  # (batch, views, features)
>>> ages = torch.tensor([20.0, 31, 31, 45, 52, 60, 71, 80])
>>> RnCLoss(temperature=2.0)(features, ages).backward()
"""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

__version__ = "0.1.0"
__all__ = ["RnCLoss", "rnc_loss", "rnc_loss_floor"]

if TYPE_CHECKING:
    from rnc_lightning.objectives.rnc import RnCLoss, rnc_loss, rnc_loss_floor

__getattr__ = lazy_exports(  # `--help` needs no PyTorch
    f"{__name__}.objectives", dict.fromkeys(__all__, "rnc")
)
