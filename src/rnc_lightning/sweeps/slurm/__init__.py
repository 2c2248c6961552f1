"""Runs as jobs of Slurm, through submitit: what a job asks for, how it is waited for, how it ends when stopped.

Only the launcher `hydra/launcher=slurm` uses this; submitit is an extra.
"""
