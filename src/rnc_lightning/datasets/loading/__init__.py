"""From splits to batches: the LightningDataModule, sampling, views."""
