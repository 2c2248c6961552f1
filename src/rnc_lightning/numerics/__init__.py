"""Precision, seeds, and collectives over processes."""

from rnc_lightning.numerics.precision import at_least_float32, unit_rows
from rnc_lightning.numerics.seeding import derive_seed, seed_all

__all__ = ["at_least_float32", "derive_seed", "seed_all", "unit_rows"]
