"""The paper's tables of regression and competing methods from finished runs, in several formats.

Reads `result.json` files, and needs neither PyTorch nor Lightning.
"""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.reports.claims import Claim
    from rnc_lightning.reports.read_runs import Run
    from rnc_lightning.reports.table import build_report
    from rnc_lightning.reports.write import write_report

__all__ = ["Claim", "Run", "build_report", "write_report"]

__getattr__ = lazy_exports(
    __name__,
    {"Claim": "claims", "Run": "read_runs", "build_report": "table", "write_report": "write"},
)
