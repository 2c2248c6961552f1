"""Batches that are spread over processes: the one place that speaks to `torch.distributed`.

In a single process everything here leaves its argument as it is.
"""

import math
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Processes that share the batch, 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process among them, from 0 up."""
    return dist.get_rank() if world_size() > 1 else 0


def share() -> tuple[int, int]:
    """This process' share of what all have: (rank, number of processes)."""
    return rank(), world_size()


def common_seed() -> int:
    """A seed drawn from PyTorch's generator, in every process that of rank 0."""
    seed: int = broadcast_from_first(int(torch.randint(2**62, ())))
    return seed


def is_first() -> bool:
    """Whether this process is the one that writes files: rank 0, or the only one."""
    return rank() == 0


def join_process_group(place: int, processes: int, backend: str) -> None:
    """Become one of several processes; the address is that of the environment (MASTER_ADDR, MASTER_PORT).

    A process may wait for another as long as a lock is held elsewhere, so the patience is a day.
    """
    dist.init_process_group(backend, rank=place, world_size=processes, timeout=timedelta(days=1))


def leave_process_group() -> None:
    """Be a single process from here on; every process does so, and at the same point."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if world_size() > 1:
        dist.barrier()


def broadcast_from_first(value: Any) -> Any:
    """What rank 0 gives, a plain value, in every process."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gather_rows(part: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks; the gradient comes back to the process of each row.

    Every process gets the sum of what all processes say of its rows, so that losses on the gathered rows may differ
    from process to process: what is minimised is their sum.

    Args:
        part: This process' rows (m, ...); m may differ between processes and be 0, all else must agree.

    Returns:
        All rows (n, ...).
    """
    return part if world_size() == 1 else _Gathered.apply(part)


def sum_shares(share: Tensor) -> Tensor:
    """What each process minimises so that DDP's mean of gradients is the gradient of a sum of shares.

    Args:
        share: A scalar, of which the loss is the sum over the processes.

    Returns:
        In every process the loss itself, with the gradient of the share times the number of processes.
    """
    if world_size() == 1:
        return share
    scaled = share * world_size()
    return scaled + (sum_over_processes(share) - scaled.detach())


def weight_by_rows(mean: Tensor, rows: int) -> Tensor:
    """A process' mean over its rows, weighted so that DDP's mean of gradients is that of the mean over all rows."""
    if world_size() == 1:
        return mean
    return mean * (
        rows * world_size() / sum_over_processes(torch.tensor(rows, dtype=torch.float64, device=mean.device))
    )


def mean_over_rows(mean: Tensor, rows: int) -> tuple[Tensor, int]:
    """A process' mean over its rows as the mean over all rows, and how many those are; without a gradient."""
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
    """The largest of the processes' counts; `device` is where the processes meet."""
    if world_size() == 1:
        return count
    found = torch.tensor(count, device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


class _Gathered(torch.autograd.Function):
    """All rows forward; backward the summed gradient of your own."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        counts = [torch.zeros(1, dtype=torch.int64, device=part.device) for _ in range(world_size())]
        dist.all_gather(counts, torch.tensor([len(part)], device=part.device))
        sizes = [int(count) for count in counts]
        ctx.rows = slice(sum(sizes[: rank()]), sum(sizes[: rank() + 1]))
        # As bytes, since not every backend knows every precision; padded, since all must send the same.
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
