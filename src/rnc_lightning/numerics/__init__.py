"""Precision, seeds, checks of arguments, and collectives over processes."""

__all__ = ["checks", "distributed", "precision", "seeding"]
