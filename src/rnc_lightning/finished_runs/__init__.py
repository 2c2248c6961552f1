"""What can be done with a finished run: evaluate it under other conditions, predict with it, export it."""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.finished_runs.evaluate import evaluate_run
    from rnc_lightning.finished_runs.export import export_run
    from rnc_lightning.finished_runs.finished_run import FinishedRun, open_run
    from rnc_lightning.finished_runs.predict import predict_run

__all__ = ["FinishedRun", "evaluate_run", "export_run", "open_run", "predict_run"]

__getattr__ = lazy_exports(
    __name__,
    {
        "FinishedRun": "finished_run",
        "evaluate_run": "evaluate",
        "export_run": "export",
        "open_run": "finished_run",
        "predict_run": "predict",
    },
)
