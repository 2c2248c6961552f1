"""DINO (Caron et al., ICCV 2021, arXiv 2104.14294): a student learns the outputs of a slowly moving teacher.

With outputs g of heads over K prototypes, a centre c, temperatures T_s and T_t, T crops seen by both and S >= T crops
seen by the student,

    p_t = softmax((g_t - c) / T_t)      L = -1/(T (S - 1)) sum_t sum_{s != t} p_t . log softmax(g_s / T_s)

averaged over samples. The centre is a moving average of the teacher's outputs, updated after the loss; the teacher's
weights are a moving average of the student's, updated after the step. Labels are not used.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_positive_number, check_whole_number
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.targets import TargetSpec


def dino_loss(
    student: Tensor,
    teacher: Tensor,
    centre: Tensor,
    student_temperature: float = 0.1,
    teacher_temperature: float = 0.04,
) -> Tensor:
    """Cross-entropy between the student's distributions and the teacher's for other crops of the same sample.

    Args:
        student: Outputs (B, S, K); the first T crops are those of the teacher.
        teacher: Outputs (B, T, K), which take no gradient.
        centre: (K,), subtracted from the teacher's outputs.
        student_temperature: T_s > 0.
        teacher_temperature: T_t > 0.

    Returns:
        The loss, a scalar, float64 for float64 outputs and float32 otherwise, even under autocast.

    Raises:
        ValueError: If shapes do not match, there is no pair of different crops, or a temperature is not positive.

    >>> round(dino_loss(torch.zeros(4, 2, 8), torch.randn(4, 2, 8), torch.zeros(8)).item(), 6)  # ln 8
    2.079442
    """
    return _loss_per_sample(student, teacher, centre, student_temperature, teacher_temperature).mean()


def momentum_at(step: int, steps: int, start: float, end: float = 1.0) -> float:
    """The teacher's momentum at a step, on a cosine from `start` to `end`.

    >>> [round(momentum_at(step, 100, 0.99), 6) for step in (0, 50, 100)]
    [0.99, 0.995, 1.0]
    """
    return end + (start - end) * (1 + math.cos(math.pi * min(step, steps) / max(steps, 1))) / 2


def temperature_at(epoch: int, start: float, end: float, warmup_epochs: int) -> float:
    """The teacher's temperature in an epoch, from 0: linear from `start` to `end` at the last epoch of the warm-up.

    >>> [round(temperature_at(epoch, 0.04, 0.07, 4), 6) for epoch in (0, 1, 3, 9)]
    [0.04, 0.05, 0.07, 0.07]
    """
    if epoch >= warmup_epochs:
        return end
    return start + (end - start) * epoch / max(warmup_epochs - 1, 1)


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Set the teacher's parameters to `momentum` * teacher + (1 - `momentum`) * student; buffers do not change."""
    for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
        old.lerp_(new, 1 - momentum)


class DINOHead(nn.Module):
    """Three layers with GELU, scaling to unit length, and the cosine with each of K prototypes.

    Args:
        in_features: Width F of the features.
        prototypes: Number K of outputs.
        hidden_features: Width of the two hidden layers.
        bottleneck: Width of the prototypes and of the features compared with them.
        batch_norm: Whether the hidden layers use batch normalisation; for encoders that do, such as ResNets.

    Raises:
        ValueError: If a width is below 1.
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
            check_whole_number(name, value, least=1)
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
    """A linear layer without bias whose rows are scaled to length 1 (weight normalisation with fixed magnitude)."""

    def __init__(self, in_features: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, in_features))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_features) to (N, count)."""
        return F.linear(x, F.normalize(self.weight, dim=1))


class DINO(nn.Module):
    """DINO's loss with the student's head, the centre, and all settings that its stage needs.

    If a batch is spread over processes, loss and centre are those of the whole batch, and the gradient that DDP
    averages equals that of one process with the whole batch. A process may have no rows, but all must call it.

    Args:
        in_features: Width F of the encoder's features.
        target: Not used; every objective that depends on the encoder gets it.
        prototypes: Number K of outputs.
        hidden_features: As for `DINOHead`.
        bottleneck: As for `DINOHead`.
        batch_norm: As for `DINOHead`.
        student_temperature: T_s.
        teacher_temperature: T_t in the first epoch.
        teacher_temperature_end: T_t after the warm-up, unstable above 0.07; None keeps T_t constant.
        teacher_warmup_epochs: Epochs in which T_t changes from the first to the last value.
        centre_momentum: Momentum of the centre for each batch.
        teacher_momentum: Momentum of the teacher's weights at the first step.
        teacher_momentum_end: Momentum at the last step, reached on a cosine.
        frozen_last_layer_epochs: Epochs at the start in which the prototypes are not trained.
        gradient_clip: Largest gradient norm over all parameters; None for no clipping.

    Raises:
        ValueError: If an argument is out of range.
    """

    needs_stage = "rnc_lightning.stages.Dino"  # the only stage with a teacher
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
        check_positive_number("student_temperature", student_temperature)
        check_positive_number("teacher_temperature", teacher_temperature)
        check_positive_number("teacher_temperature_end", end)
        momenta = {
            "centre_momentum": centre_momentum,
            "teacher_momentum": teacher_momentum,
            "teacher_momentum_end": teacher_momentum_end,
        }
        for name, value in momenta.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {value}")
        check_whole_number("teacher_warmup_epochs", teacher_warmup_epochs, least=0)
        check_whole_number("frozen_last_layer_epochs", frozen_last_layer_epochs, least=0)
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
        """The teacher's momentum at a step, counted from 0, out of `steps`."""
        return momentum_at(step, steps, *self._momenta)

    def temperature(self, epoch: int) -> float:
        """The teacher's temperature in an epoch, counted from 0."""
        return temperature_at(epoch, *self._temperatures)

    def forward(self, student: Tensor, teacher: Tensor, epoch: int = 0) -> Tensor:
        """Loss of outputs (B, S, K) and (B, T, K); in training mode the centre is updated afterwards."""
        temperatures = self.student_temperature, self.temperature(epoch)
        share = _loss_per_sample(student, teacher, self.centre, *temperatures).sum()
        rows = distributed.sum_over_processes(share.new_tensor(len(student)))
        loss = distributed.sum_shares(share / rows)
        if self.training:
            with torch.no_grad():
                self.centre.lerp_(_mean_over_all(teacher.detach()).to(self.centre), 1 - self.centre_momentum)
        return loss

    @torch.no_grad()
    def teacher_entropy(self, teacher: Tensor, epoch: int = 0) -> Tensor:
        """Entropy of the mean of the teacher's distributions (B, T, K), over all processes.

        It is ln K if all prototypes are used equally and near 0 if the teacher collapses to the same output for all.
        """
        mean = _mean_over_all(_distribution(teacher, self.centre, self.temperature(epoch)))
        return -torch.xlogy(mean, mean).sum()


def _loss_per_sample(student: Tensor, teacher: Tensor, centre: Tensor, student_t: float, teacher_t: float) -> Tensor:
    check_positive_number("student_temperature", student_t)
    check_positive_number("teacher_temperature", teacher_t)
    fits = student.dim() == teacher.dim() == 3 and student.shape[::2] == teacher.shape[::2]
    if not fits or centre.shape != student.shape[2:]:
        shapes = ", ".join(str(tuple(x.shape)) for x in (student, teacher, centre))
        raise ValueError(f"shapes of student (B, S, K), teacher (B, T, K) and centre (K,) do not match: {shapes}")
    crops, seen = student.shape[1], teacher.shape[1]
    if not 1 <= seen <= crops or crops < 2:
        raise ValueError(
            f"the student must see all of the teacher's crops, and at least two: it sees {crops}, the teacher {seen}"
        )
    with torch.autocast(student.device.type, enabled=False):
        wanted = _distribution(teacher.detach(), centre, teacher_t)
        predicted = torch.log_softmax(at_least_float32(student) / student_t, dim=-1)
        all_crops = wanted.sum(dim=1)
        total = predicted.new_zeros(len(predicted))
        for s in range(crops):
            # Summed without the same crop instead of subtracting it: large logits would magnify the rounding error.
            others = all_crops if s >= seen else wanted[:, [t for t in range(seen) if t != s]].sum(dim=1)
            total = total - (others * predicted[:, s]).sum(dim=-1)
        return total / (seen * (crops - 1))


def _distribution(teacher: Tensor, centre: Tensor, temperature: float) -> Tensor:
    teacher = at_least_float32(teacher)
    return torch.softmax((teacher - centre.to(teacher)) / temperature, dim=-1)


def _mean_over_all(outputs: Tensor) -> Tensor:
    """Mean (K,) over samples and views (B, T, K) of all processes, in float64."""
    wide = outputs.double().sum(dim=(0, 1))
    total = distributed.sum_over_processes(torch.cat([wide, wide.new_tensor([outputs.shape[0] * outputs.shape[1]])]))
    return total[:-1] / total[-1]
