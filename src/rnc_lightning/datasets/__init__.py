"""Data sets: each reads its files and provides batches for training.

Names for your own data set are imported on first use, so that unused parts are not loaded:

>>> from rnc_lightning.datasets import Problems, RegressionDataModule, Split
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnc_lightning.datasets.feature_transforms import augmented_array, plain_array
    from rnc_lightning.datasets.images.datamodule import ImagesDataModule
    from rnc_lightning.datasets.images.files import ImageFiles
    from rnc_lightning.datasets.images.transforms import augmented_digit, augmented_image, centred_image, plain_digit
    from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
    from rnc_lightning.datasets.reading.data_source import DataSource
    from rnc_lightning.datasets.reading.problems import Problems
    from rnc_lightning.datasets.reading.random_split import Division
    from rnc_lightning.datasets.signals.recordings import RecordingsDataModule
    from rnc_lightning.datasets.signals.transforms import centred_crop, random_crop
    from rnc_lightning.datasets.splits import PARTS, Split, SplitName
    from rnc_lightning.datasets.transform import Description, ImageTransform, Transform
    from rnc_lightning.datasets.unlabelled import Unlabelled, UserInputs, blank_split, list_files

__all__ = [
    "PARTS",
    "DataSource",
    "Description",
    "Division",
    "ImageFiles",
    "ImageTransform",
    "ImagesDataModule",
    "Problems",
    "RecordingsDataModule",
    "RegressionDataModule",
    "Split",
    "SplitName",
    "Transform",
    "Unlabelled",
    "UserInputs",
    "augmented_array",
    "augmented_digit",
    "augmented_image",
    "blank_split",
    "centred_crop",
    "centred_image",
    "list_files",
    "plain_array",
    "plain_digit",
    "random_crop",
]

_MODULES = {
    "feature_transforms": ("augmented_array", "plain_array"),
    "images.datamodule": ("ImagesDataModule",),
    "images.files": ("ImageFiles",),
    "images.transforms": ("augmented_digit", "augmented_image", "centred_image", "plain_digit"),
    "loading.datamodule": ("RegressionDataModule",),
    "reading.data_source": ("DataSource",),
    "reading.random_split": ("Division",),
    "reading.problems": ("Problems",),
    "signals.recordings": ("RecordingsDataModule",),
    "signals.transforms": ("centred_crop", "random_crop"),
    "splits": ("PARTS", "Split", "SplitName"),
    "transform": ("Description", "ImageTransform", "Transform"),
    "unlabelled": ("Unlabelled", "UserInputs", "blank_split", "list_files"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
