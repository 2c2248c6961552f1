"""Data sets: readers, splits, views, and one LightningDataModule each."""
