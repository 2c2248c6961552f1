"""Finished runs taken up again: tested under other conditions, used to predict, exported."""
