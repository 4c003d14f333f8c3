"""`cxrlab train`: every setting reaches the workflow, and a checkpoint comes out."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from cxrlab.commands.train import SETTINGS
from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.labels import CXR4
from cxrlab.training.recipes import recipe
from cxrlab.workflows.train import Interrupted
from cxrlab.workflows.training_card import TrainRequest
from tests.commands.conftest import Run

SMALL = ("--model", "shufflenet_v2_x0_5", "--size", "32", "--epochs", "1", "--batch-size", "16", "--validation", "0.25")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command hands to the workflow, which is stopped there."""
    seen: dict[str, Any] = {}

    def stop(request: TrainRequest, **options: Any) -> None:
        seen.update(options, request=request)
        raise Interrupted(Path("run"))

    monkeypatch.setattr("cxrlab.workflows.train.train", stop)
    return seen


def test_every_field_of_the_configuration_is_an_option() -> None:
    assert list(SETTINGS) == [spec.name for spec in fields(TrainConfig)]


def test_without_options_the_defaults_hold(run: Run, labelled: Path, asked: dict[str, Any], own_home: Path) -> None:
    run("train", "-m", labelled, "--model", "resnet18")
    assert asked["request"] == TrainRequest(source=labelled, model="resnet18", name="resnet18")
    assert asked["checkpoints"] == own_home / "checkpoints"
    assert not asked["overwrite"]


def test_options_reach_the_workflow(run: Run, labelled: Path, asked: dict[str, Any], tmp_path: Path) -> None:
    words = "--loss focal --focal-gamma 1.5 --size-schedule 64,96 --no-channels-last --seed 7 --labels covid19,normal"
    run("train", "-m", labelled, *SMALL, "--out", tmp_path / "mine", *words.split(), "--no-augment", "--overwrite")
    request = asked["request"]
    expected = TrainConfig(
        epochs=1, batch_size=16, loss="focal", focal_gamma=1.5, size_schedule=(64, 96), channels_last=False, seed=7
    )
    assert request.config == expected
    assert (request.name, asked["checkpoints"]) == ("mine", tmp_path)
    assert request.labels == ("covid19", "normal")
    assert (request.preprocessing.size, request.validation) == (32, 0.25)
    assert request.augmentation == Augmentation.none()
    assert asked["overwrite"]


def test_a_recipe_s_settings_hold_but_for_the_options_given(
    run: Run, labelled: Path, asked: dict[str, Any], own_home: Path
) -> None:
    ran = run("train", "-m", labelled, "--recipe", "flannel-resnet152", "--epochs", "3", "--set", "augmentation.flip=0")
    assert ran.exit_code == 130, ran.stderr
    request, found = asked["request"], recipe("flannel-resnet152")
    assert request.config == replace(found.config, epochs=3)
    assert request.preprocessing == found.preprocessing
    assert request.augmentation == replace(found.augmentation, flip=0)
    assert (request.model, request.pretrained, request.labels) == ("resnet152", True, CXR4.ids)
    assert request.name == "flannel-resnet152"
    assert request.recipe == {
        "name": "flannel-resnet152",
        "profile": "paper",
        "system": "resnet152",
        "changed": {"config.epochs": 3, "augmentation.flip": 0},
    }


def test_every_part_of_a_recipe_can_be_overridden(run: Run, labelled: Path, asked: dict[str, Any]) -> None:
    words = "--profile release --size 64 --from-scratch --head linear --sampling 0:10,1:0.5 --validation 0.3"
    run("train", "-m", labelled, "--recipe", "lightweight-mobilenet_v2", *words.split(), "--no-augment")
    request = asked["request"]
    assert request.task == "covid_vs_rest"  # the manifest's four classes added up to the recipe's two
    assert request.preprocessing == Preprocessing(size=64)
    assert request.augmentation == Augmentation.none()
    assert (request.options, request.pretrained, request.validation) == ({"head": "linear"}, False, 0.3)
    assert request.config.sampling == ("0:10", "1:0.5")


def test_the_square_that_crops_are_cut_from_keeps_its_proportion(
    run: Run, labelled: Path, asked: dict[str, Any]
) -> None:
    words = ("train", "-m", labelled, "--recipe", "flannel-resnet152")
    for more, sides in (
        (("--size", 112), (112, 128)),
        (("--size", 64, "--set", "preprocessing.resize_to=64"), (64, 64)),
    ):
        run(*words, *more)
        preprocessing = asked["request"].preprocessing
        assert (preprocessing.size, preprocessing.resize_to) == sides


def test_weights_from_a_file_take_the_place_of_those_of_imagenet(
    run: Run, labelled: Path, asked: dict[str, Any], tmp_path: Path
) -> None:
    run("train", "-m", labelled, "--recipe", "flannel-vgg19_bn", "--weights-file", tmp_path / "vgg.pth")
    assert (asked["request"].weights_file, asked["request"].pretrained) == (tmp_path / "vgg.pth", False)


def test_a_stopped_training_says_how_to_go_on(run: Run, labelled: Path, asked: dict[str, Any]) -> None:
    ran = run("train", "-m", labelled, "--model", "resnet18")
    assert ran.exit_code == 130
    assert ran.stderr == "Training was stopped; the same command resumes it from run/last.pt.\n"


def test_a_checkpoint_comes_out_that_can_be_used(run: Run, labelled: Path, tmp_path: Path) -> None:
    ran = run("train", "-m", labelled, *SMALL, "--out", tmp_path / "tiny", "--json")
    assert ran.exit_code == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["checkpoint"] == str(tmp_path / "tiny")
    assert len(document["history"]["epochs"]) == 1
    image = labelled.parent / "00.png"
    answers = json.loads(run("checkpoints", "show", tmp_path / "tiny", "--json").stdout)
    assert answers["weights_sha256"] == document["card"]["weights_sha256"]
    again = run("train", "-m", labelled, *SMALL, "--out", tmp_path / "tiny")
    assert again.exit_code == 2
    assert again.stderr == "A checkpoint named tiny exists already; choose another name or overwrite it.\n"
    assert image.is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", "0"), "epochs must be in [1, 10000], got 0."),
        (("--loss", "hinge"), "loss must be one of cross_entropy, focal, got 'hinge'."),
        (("--size-schedule", "64,x"), "--size-schedule must be numbers of pixels such as 128,160,224, got '64,x'."),
        (("--milestones", "5,x"), "--milestones must be epochs such as 150,225, got '5,x'."),
        (("--recipe", "covid-net"), "Training needs either --model or --recipe; give one of them."),
        (("--set", "flip=0"), "A setting must be PART.FIELD with PART one of config, preprocessing, augmentation"),
        (("--set", "augmentation.flip"), "--set must be PART.FIELD=VALUE, such as augmentation.flip=0"),
        (("--set", "augmentation.turn=1"), "Augmentation has no field turn; it has "),
        (("--sampling", "covid19:10"), "A sampling rule must be CLASS:FACTOR, such as 0:10"),
        (("--resize", "squash"), "resize must be one of stretch, crop, pad, got 'squash'."),
        (("--labels", "covid19"), "A label set must have at least 2 classes, got 1."),
        (("--out", "Bad Name"), "A checkpoint's name must be lower-case letters"),
    ],
)
def test_a_users_mistake_is_one_sentence(run: Run, labelled: Path, words: tuple[str, ...], message: str) -> None:
    ran = run("train", "-m", labelled, "--model", "resnet18", *words)
    assert ran.exit_code == 2
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_an_unknown_network_is_answered_with_the_nearest(run: Run, labelled: Path) -> None:
    ran = run("train", "-m", labelled, "--model", "resnet", "--epochs", "1", "--size", "32")
    assert ran.exit_code == 2
    assert "Unknown model 'resnet'; nearest: resnet" in ran.stderr
