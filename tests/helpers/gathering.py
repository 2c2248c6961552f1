"""Objectives and heads whose gradients over several processes must equal those of one; run by test_gradients.py.

One joins by being listed in `OBJECTIVES` or `HEADS`.

Arguments when run as a program: a folder for the results, and the numbers of processes to try. The processes are
forked from the program, so that the imports are done once.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from forked import run_forked

from rnc_lightning.heads import BalancedMSEHead, ExpectationHead, OrdinalHead, PointHead
from rnc_lightning.numerics import distributed
from rnc_lightning.objectives.dino import DINO
from rnc_lightning.objectives.rnc import RnCLoss
from rnc_lightning.objectives.simclr import SimCLR
from rnc_lightning.objectives.supcon import SupCon
from rnc_lightning.objectives.supremix import SupReMix
from rnc_lightning.regularizers.conr import ConR
from rnc_lightning.regularizers.fds import FDS
from rnc_lightning.regularizers.ordinal_entropy import OrdinalEntropy
from rnc_lightning.regularizers.ranksim import RankSim
from rnc_lightning.stages.gradient_cache import encode_in_chunks
from rnc_lightning.targets import TargetSpec


class Drawing(nn.Module):
    """An objective that has weights or draws, from the same seed whoever calls it; only the encoder is compared."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.inner = make()

    def forward(self, features: Tensor, y: Tensor) -> Tensor:
        torch.manual_seed(3)
        return self.inner.to(features.dtype)(features, y)


class Predicting(nn.Module):
    """A regularizer that looks at predictions; here the first feature stands for them."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, features: Tensor, y: Tensor) -> Tensor:
        return self.inner(features, y, features[..., :1])


class TwoSided(nn.Module):
    """DINO on features as if they were a head's outputs; the teacher's are made of them, and the centre has moved."""

    def __init__(self) -> None:
        super().__init__()
        self.dino = DINO(4, prototypes=4, hidden_features=4, bottleneck=4).double()

    def forward(self, features: Tensor, y: Tensor) -> Tensor:
        teacher = 0.2 * features.detach().flip(-1)
        self.dino(features.detach(), teacher)
        return self.dino(features, teacher)


OBJECTIVES: dict[str, Callable[[], nn.Module]] = {
    "rnc": RnCLoss,
    "rnc_chunked": lambda: RnCLoss(chunk_size=2),
    "rnc_positives": lambda: RnCLoss(positives=9),
    "rnc_cosine": lambda: RnCLoss(temperature=0.1, similarity="cosine"),
    "rnc_l1": lambda: RnCLoss(similarity="negative_l1"),
    "dino": TwoSided,
    "simclr": lambda: Drawing(lambda: SimCLR(4)),
    "supcon": lambda: Drawing(lambda: SupCon(4, TARGET)),
    "supremix": lambda: Drawing(lambda: SupReMix(4, TARGET)),
    "ranksim": lambda: Drawing(RankSim),
    "ordinal_entropy": OrdinalEntropy,
    "conr": lambda: Predicting(ConR(temperature=0.5, similar=1.0)),
}
TARGET = TargetSpec({"number": {"low": 0, "high": 5, "step": 1}})
HEADS: dict[str, Callable[[], nn.Module]] = {
    "l1": lambda: PointHead(4, TARGET),
    "mse": lambda: PointHead(4, TARGET, criterion="mse"),
    "huber": lambda: PointHead(4, TARGET, criterion="huber"),
    "dex": lambda: ExpectationHead(4, TARGET),
    "dldl_v2": lambda: ExpectationHead(4, TARGET, labels="gaussian", expectation_error="l1"),
    "or": lambda: OrdinalHead(4, TARGET),
    "corn": lambda: OrdinalHead(4, TARGET, conditional=True),
    "l2cs_net": lambda: ExpectationHead(4, TARGET, expectation_error="mse"),
    "lde": lambda: ExpectationHead(4, TARGET, labels="gaussian"),
    "balanced_mse": lambda: BalancedMSEHead(4, TARGET),
}
PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
BATCH, VIEWS = 12, 2
AT_ONCE = 5  # rows that an encoder with a gradient cache takes
# By number of processes: how many samples each one has.
DIVISIONS: dict[str, dict[int, list[int]]] = {
    "even": {2: [6, 6], 4: [3, 3, 3, 3]},
    "uneven": {2: [7, 5], 4: [4, 3, 3, 2]},
    "one process has none": {2: [12, 0], 4: [5, 5, 2, 0]},
}


def samples() -> tuple[Tensor, Tensor]:
    """Inputs (B, V, 5) and labels (B, 1); in every division the first process' labels are all equal."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, VIEWS, 5, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 6, (BATCH, 1), generator=generator).double()
    y[:3] = 2.0
    return x, y


def encoder() -> nn.Module:
    """The same weights in every process."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4)).double()


class Headed(nn.Module):
    """An encoder with a head; the loss is the head's, put together over the processes as in the regressor."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.encoder, self.head = encoder(), HEADS[name]().double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


def head_step(name: str, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Loss over all processes and gradient of all parameters as one vector, for the first view."""
    module = Headed(name)
    reached = DistributedDataParallel(module) if distributed.world_size() > 1 else module
    mean = module.head.loss(reached(x[:, 0]), y)
    distributed.weight_by_rows(mean, len(y)).backward()
    gradient = torch.cat([p.grad.flatten() for p in module.parameters()])
    return distributed.mean_over_rows(mean.detach(), len(y))[0], gradient


def calibration(x: Tensor, y: Tensor, batch: int) -> dict[str, Tensor]:
    """FDS' statistics after two epochs over a process' samples, in batches."""
    fds = FDS(5, TARGET, momentum=0.5)
    for epoch in range(2):
        for rows, labels in zip(x[:, 0].split(batch), y.split(batch), strict=True):
            fds.collect(rows * (1 + epoch), labels)
        fds.end_epoch()
    return fds.state_dict()


class InChunks(nn.Module):
    """An encoder with a gradient cache."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return encode_in_chunks(self.inner, x, AT_ONCE)


class SyncedNorm(nn.Module):
    """Synchronised batch normalisation, which PyTorch has for GPUs only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(width, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        sums = torch.cat([x.sum(0), (x * x).sum(0), x.new_tensor([len(x)])])
        if dist.is_initialized():
            sums = all_reduce(sums)
        mean, square = (sums[:-1] / sums[-1].detach()).chunk(2)
        self.running_mean.lerp_(mean.detach(), 0.1)
        return (x - mean) * (square - mean * mean + 1e-5).rsqrt()


def encoder_with_synced_norm() -> nn.Sequential:
    """The same weights in every process, and a layer in which the processes meet."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 7).double(), SyncedNorm(7), nn.Tanh(), nn.Linear(7, 4).double())


def step(objective: nn.Module, module: nn.Module, x: Tensor, y: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Loss and gradient of all parameters as one vector."""
    features = module(x.flatten(0, 1)).to(dtype).unflatten(0, x.shape[:2])
    loss = objective(features, y)
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in module.parameters()])
    module.zero_grad()
    return loss.detach().double(), gradient


def main(rank: int, world: int, folder: str) -> None:
    """Every objective, division and precision."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous.{world}", rank=rank, world_size=world)
    x, y = samples()
    found = {}
    # Made once: a step leaves no trace in them, and processes take long to agree on a new one.
    plain, in_chunks = DistributedDataParallel(encoder()), DistributedDataParallel(InChunks(encoder()))
    for division, sizes in DIVISIONS.items():
        mine = slice(sum(sizes[world][:rank]), sum(sizes[world][: rank + 1]))
        for name, make in OBJECTIVES.items():
            for precision, dtype in PRECISIONS.items():
                found[division, name, precision] = step(make(), plain, x[mine], y[mine], dtype)
            found[division, name, "cached"] = step(make(), in_chunks, x[mine], y[mine], torch.float64)
        if min(sizes[world]):  # a regressor's process always has samples
            for name in HEADS:
                found[division, name] = head_step(name, x[mine], y[mine])
    floor = RnCLoss().floor(y[mine], VIEWS)
    normed = encoder_with_synced_norm()
    uneven = DIVISIONS["uneven"][world]
    mine = slice(sum(uneven[:rank]), sum(uneven[: rank + 1]))
    synced = step(RnCLoss(), DistributedDataParallel(InChunks(normed)), x[mine], y[mine], torch.float64)
    torch.save(
        {
            "steps": found,
            "floor": floor,
            "synced": (*synced, normed[1].running_mean),
            "calibration": calibration(x[mine], y[mine], batch=2),
        },
        f"{folder}/found.{world}.{rank}",
    )
    dist.destroy_process_group()


if __name__ == "__main__":
    for count in map(int, sys.argv[2:]):
        run_forked(main, count, sys.argv[1])
