"""Many runs: what a sweep remembers and shows, and runs side by side."""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.sweeps.callback import Sweep
    from rnc_lightning.sweeps.record import JobRecord, read_records

__all__ = ["JobRecord", "Sweep", "read_records"]

__getattr__ = lazy_exports(
    __name__,
    {"JobRecord": "record", "Sweep": "callback", "read_records": "record"},
)
