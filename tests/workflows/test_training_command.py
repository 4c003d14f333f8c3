"""A request as a command line: what the terminal makes of it is the same request."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cxrlab.cli import app
from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.workflows.recipes import model_request, recipe_request
from cxrlab.workflows.training_card import TrainRequest
from cxrlab.workflows.training_command import training_command
from tests.workflows.labelled_images import rows_of, write_set


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `cxrlab train --background` hands in."""
    seen: dict[str, Any] = {}

    def hand_in(request: TrainRequest, **options: Any) -> None:
        seen.update(options, request=request)
        raise ValueError("far enough")

    monkeypatch.setattr("cxrlab.workflows.jobs.submit_training", hand_in)
    return seen


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_set(tmp_path / "a set with 'quotes'", rows_of())


def typed(command: str) -> None:
    words = shlex.split(command)
    assert words[0] == "cxrlab"
    CliRunner().invoke(app, words[1:])


def same(request: TrainRequest, other: TrainRequest) -> bool:
    """Equal but for how lists are written."""
    return request.to_json() == other.to_json()


def test_the_plain_request_is_the_plain_command() -> None:
    request = TrainRequest(Path("phantom"), "resnet18", "resnet18")
    assert training_command(request) == "cxrlab train --manifest phantom --model resnet18 --background"


def test_the_terminal_reads_back_every_setting_of_a_network(source: Path, asked: dict[str, Any]) -> None:
    request = model_request(
        "mobilenet_v2",
        source=source,
        checkpoint="mine",
        changes={
            "config": {
                "epochs": 3, "batch_size": 8, "loss": "focal", "focal_gamma": 1.5, "sampling": ("minority:parity",),
                "channels_last": False, "milestones": (2, 3), "learning_rate": 2.5e-4, "seed": 9,
            },
            "preprocessing": {"size": 96, "resize": "pad", "interpolation": "bicubic"},
            "augmentation": {"flip": 0.0, "fill": "reflect"},
            "options": {"head": "mlp_512_64_32"},
        },
        title="A title with $pecial `signs`",
        labels=("normal", "viral"),
        validation=0.25,
        split_seed=4,
        benchmark=True,
        pretrained=True,
    )  # fmt: skip
    typed(training_command(request, device="cpu", gpus=0, priority=-3))
    assert same(asked["request"], request)
    assert (asked["device"], asked["gpus"], asked["priority"], asked["checkpoints"]) == ("cpu", 0, -3, None)


@pytest.mark.parametrize("profile", ["paper", "release"])
@pytest.mark.parametrize("name", ["flannel-resnet152", "efficientnet-b5-focal", "pepx-resnet-focal", "ai-covid"])
def test_the_terminal_reads_back_a_recipe(name: str, profile: str, source: Path, asked: dict[str, Any]) -> None:
    request = recipe_request(name, profile, source=source, checkpoint="again", changes={"config": {"epochs": 2}})
    typed(training_command(request))
    assert same(asked["request"], request)


def test_a_changed_recipe_is_read_back(source: Path, asked: dict[str, Any]) -> None:
    request = recipe_request(
        "flannel-resnet152",
        "release",
        source=source,
        checkpoint="again",
        changes={"preprocessing": {"size": 128}, "augmentation": {"flip": 0.25}},
        pretrained=False,
        labels=("normal", "viral"),
        validation=0.3,
    )
    typed(training_command(request))
    assert same(asked["request"], request)


def test_no_augmentation_is_one_word(source: Path, asked: dict[str, Any]) -> None:
    request = TrainRequest(source, "resnet18", "plain", augmentation=Augmentation.none())
    command = training_command(request)
    assert "--no-augment" in command
    assert "augmentation." not in command
    typed(command)
    assert asked["request"].augmentation == Augmentation.none()


def test_only_what_differs_is_written() -> None:
    request = TrainRequest(Path("phantom"), "resnet18", "resnet18", config=TrainConfig(epochs=5))
    assert "--epochs 5 --background" in training_command(request)
    assert "--size 64" in training_command(replace(request, preprocessing=Preprocessing(size=64)))
