"""One of the processes of a run: `python -m rnc_lightning.runs.worker FOLDER`; only `train` starts it.

It reads the run from the folder; the first process writes the result there.
"""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from rnc_lightning.numerics import distributed
from rnc_lightning.runs.devices import choose_backend, named_gpus
from rnc_lightning.runs.handover import Handover
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.processes import end_with_parent
from rnc_lightning.system.signals import raise_on_sigterm


def main() -> None:
    """Entry point."""
    end_with_parent()
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a cluster sends it to all processes; only the parent handles it
    handover = Handover(Path(sys.argv[1]))
    request = handover.read_request()
    rank, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.WARNING, format="%(message)s", stream=sys.stdout)
    distributed.join_process_group(
        rank, processes, _backend(request.trainer.get("accelerator"), request.trainer.get("devices"))
    )

    from rnc_lightning.runs.run import execute_here

    try:
        with raise_on_sigterm():
            result = execute_here(request)
    except Exception as error:
        handover.fail(error, f"in process {rank}")
        if isinstance(error, UserError):
            sys.exit(1)
        raise
    if rank == 0:
        handover.succeed(result)


def _backend(accelerator: Any, devices: Any) -> str:
    import torch

    if accelerator == "cpu" or not torch.cuda.is_available():
        return "gloo"
    gpus, local_rank = named_gpus(devices), int(os.environ["LOCAL_RANK"])
    torch.cuda.set_device(local_rank if gpus is None else gpus[local_rank])
    return choose_backend(accelerator, devices)


if __name__ == "__main__":
    main()
