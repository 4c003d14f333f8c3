"""A training that is killed behind its last epoch goes on to the checkpoint, without training again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch

from cxrlab.cards import ModelCard
from cxrlab.checkpoints import load_checkpoint
from cxrlab.config import Preprocessing, TrainConfig
from cxrlab.labels import LabelSet
from cxrlab.workflows import train as training
from cxrlab.workflows.train import TrainRequest, train
from tests.workflows.labelled_images import rows_of, write_set


class Killed(BaseException):
    """Stands for a process that ends here."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), rows_of(48, LabelSet.from_ids(["normal", "viral"])))


def request(source: Path) -> TrainRequest:
    return TrainRequest(
        source=source,
        model="shufflenet_v2_x0_5",
        name="killed",
        validation=0.25,
        benchmark=True,
        preprocessing=Preprocessing(size=32),
        config=TrainConfig(epochs=2, batch_size=8, threads=1),
    )


def same_but_times(card: ModelCard) -> ModelCard:
    history = {**card.training["history"], "seconds": 0}
    return replace(card, created="", seconds_per_image=0.0, training={**card.training, "history": history})


@pytest.mark.parametrize("where", ["training_card", "card_metrics", "save_checkpoint"])
def test_a_finished_training_goes_on_to_the_same_checkpoint(
    source: Path, tmp_path: Path, tiny_checkpoints: Path, where: str
) -> None:
    whole = train(request(source), run_folder=tmp_path / "1", checkpoints=tmp_path / "whole", device="cpu")
    given = {"run_folder": tmp_path / "2", "checkpoints": tmp_path / "parts", "device": "cpu"}
    with mock.patch.object(training, where, killed), pytest.raises(Killed):
        train(request(source), **given)
    assert not (tmp_path / "parts" / "killed").exists()
    steps: list[str] = []
    resumed = train(request(source), **given, progress=lambda done, total, text: steps.append(text))
    assert not [text for text in steps if text.startswith("epoch")]
    assert same_but_times(resumed.card) == same_but_times(whole.card)
    assert resumed.history == replace(whole.history, epochs=resumed.history.epochs)
    first, second = load_checkpoint(whole.folder).model, load_checkpoint(resumed.folder).model
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    assert not (tmp_path / "2" / "unmeasured").exists()
