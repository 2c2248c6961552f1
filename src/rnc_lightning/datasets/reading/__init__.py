"""Reads files and tables, checks them, and assigns the samples to splits."""
