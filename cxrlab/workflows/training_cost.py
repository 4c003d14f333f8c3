"""What a training will cost on this machine, before it starts: a few steps on a made-up picture are timed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cxrlab.progress import Cancel, Progress, never, silent
from cxrlab.workflows.data_sets import the_manifest
from cxrlab.workflows.train import TrainingError, check_sides, labelled_parts, seeded_network
from cxrlab.workflows.training_card import TrainRequest

if TYPE_CHECKING:
    from cxrlab.training.trainer import Trainer


@dataclass(frozen=True)
class TrainingCost:
    """An estimate of all epochs; ending early for lack of gain makes them fewer.

    Args:
        seconds: steps and validations, without reading the images. images: in an epoch.
        epochs, steps: in all. parameters, trainable: of the network.
        memory_bytes: on a GPU the measured peak; on a CPU weights, gradients, optimiser and what a step keeps, on top
            of what the program itself takes.
        images_per_s: while training, mean over the epochs. device: ``cpu`` or ``cuda``.
    """

    seconds: float
    images: int
    epochs: int
    steps: int
    parameters: int
    trainable: int
    memory_bytes: int
    images_per_s: float
    device: str

    @property
    def sentence(self) -> str:
        """For the user, with what it rests on."""
        what, epochs = ("GPU", "CPU")[self.device != "cuda"], "epoch" if self.epochs == 1 else "epochs"
        return (
            f"About {_duration(self.seconds)} for {self.epochs} {epochs} of {self.images:,} images "
            f"({self.steps:,} steps, {self.images_per_s:.3g} images/s) and {_size(self.memory_bytes)} of memory on "
            f"this machine's {what}; {self.trainable / 1e6:.2f} of {self.parameters / 1e6:.2f} million parameters "
            "train. Estimated from two steps on a made-up picture at each size, for one device: reading the images "
            "for the first time comes on top, and other work on the machine makes it longer."
        )


def estimate_training(
    request: TrainRequest, *, device: str = "auto", progress: Progress = silent, cancel: Cancel = never
) -> TrainingCost:
    """Time two training steps at each size of the schedule, and a validation; reads the manifest but no image.

    Start values are drawn, whatever the request starts from. Nothing is kept; random states and the number of threads
    are left as they were. ``phantom`` as source makes that set first, once.

    Raises:
        TrainingError, ManifestError, SplitError, ValueError: as the training itself would. TrainingError too when the
            GPU's memory does not suffice. Cancelled.
    """
    import torch

    from cxrlab.training.probe import Probe

    check_sides(request)
    request = replace(request, source=the_manifest(request.source, progress, cancel))
    with _left_alone(), tempfile.TemporaryDirectory() as folder:
        held = _begin_measuring()
        try:
            trainer = _trainer(request, Path(folder), device)
            probed = Probe(trainer, progress, cancel, held=held).run()
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"The GPU's memory does not suffice for batches of {request.config.batch_size} at "
                f"{request.preprocessing.size} px; choose a smaller batch or input size."
            ) from error
    weights = [(weight.numel(), weight.requires_grad) for weight in trainer.plain_model.parameters()]
    images, epochs = trainer.batches.rows_per_epoch, request.config.epochs
    return TrainingCost(
        seconds=probed.seconds,
        images=images,
        epochs=epochs,
        steps=trainer.steps_per_epoch * epochs,
        parameters=sum(number for number, _ in weights),
        trainable=sum(number for number, trains in weights if trains),
        memory_bytes=probed.memory_bytes,
        images_per_s=images * epochs / probed.training_s,
        device=trainer.fabric.device.type,
    )


@contextmanager
def _left_alone() -> Iterator[None]:
    """Random states and the number of threads are afterwards as they were."""
    import torch

    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(threads)


def _begin_measuring() -> int:
    """Bytes of the GPU's memory that this process uses already; 0 without one."""
    import torch

    if not torch.cuda.is_available():
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _trainer(request: TrainRequest, folder: Path, device: str) -> Trainer:
    """The request's trainer, with the classes of its images and one random picture that stands for all of them."""
    from cxrlab.training.fit import LabelledSquares, make_fabric
    from cxrlab.training.trainer import TRAIN, VALIDATION, Trainer

    labels, *parts = labelled_parts(request)
    bare = replace(request, pretrained=False, weights_file=None, initial="")
    side = request.preprocessing.whole.size
    picture = np.random.default_rng(0).integers(0, 256, (1, side, side), dtype=np.uint8)
    sets = {
        name: LabelledSquares(np.broadcast_to(picture, (len(y_true), side, side)), y_true)
        for name, y_true in zip((TRAIN, VALIDATION), parts, strict=True)
    }
    return Trainer(
        make_fabric(request.config, device), seeded_network(bare, len(labels)), sets, len(labels), request.config,
        request.preprocessing, request.augmentation, folder,
    )  # fmt: skip


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, seconds):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
