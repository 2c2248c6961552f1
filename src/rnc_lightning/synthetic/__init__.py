"""Synthetic data in the official layouts of the paper's data sets, for trying everything without the real ones.

The writers and the readers of `rnc_lightning.data` know nothing of each other.
"""

from rnc_lightning.synthetic.write import WRITERS, write_synthetic
from rnc_lightning.system.synthetic_marker import MARKER, synthetic_data_sets

__all__ = ["MARKER", "WRITERS", "synthetic_data_sets", "write_synthetic"]
