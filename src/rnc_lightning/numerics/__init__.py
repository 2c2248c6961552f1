"""Precision, seeds, and collectives over processes."""
