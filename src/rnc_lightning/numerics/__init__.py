"""Precision, seeds, checks of arguments, and collectives over processes."""
