import math

import pytest
import torch

from rnc_lightning.stages import CosinePerEpoch, cosine_per_epoch


@pytest.mark.parametrize(
    ("lr", "decay", "epochs"), [(0.5, 0.1, 400), (0.2, 0.1, 400), (0.05, 0.2, 100), (0.1, 1.0, 3), (0.3, 0.5, 1)]
)
def test_every_epoch_runs_at_the_formula(lr: float, decay: float, epochs: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = CosinePerEpoch(optimizer, epochs=epochs, decay_rate=decay)
    low = lr * decay * decay * decay
    for epoch in range(1, epochs + 1):
        expected = low + (lr - low) * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-12)
        optimizer.step()
        schedule.step()


def test_official_ends() -> None:
    # main_rnc of the official code: 0.5 over 400 epochs at decay 0.1 starts just below 0.5 and ends at 5e-4.
    assert 0.4999 < cosine_per_epoch(0.5, 1, 400, 0.1) < 0.5
    assert cosine_per_epoch(0.5, 400, 400, 0.1) == pytest.approx(5e-4, rel=1e-12)
    assert cosine_per_epoch(0.5, 200, 400, 0.1) == pytest.approx((0.5 + 5e-4) / 2, rel=1e-12)


def test_groups_keep_their_own_rate() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (0.1, 0.01)]
    optimizer = torch.optim.SGD(groups, lr=0.5)
    CosinePerEpoch(optimizer, epochs=10)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx(
        [cosine_per_epoch(rate, 1, 10, 0.1) for rate in (0.1, 0.01)]
    )


@pytest.mark.parametrize(("name", "value"), [("epochs", 0), ("decay_rate", 0.0), ("decay_rate", 1.5)])
def test_bad_arguments_are_named(name: str, value: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    arguments = {"epochs": 3, "decay_rate": 0.1, name: value}
    with pytest.raises(ValueError, match=name):
        CosinePerEpoch(optimizer, **arguments)  # type: ignore[arg-type]
