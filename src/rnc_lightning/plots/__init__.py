"""Plots of a run: projections of the features, predictions against targets, curves over epochs.

Import the module that is wanted, for instance `rnc_lightning.plots.curves`; this package itself loads
nothing, so that a run without plots does not pay for matplotlib.
"""
