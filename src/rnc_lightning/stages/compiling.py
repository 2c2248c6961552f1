"""`torch.compile` for an encoder whose checkpoints do not change."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from rnc_lightning.system.errors import UserError, suggest


def compile_in_place(module: nn.Module, backend: str) -> None:
    """Compile a module's forward at its first call; the names in its state dict do not change.

    Each input shape is compiled separately. PyTorch would use a graph for varying shapes from the second shape on, but
    not in a run that was stopped and resumed, and the two graphs round differently. Graphs compiled earlier in this
    process are dropped, because the runs of a sweep would otherwise reach the number of graphs that PyTorch keeps,
    after which it no longer compiles.

    Args:
        module: Changed in place.
        backend: A name that `torch.compile` knows.

    Raises:
        ValueError: If the backend is unknown.
    """
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise ValueError(f"compile: torch has no backend {backend!r}; {suggest(backend, known)}")
    torch.compiler.reset()
    module.compile(backend=backend, dynamic=False)


@contextmanager
def explain_compile_failures() -> Iterator[None]:
    """Turn a failed compilation or a missing compiler into one line."""
    try:
        yield
    except torch._dynamo.exc.BackendCompilerFailed as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise UserError(
            f"compute.compile: the encoder could not be compiled ({reason}); compute.compile=null turns it off"
        ) from error
