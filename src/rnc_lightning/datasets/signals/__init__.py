"""Signals: EDF files, preprocessing, recordings and their windows."""
