"""Synthetic data in the official layouts of the paper's data sets, to try everything without the real data.

Inputs and targets are both synthetic. The writers here and the readers in `rnc_lightning.datasets` share no code.
"""

from rnc_lightning.synthetic.write import WRITERS, write_synthetic
from rnc_lightning.system.synthetic_marker import MARKER, synthetic_data_sets

__all__ = ["MARKER", "WRITERS", "synthetic_data_sets", "write_synthetic"]
