"""Made data in the official layouts of the paper's data sets, for trying everything without the real ones.

The writers and the readers of `rnc_lightning.data` know nothing of each other.
"""

from rnc_lightning.synthetic.write import WRITERS, imitate
from rnc_lightning.system.synthetic_marker import MARKER, made_data_sets

__all__ = ["MARKER", "WRITERS", "imitate", "made_data_sets"]
