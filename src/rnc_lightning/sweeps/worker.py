"""One run of a sweep in a separate process: `python -m rnc_lightning.sweeps.worker FOLDER`; a launcher starts it.

It reads the run from the folder and writes the metric that the sweep optimises there.
"""

import logging
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from rnc_lightning.runs.handover import Handover
from rnc_lightning.system.processes import end_with_parent


def main() -> None:
    """Entry point."""
    signal.signal(signal.SIGTERM, _leave)
    end_with_parent()
    handover = Handover(Path(sys.argv[1]))
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

    from rnc_lightning.runs.run import run_and_return_metric

    try:
        handover.succeed(run_and_return_metric(handover.read_request()))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        traceback.print_exc()
        handover.fail(error)
        sys.exit(1)


def _leave(*_: Any) -> None:
    """Exit normally, so that the processes of this run are ended too."""
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
