"""The batches of an epoch: which rows, in which order, changed how. All of it depends on (seed, epoch) alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.data.transforms import augment, centre_crop
from cxrlab.sampling import Sampler, minority
from cxrlab.training.squares import LabelledSquares


class Batches:
    """Training batches of labelled squares.

    Args:
        images: the training set. config: batch size, seed, sampling, which images are augmented.
        preprocessing: the input; with ``resize_to`` crops of side ``size`` are cut from the squares.
    """

    def __init__(
        self, images: LabelledSquares, config: TrainConfig, preprocessing: Preprocessing, augmentation: Augmentation
    ) -> None:
        self.images, self.config, self.augmentation = images, config, augmentation
        self.sampler = Sampler(config.sampling, stage="1")
        self.crop = preprocessing.size if preprocessing.resize_to else 0
        self.rows_per_epoch = self.sampler.size(images.y_true) if config.sampling else len(images)
        self.steps_per_epoch = math.ceil(self.rows_per_epoch / config.batch_size)
        self.generator = torch.Generator()
        counts = np.bincount(images.y_true)
        self.changed_class = minority(counts) if config.augmented == "minority" else None

    @property
    def side(self) -> int:
        """Side of the network's input in pixels."""
        return self.crop or self.images.side

    def counts(self, num_classes: int) -> list[int]:
        """Images per class of an epoch, (num_classes,)."""
        rows = self._rows(np.random.default_rng(0)) if self.config.sampling else np.arange(len(self.images))
        return np.bincount(self.images.y_true[rows], minlength=num_classes).tolist()

    def of_epoch(self, epoch: int, *, first_step: int = 0, rank: int = 0) -> Iterator[np.ndarray]:
        """The rows of each batch of an epoch from ``first_step`` on, the same for every process of a team."""
        if first_step == 0:
            self.generator.manual_seed(_drawn(self.config.seed, epoch))
            torch.manual_seed(_drawn(self.config.seed, epoch, *((rank,) if rank else ())))  # dropout draws from it
        rng = np.random.default_rng([self.config.seed, epoch])
        order = rng.permutation(self._rows(rng) if self.config.sampling else len(self.images))
        for start in range(first_step * self.config.batch_size, len(order), self.config.batch_size):
            yield np.sort(order[start : start + self.config.batch_size])  # sorted: the memory map is read in order

    def inputs(self, rows: np.ndarray, size: int, device: torch.device) -> torch.Tensor:
        """The images of a whole batch, randomly changed: (N, size, size) float32 in [0, 1]."""
        squares = torch.from_numpy(self.images.squares[rows]).to(device)
        grey = augment(squares, self.augmentation, size=size, generator=self.generator, crop=self.crop)
        if self.changed_class is None:
            return grey
        plain = centred(squares, self.crop or self.images.side, size)
        changed = torch.from_numpy(self.images.y_true[rows] == self.changed_class).to(device)
        return torch.where(changed[:, None, None], grey, plain)

    def y_true(self, rows: np.ndarray, device: torch.device) -> torch.Tensor:
        """(N,) class indices of a batch."""
        return torch.from_numpy(self.images.y_true[rows]).to(device)

    def _rows(self, rng: np.random.Generator) -> np.ndarray:
        return self.sampler.rows(self.images.y_true, rng)


def _drawn(*entropy: int) -> int:
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def centred(squares: torch.Tensor, crop: int, size: int) -> torch.Tensor:
    """Squares (N, S, S) uint8 -> their centre of side ``crop``, shrunk to ``size``, float32 in [0, 1]."""
    from torch.nn import functional

    grey = centre_crop(squares, crop)[:, None].float().div_(255)  # (N, S, S) -> (N, 1, crop, crop)
    if size != crop:
        grey = functional.interpolate(grey, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return grey[:, 0]
