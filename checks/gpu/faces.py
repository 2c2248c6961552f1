"""`+experiment=agedb_rnc` from beginning to end on synthetic faces, two epochs a stage."""

import math
from typing import Any

from gpu.face_files import faces_when_drawn
from gpu.setting import Notes, Setting
from gpu.training import Run, RunFailedError

EPOCHS = 2
SMALL = ("encoder=small_resnet", "encoder.width=4", "encoder.stages=2", "input.size=32", "data.batch_size=8",
         "recipe.linear_probe.batch_size=8", "data.num_workers=1", "trainer=cpu")  # fmt: skip
FASTER = ("trainer.precision=bf16-mixed", "compute.channels_last=true")
_SECOND_RUN = 35.0  # seconds below which it is not tried


def measure(setting: Setting, notes: Notes) -> None:
    """In float32, and in bf16 with channels last."""
    folder = faces_when_drawn(setting)
    notes.remark(
        f"{EPOCHS} epochs of stage one and {EPOCHS} of the linear probe, validated each epoch, tested, with plots; "
        "seconds of an epoch are the last one's. Of faces that a program drew: the errors mean nothing."
    )
    variants = {"float32": ()} | ({"bf16, channels last": FASTER} if setting.on_gpu else {})
    for number, (name, options) in enumerate(variants.items()):
        if number and setting.left < _SECOND_RUN:
            notes.remark(f"no time was left for {name}")
            return
        run = Run(
            setting.folder / f"faces{number}", "+experiment=agedb_rnc", *(() if setting.on_gpu else SMALL),
            f"recipe.pretrain.epochs={EPOCHS}", f"recipe.linear_probe.epochs={EPOCHS}", f"paths.data_dir={folder}",
            f"paths.cache_dir={setting.folder}/cache", *options,
        )  # fmt: skip
        try:
            _note(notes, name, run.result(setting.left - 4), run, setting)
        except RunFailedError as error:
            notes.fail(f"{name}: {error}")


def _note(notes: Notes, name: str, result: dict[str, Any], run: Run, setting: Setting) -> None:
    stage_one, probe = run.history("pretrain"), run.history("regress")
    losses = list(stage_one["train/loss"])
    notes.row(
        "Runs", run=name, s=result["wall"], stage_one_s_an_epoch=float(stage_one["seconds"].iloc[-1]),
        probe_s_an_epoch=float(probe["seconds"].iloc[-1]), loss_first=losses[0], loss_last=losses[-1],
        test_MAE=result["test"]["mae"], constant_MAE=result["constant"]["mae"],
        device=result["machine"].get("gpu", "CPU"),
    )  # fmt: skip
    numbers = [*losses, *probe["val/mae"], result["test"]["mae"] or math.nan]
    if not all(math.isfinite(number) for number in numbers):
        notes.fail(f"{name}: a number is not finite: {numbers}")
    if result["dataset"] != "agedb_synthetic":
        notes.fail(f"{name}: synthetic faces were taken for {result['dataset']}")
    if setting.on_gpu and "gpu" not in result["machine"]:
        notes.fail(f"{name}: no GPU was used")
