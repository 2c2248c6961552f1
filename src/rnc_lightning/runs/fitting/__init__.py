"""Fit one stage: trainer, callbacks, checkpoints, diagnostics."""
