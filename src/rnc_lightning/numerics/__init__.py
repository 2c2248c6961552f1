"""Precision, seeds, checks of arguments, numbers as text, collectives over processes: import the modules themselves."""

__all__ = ["checks", "distributed", "number_text", "precision", "seeding"]
