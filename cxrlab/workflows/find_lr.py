"""A learning rate for a network or a recipe on the user's own images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cxrlab.progress import Cancel, Progress, never, silent
from cxrlab.workflows.train import seeded_network, training_squares
from cxrlab.workflows.training_card import TrainRequest

if TYPE_CHECKING:
    from cxrlab.training.lr_finder import RangeTest


@dataclass(frozen=True)
class FoundRate:
    """A range test with what it was made for.

    Args:
        model, recipe: names; the recipe is empty where none was used. dataset: name of the manifest. images: of the
            training part that were there to draw from.
        configured: the learning rate in the settings.
    """

    model: str
    recipe: str
    dataset: str
    images: int
    configured: float
    test: RangeTest

    def to_json(self) -> dict[str, Any]:
        """Plain values, those of the test beside the facts."""
        facts = {name: value for name, value in vars(self).items() if name != "test"}
        return facts | asdict(self.test)


def find_lr(
    request: TrainRequest,
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    device: str = "auto",
    progress: Progress = silent,
    cancel: Cancel = never,
) -> FoundRate:
    """Train a few batches with a growing learning rate; nothing is stored but the image cache.

    Args:
        request: as for :func:`cxrlab.workflows.train.train`; its name is not used.
        lowest, highest, steps: of the range test.

    Raises:
        TrainingError, ManifestError, SplitError, CacheError: one sentence each. ValueError: for a range that is none.
        Cancelled: when the user stopped it.
    """
    from cxrlab.training.lr_finder import find_learning_rate

    dataset, classes, images = training_squares(request, progress, cancel)
    test = find_learning_rate(
        seeded_network(request, classes),
        images,
        num_classes=classes,
        config=request.config,
        preprocessing=request.preprocessing,
        augmentation=request.augmentation,
        lowest=lowest,
        highest=highest,
        steps=steps,
        accelerator=device,
        progress=progress,
        cancel=cancel,
    )
    name = str(request.recipe.get("name", ""))
    return FoundRate(request.model, name, dataset, len(images), request.config.learning_rate, test)
