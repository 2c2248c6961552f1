"""Runs as Slurm jobs, through submitit: submit them, wait for them, and end and requeue them when they are stopped.

Only the launcher `hydra/launcher=slurm` uses this package; submitit is an optional dependency.
"""
