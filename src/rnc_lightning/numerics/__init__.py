"""Precision, seeds, checks of arguments, numbers as text, collectives over processes: import the modules themselves."""

from rnc_lightning.numerics import number_text

__all__ = ["checks", "distributed", "number_text", "precision", "seeding"]
