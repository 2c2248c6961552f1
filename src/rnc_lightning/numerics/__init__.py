"""Precision, seeds, checks of arguments, and collectives over processes: import the modules themselves."""

__all__ = ["checks", "distributed", "precision", "seeding"]
