"""The loss in anyone's loop: nothing above PyTorch is imported."""

import subprocess
import sys


def test_the_loss_comes_without_the_suite() -> None:
    code = (
        "import sys, torch; from rnc_lightning import RnCLoss, rnc_loss, rnc_loss_floor;"
        "import rnc_lightning.objectives, rnc_lightning.regularizers;"
        "RnCLoss()(torch.randn(4, 2, 3, requires_grad=True), torch.arange(4.)).backward();"
        "above = {'lightning', 'hydra', 'omegaconf', 'wandb', 'timm', 'torchvision', 'scipy'};"
        "print(sorted(above & set(sys.modules)))"
    )
    called = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert called.stdout.strip() == "[]"
