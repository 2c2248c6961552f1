"""One of the processes of a run: `python -m rnc_lightning.rank TASK`, started by `train` and by nobody else.

TASK is a folder with `config.yaml` and `words.json`; the first process leaves `result.json` there, or `error.json`.
"""

import json
import logging
import os
import signal
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rnc_lightning import distributed
from rnc_lightning.distributed.launching import end_with_parent
from rnc_lightning.errors import UserError
from rnc_lightning.files import write_text
from rnc_lightning.stopping import sigterm_raises


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

    from rnc_lightning.train import execute_here

    try:
        with sigterm_raises():
            result = execute_here(cfg, json.loads((task / "words.json").read_text(encoding="utf-8")))
    except UserError as error:
        write_text(task / "error.json", json.dumps({"message": str(error), "details": list(error.details)}))
        sys.exit(1)
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
