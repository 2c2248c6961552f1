"""One run of a sweep in a process of its own: `python -m rnc_lightning.sweeps.worker TASK`, started by a launcher only.

TASK is a folder with `config.yaml` and `words.json`; the job leaves `outcome.json` there.
"""

import json
import logging
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text
from rnc_lightning.system.processes import end_with_parent


def main() -> None:
    """Entry point."""
    signal.signal(signal.SIGTERM, _leave)
    end_with_parent()
    task = Path(sys.argv[1])
    cfg = OmegaConf.load(task / "config.yaml")
    assert isinstance(cfg, DictConfig)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

    from rnc_lightning.runs.run import optimized

    try:
        outcome: dict[str, Any] = {"value": optimized(cfg, json.loads((task / "words.json").read_text("utf-8")))}
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        traceback.print_exc()
        message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        details = error.details if isinstance(error, UserError) else ()
        outcome = {"message": message, "details": list(details), "traceback": traceback.format_exc()}
    write_text(task / "outcome.json", json.dumps(outcome))
    sys.exit(0 if "value" in outcome else 1)


def _leave(*_: Any) -> None:
    """End as an exit does, so that the processes of this run are ended too."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
