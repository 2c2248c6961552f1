"""Measure images per second and core, from a JPEG file to a batch of two views, for ours and the official steps.

    python benchmarks/input_pipeline.py [--sizes 224 64] [--repeats N] [--markdown]

One process, one thread. In every repeat, each pipeline in turn makes one batch of 16 images, so that a busy machine
slows all of them. Time is the CPU time of the thread; numbers are medians over the repeats, ratios are medians of the
ratios within a repeat. The images are crops of scikit-learn's two photographs, about 400 pixels, JPEG at quality 90.
"Loader's part" is the work of the loader if colours are changed on the device.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_sample_images
from torch.utils.data import default_collate
from torchvision import transforms as v1
from torchvision.transforms import v2

from rnc_lightning.datasets.images.cache import cached_images
from rnc_lightning.datasets.images.colour_on_device import finish_on_device
from rnc_lightning.datasets.images.decoding import PixelFiles
from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.datasets.images.transforms import augmented_image
from rnc_lightning.datasets.loading.sampling import Draw
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.splits import Split

BATCH = 16
VIEWS = 2
OFFICIAL = "official steps (Pillow, torchvision v1)"
Pipeline = Callable[[int], Any]  # seed -> batch


def write_images(folder: Path) -> ImageFiles:
    """Crops of two photographs, as JPEG files."""
    generator = np.random.default_rng(0)
    paths = []
    for i in range(BATCH):
        photograph = Image.fromarray(load_sample_images().images[i % 2])
        side = int(generator.integers(300, photograph.height))
        left, top = generator.integers(0, (photograph.width - side, photograph.height - side + 1)).tolist()
        width, height = generator.integers(380, 421, 2).tolist()
        part = photograph.resize((width, height), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
        paths.append(folder / f"{i}.jpg")
        part.save(paths[-1], quality=90)
    return ImageFiles(paths)


def official(files: ImageFiles, size: int) -> Pipeline:
    """Decode, apply the transforms of the official code twice in their order, stack, collate."""
    view = v1.Compose(
        [
            v1.RandomResizedCrop(size, scale=(0.2, 1.0)),
            v1.RandomHorizontalFlip(),
            v1.RandomApply([v1.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v1.RandomGrayscale(p=0.2),
            v1.ToTensor(),
            v1.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )

    def sample(path: Path) -> torch.Tensor:
        image = Image.open(path).convert("RGB")
        return torch.stack([view(image) for _ in range(VIEWS)])

    return lambda _seed: default_collate([{"x": sample(path)} for path in files.paths])


def on_tensors(files: ImageFiles, size: int) -> Pipeline:
    """The same by torchvision v2 on uint8 tensors."""
    view = v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(0.2, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(p=0.2),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )

    def sample(path: Path) -> torch.Tensor:
        image = v2.functional.pil_to_tensor(Image.open(path).convert("RGB"))
        return torch.stack([view(image) for _ in range(VIEWS)])

    return lambda _seed: default_collate([{"x": sample(path)} for path in files.paths])


def ours(inputs: Any, size: int, on_device: bool = False) -> Pipeline:
    """The data set as the loaders use it, seeds included."""
    split = Split(inputs, torch.zeros(len(inputs), 1), [str(path) for path in inputs.paths])
    dataset = ViewsDataset(split, augmented_image(size), VIEWS, on_device=on_device)
    return lambda seed: default_collate([dataset[Draw(i, seed * BATCH + i)] for i in range(BATCH)])


def ceiling(files: ImageFiles, size: int) -> Pipeline:
    """Finished samples, read from memory and collated."""
    samples = [{"x": view} for view in ours(files, size)(0)["x"]]
    return lambda _seed: default_collate(samples)


def device_part(files: ImageFiles, size: int) -> Pipeline:
    """The work of the device, done on the CPU."""
    batch = ours(files, size, on_device=True)(0)
    return lambda _seed: finish_on_device(batch)


def pipelines(files: ImageFiles, cache: Any, size: int) -> dict[str, Pipeline]:
    return {
        OFFICIAL: official(files, size),
        "torchvision v2 on tensors": on_tensors(files, size),
        "ours, files decoded by Pillow": ours(files, size),
        "ours, files decoded by OpenCV": ours(PixelFiles(files), size),
        "ours, exact cache": ours(cache, size),
        "loader's part, files decoded by OpenCV": ours(PixelFiles(files), size, on_device=True),
        "loader's part, exact cache": ours(cache, size, on_device=True),
        "device's part, done on this core": device_part(files, size),
        "ceiling: finished samples from memory": ceiling(files, size),
    }


def measure(parts: dict[str, Pipeline], repeats: int) -> dict[str, np.ndarray]:
    """CPU seconds per image, (repeats,) for each pipeline."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    for repeat in range(-2, repeats):  # the first two warm up
        for name, make in parts.items():
            began = time.thread_time()
            make(repeat + 2)
            if repeat >= 0:
                times[name].append((time.thread_time() - began) / BATCH)
    return {name: np.array(values) for name, values in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 64])
    parser.add_argument("--repeats", type=int, default=80)
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table as well")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        files = write_images(Path(place))
        cache = cached_images(files, Path(place) / "cache", workers=1)
        kilobytes = sum(path.stat().st_size for path in files.paths) / BATCH / 1000
        for size in args.sizes:
            times = measure(pipelines(files, cache, size), args.repeats)
            for name, values in times.items():
                middle = float(np.median(values))
                ratio = float(np.median(times[OFFICIAL] / values))
                rows.append((str(size), name, f"{1 / middle:.0f}", f"{1e3 * middle:.2f}", f"{ratio:.2f}"))
    heads = ("pixels", "pipeline", "images/s", "ms", "times the official steps")
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}, Pillow {PIL.__version__}"
    title = f"{VIEWS} views, files of {kilobytes:.0f} kB; {versions}, OpenCV {cv2.__version__}, {platform.machine()}"
    table = Table(title=title)
    for head in heads:
        table.add_column(head, justify="left" if head == "pipeline" else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if args.markdown:
        print(f"| {' | '.join(heads)} |\n|--:|---|--:|--:|--:|")
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))


if __name__ == "__main__":
    main()
