"""`torch.compile` for an encoder that is saved and loaded as before."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from rnc_lightning.system.errors import UserError, suggest


def compile_in_place(module: nn.Module, backend: str) -> None:
    """Let a module's forward be compiled when it is first called; names in its state dict stay as they are.

    Each shape of input is compiled on its own. A graph for varying shapes would be used from the second shape on, but
    not by a run that was stopped and goes on, and the two would round differently. What was compiled before in this
    process is let go, else the runs of a sweep would come to the limit of versions that PyTorch keeps, beyond which
    it does not compile.

    Args:
        module: Changed in place.
        backend: A name that `torch.compile` knows.

    Raises:
        ValueError: For another name, with one that is near.
    """
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise ValueError(f"compile: torch has no backend {backend!r}; {suggest(backend, known)}")
    torch.compiler.reset()
    module.compile(backend=backend, dynamic=False)


@contextmanager
def explain_compile_failures() -> Iterator[None]:
    """Where a compiler fails or is missing, one line that says so."""
    try:
        yield
    except torch._dynamo.exc.BackendCompilerFailed as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise UserError(f"compute.compile: the encoder could not be compiled ({reason}); null does without") from error
