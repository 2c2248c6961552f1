"""The paper's tables and figures as studies: which runs to train and how to evaluate them.

A study is a class with a YAML in `conf/study/` and the methods

    phases(bench)           lists of runs; the runs of one list can be trained in parallel
    findings(runs)          tables, a figure and claims, from the finished runs
"""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.studies.bench import Bench, StudyRun
    from rnc_lightning.studies.findings import Findings
    from rnc_lightning.studies.settings import ChosenStudy, load_study

__all__ = ["Bench", "ChosenStudy", "Findings", "StudyRun", "load_study"]

__getattr__ = lazy_exports(
    __name__,
    {
        "Bench": "bench",
        "ChosenStudy": "settings",
        "Findings": "findings",
        "StudyRun": "bench",
        "load_study": "settings",
    },
)
