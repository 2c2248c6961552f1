"""The machine: errors, files, locks, signals, processes. No PyTorch where it is not needed."""
