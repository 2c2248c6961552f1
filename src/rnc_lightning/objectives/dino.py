"""DINO (Caron et al., ICCV 2021, arXiv 2104.14294): a student learns what a slowly moving teacher says of other crops.

With outputs g of heads over K prototypes, a centre c, temperatures T_s and T_t, T crops that both see and S >= T that
the student sees,

    p_t = softmax((g_t - c) / T_t)      L = -1/(T (S - 1)) sum_t sum_{s != t} p_t . log softmax(g_s / T_s)

averaged over samples. The centre follows the mean of the teacher's outputs, after the loss; the teacher's weights
follow the student's, after the step. No label is used.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.targets import TargetSpec


def dino_loss(
    student: Tensor,
    teacher: Tensor,
    centre: Tensor,
    student_temperature: float = 0.1,
    teacher_temperature: float = 0.04,
) -> Tensor:
    """Cross-entropy of the student's distributions with the teacher's of other crops of the same sample.

    Args:
        student: Outputs (B, S, K); the first T crops are those that the teacher saw.
        teacher: Outputs (B, T, K), which get no gradient.
        centre: (K,), taken from the teacher's outputs.
        student_temperature: T_s > 0.
        teacher_temperature: T_t > 0.

    Returns:
        The loss, a scalar, float64 for float64 outputs and else float32, whatever autocast says.

    Raises:
        ValueError: For shapes that do not fit, no pair of different crops, or a temperature that is not positive.

    >>> round(dino_loss(torch.zeros(4, 2, 8), torch.randn(4, 2, 8), torch.zeros(8)).item(), 6)  # ln 8
    2.079442
    """
    return _of_samples(student, teacher, centre, student_temperature, teacher_temperature).mean()


def momentum_at(step: int, steps: int, start: float, end: float = 1.0) -> float:
    """Share of itself that the teacher keeps at a step, on a cosine from `start` to `end`.

    >>> [round(momentum_at(step, 100, 0.99), 6) for step in (0, 50, 100)]
    [0.99, 0.995, 1.0]
    """
    return end + (start - end) * (1 + math.cos(math.pi * min(step, steps) / max(steps, 1))) / 2


def temperature_at(epoch: int, start: float, end: float, warmup_epochs: int) -> float:
    """The teacher's temperature in an epoch, counted from 0: `start` in the first, `end` from the last of the warm-up.

    >>> [round(temperature_at(epoch, 0.04, 0.07, 4), 6) for epoch in (0, 1, 3, 9)]
    [0.04, 0.05, 0.07, 0.07]
    """
    if epoch >= warmup_epochs:
        return end
    return start + (end - start) * epoch / max(warmup_epochs - 1, 1)


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher's parameters to `momentum` times themselves plus the rest of the student's; no buffers."""
    for its, other in zip(teacher.parameters(), student.parameters(), strict=True):
        its.lerp_(other, 1 - momentum)


class DINOHead(nn.Module):
    """Features to K prototypes: three layers with GELU, unit length, and the cosine with each prototype.

    Args:
        in_features: Width F of the features.
        prototypes: Number K of outputs.
        hidden_features: Width of the two inner layers.
        bottleneck: Width in which prototypes and features meet.
        batch_norm: Whether the inner layers are batch-normalised: for encoders that are, such as ResNets.

    Raises:
        ValueError: For a width below 1.
    """

    def __init__(
        self,
        in_features: int,
        prototypes: int = 2048,
        hidden_features: int = 2048,
        bottleneck: int = 256,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        widths = {"prototypes": prototypes, "hidden_features": hidden_features, "bottleneck": bottleneck}
        for name, value in widths.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, got {value}")
        layers: list[nn.Module] = []
        for inner in (in_features, hidden_features):
            layers.append(nn.Linear(inner, hidden_features, bias=not batch_norm))
            layers += [nn.BatchNorm1d(hidden_features), nn.GELU()] if batch_norm else [nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden_features, bottleneck))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.last = Prototypes(bottleneck, prototypes)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, F) to outputs (N, K), from -1 to 1."""
        return self.last(F.normalize(at_least_float32(self.layers(features)), dim=-1))  # type: ignore[no-any-return]


class Prototypes(nn.Module):
    """A linear layer without bias whose rows count by direction: weight normalisation, the magnitude kept at 1."""

    def __init__(self, in_features: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, in_features))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_features) to (N, count)."""
        return F.linear(x, F.normalize(self.weight, dim=1))


class DINO(nn.Module):
    """DINO's loss with the student's head, the centre, and all numbers that its stage needs.

    Where a batch is spread over processes, loss and centre are those of the whole batch, and the gradient that DDP
    averages is that of one process with the whole batch; a process may have no rows, but all must call it.

    Args:
        in_features: Width F of the encoder's features.
        target: Not used; every objective that is made for an encoder gets it.
        prototypes: Number K of outputs.
        hidden_features: As for `DINOHead`.
        bottleneck: As for `DINOHead`.
        batch_norm: As for `DINOHead`.
        student_temperature: T_s.
        teacher_temperature: T_t in the first epoch.
        teacher_temperature_end: T_t after the warm-up; None: it does not change. Unstable above 0.07.
        teacher_warmup_epochs: Epochs in which T_t goes from the one to the other.
        centre_momentum: Share of itself that the centre keeps a batch.
        teacher_momentum: Share of themselves that the teacher's weights keep at the first step.
        teacher_momentum_end: At the last step, on a cosine; equal to the first for a constant one.
        frozen_last_layer_epochs: Epochs at the beginning in which the prototypes do not move.
        gradient_clip: Largest norm of the gradient, all parameters together; None does not clip.

    Raises:
        ValueError: For an argument out of its range.
    """

    needs_stage = "rnc_lightning.stages.Dino"  # no other has a teacher
    centre: Tensor

    def __init__(
        self,
        in_features: int,
        target: TargetSpec | None = None,
        *,
        prototypes: int = 2048,
        hidden_features: int = 2048,
        bottleneck: int = 256,
        batch_norm: bool = True,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        teacher_temperature_end: float | None = None,
        teacher_warmup_epochs: int = 0,
        centre_momentum: float = 0.9,
        teacher_momentum: float = 0.996,
        teacher_momentum_end: float = 1.0,
        frozen_last_layer_epochs: int = 1,
        gradient_clip: float | None = 3.0,
    ) -> None:
        super().__init__()
        end = teacher_temperature if teacher_temperature_end is None else teacher_temperature_end
        for name, value in (("teacher_temperature", teacher_temperature), ("teacher_temperature_end", end)):
            _check_temperature(name, value)
        _check_temperature("student_temperature", student_temperature)
        momenta = {
            "centre_momentum": centre_momentum,
            "teacher_momentum": teacher_momentum,
            "teacher_momentum_end": teacher_momentum_end,
        }
        for name, value in momenta.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {value}")
        epochs = {
            "teacher_warmup_epochs": teacher_warmup_epochs,
            "frozen_last_layer_epochs": frozen_last_layer_epochs,
        }
        for name, count in epochs.items():
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise ValueError(f"{name} must be a whole number from 0 up, got {count}")
        if gradient_clip is not None and not gradient_clip > 0:
            raise ValueError(f"gradient_clip must be positive or null, got {gradient_clip}")
        self.head = DINOHead(in_features, prototypes, hidden_features, bottleneck, batch_norm)
        self.register_buffer("centre", torch.zeros(prototypes))
        self.student_temperature = student_temperature
        self._temperatures = teacher_temperature, end, teacher_warmup_epochs
        self.centre_momentum = centre_momentum
        self._momenta = teacher_momentum, teacher_momentum_end
        self.frozen_last_layer_epochs = frozen_last_layer_epochs
        self.gradient_clip = gradient_clip

    def momentum(self, step: int, steps: int) -> float:
        """The teacher's at a step, counted from 0, of all `steps`."""
        return momentum_at(step, steps, *self._momenta)

    def temperature(self, epoch: int) -> float:
        """The teacher's in an epoch, counted from 0."""
        return temperature_at(epoch, *self._temperatures)

    def forward(self, student: Tensor, teacher: Tensor, epoch: int = 0) -> Tensor:
        """The loss of outputs (B, S, K) and (B, T, K); in training, the centre then moves."""
        temperatures = self.student_temperature, self.temperature(epoch)
        share = _of_samples(student, teacher, self.centre, *temperatures).sum()
        rows = distributed.sum_over_processes(share.new_tensor(len(student)))
        loss = distributed.sum_shares(share / rows)
        if self.training:
            self._move_centre(teacher.detach())
        return loss

    @torch.no_grad()
    def teacher_entropy(self, teacher: Tensor, epoch: int = 0) -> Tensor:
        """Entropy of the mean of the teacher's distributions (B, T, K), over all processes.

        ln K where all prototypes are used alike; near 0 where the teacher says the same of everything: a collapse.
        """
        said = _distribution(teacher, self.centre, self.temperature(epoch))
        mean = _mean_over_all(said)
        return -torch.xlogy(mean, mean).sum()

    @torch.no_grad()
    def _move_centre(self, teacher: Tensor) -> None:
        self.centre.lerp_(_mean_over_all(teacher).to(self.centre), 1 - self.centre_momentum)


def _of_samples(student: Tensor, teacher: Tensor, centre: Tensor, student_t: float, teacher_t: float) -> Tensor:
    """The loss of each sample (B,)."""
    _check_temperature("student_temperature", student_t)
    _check_temperature("teacher_temperature", teacher_t)
    fits = student.dim() == teacher.dim() == 3 and student.shape[::2] == teacher.shape[::2]
    if not fits or centre.shape != student.shape[2:]:
        shapes = ", ".join(str(tuple(x.shape)) for x in (student, teacher, centre))
        raise ValueError(f"student (B, S, K), teacher (B, T, K) and centre (K,) do not fit: {shapes}")
    crops, seen = student.shape[1], teacher.shape[1]
    if not 1 <= seen <= crops or crops < 2:
        raise ValueError(
            f"the student must see the teacher's crops and one beside each: it sees {crops}, the teacher {seen}"
        )
    with torch.autocast(student.device.type, enabled=False):
        said = _distribution(teacher.detach(), centre, teacher_t)
        learnt = torch.log_softmax(at_least_float32(student) / student_t, dim=-1)
        everything = said.sum(dim=1)
        total = learnt.new_zeros(len(learnt))
        for s in range(crops):
            # Added up without the same crop, not taken away again: far logits would magnify the rounding.
            others = everything if s >= seen else said[:, [t for t in range(seen) if t != s]].sum(dim=1)
            total = total - (others * learnt[:, s]).sum(dim=-1)
        return total / (seen * (crops - 1))


def _distribution(teacher: Tensor, centre: Tensor, temperature: float) -> Tensor:
    teacher = at_least_float32(teacher)
    return torch.softmax((teacher - centre.to(teacher)) / temperature, dim=-1)


def _mean_over_all(outputs: Tensor) -> Tensor:
    """Mean (K,) over samples and views (B, T, K) of all processes, in float64."""
    wide = outputs.double().sum(dim=(0, 1))
    total = distributed.sum_over_processes(torch.cat([wide, wide.new_tensor([outputs.shape[0] * outputs.shape[1]])]))
    return total[:-1] / total[-1]


def _check_temperature(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a positive number, got {value}")
