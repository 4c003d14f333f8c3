"""Repeated epochs: squares from the memory map against decoding every picture each time."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from benchmarks.measure import Row, interleaved
from cxrlab.config import Preprocessing
from cxrlab.data.cache import build_cache
from cxrlab.data.manifest import file_sha256
from cxrlab.data.transforms import to_batch

COUNT, SIDE = 24, 1024  # 1 Mpx a picture


def rows() -> list[Row]:
    """One row: an epoch over JPEGs of 1 Mpx to 224 px."""
    preprocessing = Preprocessing(size=224)
    with tempfile.TemporaryDirectory() as folder:
        files = _pictures(Path(folder))
        cache = build_cache(files, [file_sha256(file) for file in files], preprocessing, folder=Path(folder))

        usual = transforms.Compose(
            [
                transforms.Resize((preprocessing.size, preprocessing.size)),
                transforms.ToTensor(),
                transforms.Normalize(preprocessing.mean, preprocessing.std),
            ]
        )

        def decode_each_time() -> torch.Tensor:
            return torch.stack([usual(Image.open(file).convert("RGB")) for file in files])

        def from_the_cache() -> torch.Tensor:
            return to_batch(cache.squares, preprocessing)

        ratios = interleaved(decode_each_time, from_the_cache)
    return [Row("image cache", "PIL + torchvision each epoch / memory map: 1 Mpx JPEGs to a batch", ratios, 28.0)]


def _pictures(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    files = [folder / f"{number}.jpg" for number in range(COUNT)]
    for file in files:
        coarse = Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, quality=90)
    return files
