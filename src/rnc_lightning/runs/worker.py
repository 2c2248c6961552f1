"""One of the processes of a run: `python -m rnc_lightning.runs.worker TASK`, started by `train` and by nobody else.

TASK is a folder with `config.yaml` and `words.json`; the first process leaves `result.json` there, or `error.json`;
where there is a bug, `traceback.txt` is that of the process which failed first.
"""

import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rnc_lightning.numerics import distributed
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text
from rnc_lightning.system.processes import end_with_parent
from rnc_lightning.system.signals import sigterm_raises


def main() -> None:
    """Entry point."""
    end_with_parent()
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a cluster tells all processes; the parent knows what to do
    task = Path(sys.argv[1])
    cfg = OmegaConf.load(task / "config.yaml")
    assert isinstance(cfg, DictConfig)
    place, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    logging.basicConfig(level=logging.INFO if place == 0 else logging.WARNING, format="%(message)s", stream=sys.stdout)
    distributed.join(place, processes, _backend(cfg))

    from rnc_lightning.runs.run import execute_here

    try:
        with sigterm_raises():
            result = execute_here(cfg, json.loads((task / "words.json").read_text(encoding="utf-8")))
    except UserError as error:
        write_text(task / "error.json", json.dumps({"message": str(error), "details": list(error.details)}))
        sys.exit(1)
    except Exception:
        if not (task / "traceback.txt").exists():  # the others only miss the one that failed
            write_text(task / "traceback.txt", f"in process {place}:\n{traceback.format_exc()}")
        raise
    if place == 0:
        write_text(task / "result.json", json.dumps(result))


def _backend(cfg: DictConfig) -> str:
    import torch

    if cfg.trainer.accelerator == "cpu" or not torch.cuda.is_available():
        return "gloo"
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return "nccl"


if __name__ == "__main__":
    main()
