"""Batches that are spread over processes: the only module that calls `torch.distributed`.

In a single process every function here returns its argument unchanged.
"""

import math
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes that share the batch; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Index of this process, from 0 up."""
    return dist.get_rank() if world_size() > 1 else 0


def share() -> tuple[int, int]:
    """This process' share of the work: (rank, number of processes)."""
    return rank(), world_size()


def common_seed() -> int:
    """A seed drawn from PyTorch's generator on rank 0, the same in every process."""
    seed: int = broadcast_from_first(int(torch.randint(2**62, ())))
    return seed


def is_first() -> bool:
    """Whether this process writes the files: it has rank 0 or is the only one."""
    return rank() == 0


def join_process_group(rank: int, processes: int, backend: str) -> None:
    """Join the other processes at the address in the environment (MASTER_ADDR, MASTER_PORT).

    The timeout is a day, because a process may have to wait for a lock that another run holds.
    """
    dist.init_process_group(backend, rank=rank, world_size=processes, timeout=timedelta(days=1))


def leave_process_group() -> None:
    """Leave the process group; every process must call it at the same point."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def wait_for_all() -> None:
    """Wait until every process has reached this point."""
    if world_size() > 1:
        dist.barrier()


def broadcast_from_first(value: Any) -> Any:
    """Rank 0's value, a plain Python object, in every process."""
    box = [value]
    if world_size() > 1:
        dist.broadcast_object_list(box, src=0)
    return box[0]


def gather_rows(part: Tensor) -> Tensor:
    """Gather the rows of all processes in rank order, with a gradient.

    In the backward pass each process gets the sum over all processes of the gradients of its own rows. So the losses
    of the processes may differ: their sum is minimised.

    Args:
        part: This process' rows (m, ...); m may differ between processes and be 0, the rest of the shape must agree.

    Returns:
        All rows (n, ...).
    """
    return part if world_size() == 1 else _Gathered.apply(part)


def sum_shares(share: Tensor) -> Tensor:
    """Sum the processes' shares of a loss, so that DDP's mean of gradients is the gradient of that sum.

    Args:
        share: A scalar; the loss is its sum over the processes.

    Returns:
        The loss, the same in every process, with the gradient of the share times the number of processes.
    """
    if world_size() == 1:
        return share
    scaled = share * world_size()
    return scaled + (sum_over_processes(share) - scaled.detach())


def weight_by_rows(mean: Tensor, rows: int) -> Tensor:
    """Weight a process' mean over its rows so that DDP's mean of gradients is that of the mean over all rows."""
    if world_size() == 1:
        return mean
    return mean * (
        rows * world_size() / sum_over_processes(torch.tensor(rows, dtype=torch.float64, device=mean.device))
    )


def mean_over_rows(mean: Tensor, rows: int) -> tuple[Tensor, int]:
    """Turn a process' mean over its rows into the mean over all rows and their number, without a gradient."""
    if world_size() == 1:
        return mean, rows
    total = sum_over_processes(torch.stack([mean.detach().double() * rows, mean.new_tensor(rows, dtype=torch.float64)]))
    return (total[0] / total[1]).to(mean.dtype), int(total[1])


def sum_over_processes(value: Tensor) -> Tensor:
    """Sum over all processes, without a gradient."""
    total = value.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return total


def max_over_processes(count: int, device: torch.device) -> int:
    """The largest of the processes' counts; they communicate on `device`."""
    if world_size() == 1:
        return count
    maximum = torch.tensor(count, device=device)
    dist.all_reduce(maximum, dist.ReduceOp.MAX)
    return int(maximum)


class _Gathered(torch.autograd.Function):
    """Forward: the rows of all processes. Backward: the summed gradient of this process' rows."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        counts = [torch.zeros(1, dtype=torch.int64, device=part.device) for _ in range(world_size())]
        dist.all_gather(counts, torch.tensor([len(part)], device=part.device))
        sizes = [int(count) for count in counts]
        ctx.rows = slice(sum(sizes[: rank()]), sum(sizes[: rank() + 1]))
        # Sent as bytes, because not every backend supports every dtype; padded, because all must send the same size.
        content = part.detach().reshape(len(part), math.prod(part.shape[1:])).contiguous().view(torch.uint8)
        padded = content.new_zeros(max(sizes), content.shape[1])
        padded[: len(part)] = content
        received = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(received, padded)
        rows = torch.cat([rows[:size] for rows, size in zip(received, sizes, strict=True)])
        return rows.view(part.dtype).view(len(rows), *part.shape[1:])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        gradient = grad_outputs[0]
        wide = gradient.to(torch.float32 if gradient.element_size() < 4 else gradient.dtype, copy=True).contiguous()
        dist.all_reduce(wide)
        return wide[ctx.rows].to(gradient.dtype)
