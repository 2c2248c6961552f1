"""Hydra finds this package through the namespace package `hydra_plugins` and imports it at every start."""
