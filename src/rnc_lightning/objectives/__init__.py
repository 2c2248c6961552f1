"""Objectives of stage one: each a function of features, and a thin module around it. Plain PyTorch."""
