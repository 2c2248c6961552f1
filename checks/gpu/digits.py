"""`+experiment=digits_rnc` on the GPU beside the CPU, and in two processes that share the GPU."""

from typing import Any

from gpu.setting import Notes, Setting
from gpu.training import TINY_DIGITS, Run, RunFailedError

EPOCHS = {True: 5, False: 2}
_CLOSE = 0.01  # relative difference of the first epoch's loss: later epochs spread what rounding began
_WITHOUT_TF32 = {"NVIDIA_TF32_OVERRIDE": "0"}


def measure(setting: Setting, notes: Notes) -> None:
    """All at once, since each keeps one core and little of the GPU busy."""
    epochs = EPOCHS[setting.on_gpu]
    options = [
        "+experiment=digits_rnc", f"recipe.pretrain.epochs={epochs}", f"recipe.linear_probe.epochs={epochs}",
        "plots=false", *(() if setting.on_gpu else (*TINY_DIGITS, "data.batch_size=32")),
    ]  # fmt: skip
    cpu = ["trainer=cpu"], {"CUDA_VISIBLE_DEVICES": ""}
    if setting.on_gpu:
        variants: dict[str, tuple[list[str], dict[str, str]]] = {
            "CPU": cpu,
            "GPU": ([], _WITHOUT_TF32),
            "GPU with TF32": ([], {}),
            "two processes on the GPU (gloo)": (["trainer=ddp", "trainer.devices=[0,0]"], _WITHOUT_TF32),
        }
    else:
        variants = {"CPU": cpu, "two processes on the CPU (gloo)": (["trainer=ddp_cpu"], {})}
    notes.remark(
        f"Real digits, synthetic target; {epochs} epochs a stage, seed 0, all runs at once, so that their seconds say "
        f"little. A failure is a first loss that differs from the CPU's by more than {_CLOSE:.0%}. Two processes on a "
        "CPU have batch normalisation of their own, so only those on a GPU are compared."
    )
    running = {
        name: Run(setting.folder / f"digits{number}", *options, *more, OMP_NUM_THREADS="1", **environment)
        for number, (name, (more, environment)) in enumerate(variants.items())
    }
    first = None
    for name, run in running.items():
        try:
            result = run.result(setting.left - 4)
        except RunFailedError as error:
            notes.fail(f"{name}: {error}")
            continue
        losses = list(run.history("pretrain")["train/loss"])
        first = losses[0] if name == "CPU" else first
        difference = None if first is None else abs(losses[0] - first) / abs(first)
        _note(notes, name, result, losses, difference)
        if difference is not None and setting.on_gpu and not difference < _CLOSE:
            notes.fail(f"{name}: the first epoch's loss is {losses[0]:.6f}, the CPU's {first:.6f}")


def _note(notes: Notes, name: str, result: dict[str, Any], losses: list[float], difference: float | None) -> None:
    notes.row(
        "Runs", run=name, s=result["seconds"], first_loss=f"{losses[0]:.6f}",
        difference_from_the_CPU=difference, last_loss=f"{losses[-1]:.6f}", test_MAE=result["test"]["mae"],
        device=result["machine"].get("gpu", "CPU"),
    )  # fmt: skip
