"""The same training step with the encoder compiled; apart, since compilation may take long or lack a compiler."""

import torch

from gpu.setting import Notes, Setting
from gpu.step import measure_one


def measure(setting: Setting, notes: Notes) -> None:
    """With channels last, since that is what one would take."""
    backend = "inductor" if setting.on_gpu else "aot_eager"
    options = ("compute.channels_last=true", f"compute.compile={backend}")
    notes.remark("the first step includes the compilation, with whatever its cache on disk holds")
    measure_one(setting, notes, f"bf16, channels last, {backend}", options, torch.bfloat16)
