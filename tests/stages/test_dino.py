"""Student and teacher in training: who learns, who follows, what is handed on, and that a stopped run goes on."""

import math
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rnc_lightning import RnCLoss
from rnc_lightning.datasets.digits import DigitsDataModule, rotated_digits
from rnc_lightning.datasets.images.transforms import augmented_digit, local_digit, plain_digit
from rnc_lightning.encoders import SmallResNet
from rnc_lightning.heads import PointHead
from rnc_lightning.objectives.dino import DINO, dino_loss
from rnc_lightning.runs.fitting.fit import StagePlan, check_local_views, fit_stage
from rnc_lightning.stages import CosinePerEpoch, Dino, Pretrain, Regress
from rnc_lightning.system.errors import UserError
from rnc_lightning.targets import TargetSpec

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


def _settings(encoder: nn.Module | None = None, lr: float = 0.1, epochs: int = 2) -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "encoder": SmallResNet(1, 4, 2) if encoder is None else encoder,
        "target": TargetSpec({"angle": {}}),
        "optimizer": partial(torch.optim.SGD, lr=lr, momentum=0.9, weight_decay=1e-4),
        "schedule": partial(CosinePerEpoch, decay_rate=0.1),
        "epochs": epochs,
    }


def _stage(settings: dict[str, Any] | None = None, **objective: Any) -> Dino:
    small = {"prototypes": 16, "hidden_features": 8, "bottleneck": 4, **objective}
    return Dino(objective=partial(DINO, **small), **(settings or _settings()))


def _batches(local: int = 3) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    samples = [
        {
            "x": torch.randn(2, 1, 16, 16, generator=generator),
            "x_local": torch.randn(local, 1, 8, 8, generator=generator),
            "y": torch.randn(1, generator=generator),
            "index": i,
        }
        for i in range(12)
    ]
    for sample in samples if not local else ():
        del sample["x_local"]
    return DataLoader(samples, batch_size=6)  # type: ignore[arg-type]


def _fit(stage: Dino, folder: Path, epochs: int = 1, **more: Any) -> Trainer:
    keep_nothing = {"logger": False, "enable_checkpointing": False, "default_root_dir": folder}
    trainer = Trainer(max_epochs=epochs, accelerator="cpu", **keep_nothing, **QUIET, **more)
    trainer.fit(stage, _batches())
    return trainer


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    return {name for name in one if not torch.equal(one[name], other[name])}


def test_a_teacher_that_keeps_all_of_itself_changes_only_its_statistics(tmp_path: Path) -> None:
    stage = _stage(teacher_momentum=1.0)
    before = _copy(stage.teacher_encoder) | _copy(stage.teacher_head)
    assert not _differing(_copy(stage.encoder), before)
    _fit(stage, tmp_path)
    changed = _differing(before, _copy(stage.teacher_encoder) | _copy(stage.teacher_head))
    assert changed
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed)
    of_student = _copy(stage.encoder)
    assert "stem.1.running_mean" in _differing(of_student, _copy(stage.teacher_encoder))  # it has seen local crops too
    assert stage.teacher_encoder.training


def test_a_teacher_that_keeps_nothing_is_the_student(tmp_path: Path) -> None:
    stage = _stage(teacher_momentum=0.0, teacher_momentum_end=0.0)
    before = _copy(stage.encoder)
    _fit(stage, tmp_path)
    pairs = ((stage.encoder, stage.teacher_encoder), (stage.objective.head, stage.teacher_head))
    for student, teacher in pairs:
        for one, other in zip(student.parameters(), teacher.parameters(), strict=True):
            assert torch.equal(one, other)
    assert _differing(before, _copy(stage.encoder))


def test_the_momentum_goes_by_steps_and_ends_near_one(tmp_path: Path) -> None:
    stage = _stage(teacher_momentum=0.5)
    seen: list[tuple[int, float]] = []
    stage._update_teacher = lambda: seen.append((stage.trainer.global_step, stage._momentum()))  # type: ignore[method-assign]
    _fit(stage, tmp_path, epochs=2)
    expected = [1 - 0.25 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    assert [momentum for _, momentum in seen] == pytest.approx(expected)


def test_accumulated_batches_are_one_step_for_the_teacher(tmp_path: Path) -> None:
    stage = _stage()
    seen: list[int] = []
    stage._update_teacher = lambda: seen.append(stage.trainer.global_step)  # type: ignore[method-assign]
    _fit(stage, tmp_path, epochs=2, accumulate_grad_batches=2)
    assert seen == [0, 1]
    assert stage._steps == 2


def test_a_step_that_the_loss_scale_leaves_out_moves_no_teacher() -> None:
    stage = _stage()
    seen: list[int] = []
    stage._update_teacher = lambda: seen.append(1)  # type: ignore[method-assign]
    optimizer: Any = stage.configure_optimizers()["optimizer"]
    scaler = torch.amp.GradScaler("cpu")
    for factor, steps in ((math.inf, 0), (1.0, 1)):
        optimizer.zero_grad()
        scaler.scale(factor * sum(p.sum() for p in stage.encoder.parameters())).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        assert len(seen) == steps


def test_no_gradient_reaches_the_teacher_and_none_of_it_is_optimised() -> None:
    stage = _stage()
    stage.log = lambda *_, **__: None  # type: ignore[method-assign]
    stage._momentum = lambda: 1.0  # type: ignore[method-assign]
    stage.training_step(next(iter(_batches())), 0).backward()  # type: ignore[no-untyped-call]
    teacher = [*stage.teacher_encoder.parameters(), *stage.teacher_head.parameters()]
    student = [*stage.encoder.parameters(), *stage.objective.head.parameters()]
    assert all(p.grad is None for p in teacher)
    assert all(p.grad is not None for p in student)
    optimised = {id(p) for g in stage.configure_optimizers()["optimizer"].param_groups for p in g["params"]}
    assert optimised == {id(p) for p in student}


class _Counting(nn.Module):
    """Rows of any size, and how many came at once."""

    num_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.calls: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(tuple(x.shape))
        return self.linear(torch.stack([x.mean(dim=(1, 2, 3)), x.std(dim=(1, 2, 3))], dim=1))


@pytest.mark.parametrize("local", [0, 3])
def test_each_size_takes_one_forward_and_the_loss_compares_the_right_crops(local: int) -> None:
    stage = _stage(_settings(_Counting()), batch_norm=False)
    stage.log = lambda *_, **__: None  # type: ignore[method-assign]
    stage._momentum = lambda: 1.0  # type: ignore[method-assign]
    batch = next(iter(_batches(local)))
    loss = stage.training_step(batch, 0)
    sizes = [(12, 1, 16, 16), (6 * local, 1, 8, 8)]
    assert stage.encoder.calls == sizes[: 1 + bool(local)]
    assert stage.teacher_encoder.calls == sizes[:1]

    crops = list(batch["x"].unbind(1)) + (list(batch["x_local"].unbind(1)) if local else [])
    outputs = torch.stack([stage.objective.head(stage.encoder(crop)) for crop in crops], dim=1)
    torch.testing.assert_close(loss, dino_loss(outputs, outputs[:, :2], torch.zeros(16)))


@pytest.mark.parametrize(("frozen", "epochs", "moves"), [(1, 1, False), (1, 2, True), (0, 1, True)])
def test_the_prototypes_stay_in_the_first_epochs(tmp_path: Path, frozen: int, epochs: int, moves: bool) -> None:
    stage = _stage(frozen_last_layer_epochs=frozen)
    before = _copy(stage.objective.head)
    _fit(stage, tmp_path, epochs)
    changed = _differing(before, _copy(stage.objective.head))
    assert ("last.weight" in changed) is moves
    assert "layers.0.weight" in changed


@pytest.mark.parametrize(("clip", "most"), [(1e-6, 1.01e-7), (None, math.inf)])
def test_gradients_are_clipped_together(tmp_path: Path, clip: float | None, most: float) -> None:
    stage = _stage(_settings() | {"optimizer": partial(torch.optim.SGD, lr=0.1)}, gradient_clip=clip)
    before = _copy(stage.encoder)
    _fit(stage, tmp_path, limit_train_batches=1)
    moved = math.sqrt(sum(float((p.detach() - before[n]).square().sum()) for n, p in stage.encoder.named_parameters()))
    assert 0 < moved < most
    assert moved > 1e-4 or clip


@cache
def _splits() -> Any:
    return rotated_digits(digits=[3], size=16)


def _digits() -> DigitsDataModule:
    transforms = {"train_transform": augmented_digit(16), "local_transform": local_digit(16)}
    data = DigitsDataModule(**transforms, eval_transform=plain_digit(), digits=[3], size=16, batch_size=16)
    data.splits = _splits()
    return data


def _fit_digits(folder: Path, epochs: int, callbacks: list[Callback] | None = None, **objective: Any) -> Dino:
    stage = _stage(_settings(epochs=epochs), **objective)
    plan = StagePlan(epochs=epochs, batch_size=32, views=2, local_views=2, drop_last=True)
    make_trainer = partial(Trainer, accelerator="cpu", **QUIET)
    settings: dict[str, Any] = {"seed": 0, "origin": {"run": "test"}, "make_trainer": make_trainer}
    fit_stage(stage, _digits(), plan, folder, callbacks=callbacks or [], **settings)
    return stage


class _StoppedError(Exception):
    pass


class _StopIn(Callback):
    """As if the process were killed in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise _StoppedError


def test_a_stopped_run_ends_bit_for_bit_like_an_undisturbed_one_and_hands_on_the_teacher(tmp_path: Path) -> None:
    numbers = {"teacher_momentum": 0.8, "teacher_temperature_end": 0.07, "teacher_warmup_epochs": 3}
    whole = _fit_digits(tmp_path / "whole", 3, **numbers)
    with pytest.raises(_StoppedError):
        _fit_digits(tmp_path / "stopped", 3, [_StopIn(1)], **numbers)
    resumed = _fit_digits(tmp_path / "stopped", 3, **numbers)
    assert not _differing(_copy(whole), _copy(resumed))
    assert whole.objective.centre.any()
    histories = [pd.read_csv(tmp_path / name / "metrics.csv") for name in ("whole", "stopped")]
    pd.testing.assert_frame_equal(*(h.drop(columns="seconds") for h in histories), check_exact=True)

    handed_on = load_file(tmp_path / "whole/encoder.safetensors")
    assert not _differing(handed_on, _copy(whole.teacher_encoder))
    assert _differing(handed_on, _copy(whole.encoder))


def test_on_digits_the_loss_falls_and_the_teacher_does_not_collapse(tmp_path: Path) -> None:
    _fit_digits(tmp_path, 8, teacher_momentum=0.9)
    history = pd.read_csv(tmp_path / "metrics.csv")
    assert history["train/loss"].iloc[-1] < 0.95 * history["train/loss"].iloc[0]
    assert history["train/teacher_entropy"].iloc[-1] > 0.3 * math.log(16)
    assert {"train/loss", "train/teacher_entropy", "train/teacher_momentum"} <= set(history)


def test_dino_belongs_to_its_stage_and_nothing_else_does() -> None:
    with pytest.raises(ValueError, match="objective: DINO can only be trained by the stage rnc_lightning"):
        Pretrain(objective=partial(DINO, prototypes=4), **_settings())
    term = {"objective": {"term": partial(DINO, prototypes=4), "weight": 1.0}}
    with pytest.raises(
        ValueError, match=r"regularizers\.objective\.term: DINO can only be trained by the stage rnc_lightning"
    ):
        Regress(head=PointHead, regularizers=term, **_settings())
    with pytest.raises(ValueError, match="objective: this stage only trains DINO, not RnCLoss"):
        Dino(objective=RnCLoss(), **_settings())


def test_local_views_that_nobody_uses_or_makes_are_refused() -> None:
    plan = StagePlan(epochs=1, batch_size=4, views=2, local_views=2)
    with pytest.raises(UserError, match="Pretrain uses none"):
        check_local_views(Pretrain(objective=RnCLoss(), **_settings()), _digits(), plan)
    data = _digits()
    data.local_transform = None
    with pytest.raises(UserError, match=r"Digits has no data\.local_transform"):
        check_local_views(_stage(), data, plan)
