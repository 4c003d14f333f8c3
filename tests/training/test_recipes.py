"""The papers' settings by name: every one can be built, takes two steps, and holds the numbers of the papers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cxrlab.config import ModelConfig
from cxrlab.losses import class_weights
from cxrlab.models.registry import create_model, model_spec
from cxrlab.results import History
from cxrlab.training.fit import LabelledSquares, fit
from cxrlab.training.recipes import PROFILES, Recipe, list_recipes, recipe
from tests.training.networks import BackboneAndHead, WithAuxiliaryHead, bright_or_dark, seeded

EVERY = [(name, "paper") for name in list_recipes()]
EVERY += [(name, "release") for name, _ in EVERY if recipe(name, "release") != replace(recipe(name), profile="release")]


def two_steps(found: Recipe, network: nn.Module, folder: Path, side: int) -> History:
    """Two steps of a recipe's own loss, sampling, augmentation and schedule on pictures of ``side`` pixels."""
    whole = found.preprocessing.resize_to and side * found.preprocessing.resize_to // found.preprocessing.size + 1
    preprocessing = replace(found.preprocessing, size=side, resize_to=whole)
    classes = max(2, found.model.num_classes)
    images = bright_or_dark(6, 0, classes=classes, side=whole or side)
    config = replace(found.config, epochs=2, batch_size=64, threads=1, milestones=(1,))
    return fit(
        network, images, images, num_classes=classes, config=config, preprocessing=preprocessing,
        augmentation=found.augmentation, run_folder=folder, accelerator="cpu",
    )  # fmt: skip


@pytest.mark.parametrize(("name", "profile"), EVERY)
def test_two_steps_of_every_recipe(name: str, profile: str, tmp_path: Path) -> None:
    """With a small network that has the recipe's number of outputs; the networks themselves are in tests/models."""
    found = recipe(name, profile)
    outputs = found.model.num_classes
    network = seeded(lambda: (WithAuxiliaryHead if found.config.aux_weight else BackboneAndHead)(outputs))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    history = two_steps(found, network, tmp_path, 32)
    assert np.isfinite([epoch.train_loss for epoch in history.epochs]).all()
    changed = any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert changed, "nothing was trained"


@pytest.mark.parametrize(("name", "profile"), EVERY)
def test_every_recipe_is_whole(name: str, profile: str) -> None:
    found = recipe(name, profile)
    assert (found.name, found.profile) == (name, profile)
    assert found.notes
    assert found.pretrained == found.model.pretrained
    assert len(found.labels) == max(2, found.model.num_classes)
    assert (found.activation == "binary_sigmoid") == (found.model.num_classes == 1)
    assert model_spec(found.model.name).smallest_size <= found.preprocessing.size
    assert isinstance(ModelConfig.from_json(found.to_json()["model"]), ModelConfig)


def test_the_systems_of_the_issue_are_there() -> None:
    wanted = {"flannel-densenet161", "flannel-inception_v3", "flannel-resnet152", "flannel-resnext101_32x8d"}
    wanted |= {"flannel-vgg19_bn", "covid-net", "ai-covid", "efficientnet-b5-focal", "vgg19-weighted"}
    wanted |= {"resnet50-cross_entropy", "densenet121-focal", "lightweight-xception", "pepx-resnet-focal"}
    wanted |= {"lightweight-mobilenet_v2-unfreeze-33", "pepx-resnet18-cross_entropy", "pepx-covid-net-focal"}
    assert wanted <= set(list_recipes())


def test_flannel_s_profiles_differ_in_the_input() -> None:
    paper, release = (recipe("flannel-resnet152", profile) for profile in PROFILES)
    assert (paper.preprocessing.resize_to, release.preprocessing.resize_to) == (256, 336)
    assert (paper.augmentation.crop, release.augmentation.crop) == ("jitter", "uniform")
    assert (paper.augmentation.noise, release.augmentation.noise) == (0.05, 0.0)
    assert paper.config == release.config
    config = paper.config
    assert (config.optimiser, config.learning_rate, config.weight_decay) == ("adam", 1e-3, 1e-4)
    assert (config.epochs, config.batch_size, config.milestones, config.monitor) == (200, 10, (150,), "accuracy")
    inception = recipe("flannel-inception_v3").preprocessing
    assert (inception.size, inception.resize_to, inception.mean) == (299, 336, (0.5, 0.5, 0.5))


def test_the_alpha_of_the_binary_focal_loss_is_the_paper_s() -> None:
    """1,341 normal images of 5,216, so .257094 for pneumonia, class 1."""
    found = recipe("efficientnet-b5-focal")
    weights = class_weights((1341, 3875), found.config.class_weights)
    assert weights is not None
    assert weights[1].item() == pytest.approx(0.257094, abs=5e-7)
    assert found.labels == ("normal", "pneumonia")


def test_ai_covid_as_released_weights_classes_and_penalises_dense_layers() -> None:
    config = recipe("ai-covid", "release").config
    assert (config.l1, config.l2, config.penalty_on, config.class_weights) == (
        0.01,
        0.01,
        "linear",
        "inverse_frequency",
    )
    assert (config.optimiser, config.learning_rate, config.batch_size, config.patience) == ("sgd", 1e-4, 64, 7)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("loss", ["cross_entropy", "weighted", "focal"])
@pytest.mark.parametrize("network", ["efficientnet-b5", "vgg19", "resnet50", "densenet121"])
def test_settings_of_efficientnetb5_and_its_comparators(network: str, loss: str, profile: str) -> None:
    """Spec 1.10; a patience of 1 in Keras is 0 in torch."""
    found = recipe(f"{network}-{loss}", profile)
    config, changed = found.config, found.augmentation
    assert (config.optimiser, config.learning_rate, config.epochs, config.batch_size) == ("adam", 0.01, 100, 32)
    assert (config.schedule, config.plateau_factor, config.plateau_patience) == ("plateau", 0.3, 0)
    assert (config.monitor, config.patience, config.unfreeze, config.reduction) == ("objective", 5, 0.0, "mean")
    assert (found.preprocessing.size, found.validation, found.model.options) == (150, 0.2, {"head": "mlp_512_64_32"})
    assert (changed.rotation_deg, changed.scale, changed.zoom, changed.translation) == (72, 0.2, "linear", 0.1)
    assert (changed.contrast, changed.brightness, changed.fill) == (0.2, 0.2, "reflect")
    assert (changed.flip, changed.vertical_flip) == (0.5, 0.5)
    assert (config.loss, config.class_weights) == {
        "cross_entropy": ("cross_entropy", "none"),
        "weighted": ("cross_entropy", "balanced"),
        "focal": ("focal", "normalised"),
    }[loss]


@pytest.mark.parametrize("network", ["mobilenet_v2", "inception_v3", "resnetv2_50", "xception"])
@pytest.mark.parametrize(("end", "decay"), [("", 0.0), ("-unfreeze-33", 1e-4), ("-unfreeze-55", 1e-4)])
def test_settings_of_the_lightweight_networks(network: str, end: str, decay: float) -> None:
    """Spec 1.11."""
    found = recipe(f"lightweight-{network}{end}")
    config, changed = found.config, found.augmentation
    assert (config.optimiser, config.learning_rate, config.weight_decay) == ("adam", 1e-3, decay)
    assert (config.epochs, config.batch_size, config.monitor, config.patience) == (40, 32, "accuracy", 10)
    assert (config.loss, config.class_weights, config.sampling) == ("cross_entropy", "none", ("minority:parity",))
    assert (changed.rotation_deg, changed.scale, changed.zoom, changed.flip) == (40, 0.2, "inwards", 0.5)
    assert (found.preprocessing.size, found.preprocessing.std, found.validation) == (224, (1.0, 1.0, 1.0), 0.1)
    assert found.model.options == {"head": "mlp_64_64_64_32_32"}


@pytest.mark.parametrize("network", ["pepx-resnet", "pepx-resnet18", "pepx-covid-net"])
def test_settings_of_pepx_resnet_and_its_comparators(network: str) -> None:
    """Spec 1.12."""
    plain, focal = (recipe(f"{network}-{loss}") for loss in ("cross_entropy", "focal"))
    assert (focal.config.loss, focal.config.focal_gamma, focal.config.reduction) == ("focal", 1.0, "mean")
    assert plain.config.loss == "cross_entropy"
    for found in (plain, focal):
        config = found.config
        assert (config.optimiser, config.learning_rate, config.weight_decay) == ("adam", 1e-3, 0.0)
        assert (config.epochs, config.batch_size, config.class_weights) == (50, 32, "none")
        assert (found.preprocessing.size, found.pretrained, found.model.num_classes) == (224, False, 3)
        assert found.augmentation.changes_nothing
    assert recipe("pepx-covid-net-focal").model.options == {"preset": "compact"}


@pytest.mark.parametrize("profile", PROFILES)
def test_covid_net_is_trained_as_the_five_learners_but_from_scratch(profile: str) -> None:
    """Spec 1.7."""
    found, learner = recipe("covid-net", profile), recipe("flannel-resnet152", profile)
    assert (found.config, found.preprocessing) == (learner.config, learner.preprocessing)
    assert (found.pretrained, found.model.options) == (False, {"preset": "flannel"})


def test_the_lightweight_shares_are_the_paper_s() -> None:
    shares = [recipe(f"lightweight-mobilenet_v2{end}").config.unfreeze for end in ("", "-unfreeze-33", "-unfreeze-55")]
    assert shares == [0.0, pytest.approx(1 / 3), 0.55]
    assert recipe("lightweight-xception", "release").preprocessing.mean != (0.0, 0.0, 0.0)


def test_the_smaller_class_is_repeated_to_parity(tmp_path: Path) -> None:
    from cxrlab.training.batches import Batches

    found = recipe("lightweight-mobilenet_v2")
    images = LabelledSquares(np.zeros((20, 32, 32), dtype=np.uint8), np.array([0] * 4 + [1] * 16))
    assert Batches(images, found.config, found.preprocessing, found.augmentation).counts(2) == [16, 16]


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="Unknown recipe 'flannel-resnet'; nearest: flannel-res"):
        recipe("flannel-resnet")
    with pytest.raises(ValueError, match=r"^Unknown recipe 'zzz'; `cxrlab recipes` lists all\.$"):
        recipe("zzz")
    with pytest.raises(ValueError, match="profile must be one of paper, release, got 'best'"):
        recipe("covid-net", "best")


SMALL = ["lightweight-mobilenet_v2", "lightweight-mobilenet_v2-unfreeze-33", "densenet121-focal"]


@pytest.mark.parametrize("name", SMALL)
def test_two_steps_with_the_recipe_s_own_network(name: str, tmp_path: Path) -> None:
    found = recipe(name)
    network = create_model(found.model.name, num_classes=found.model.num_classes, **found.model.options)
    assert np.isfinite(two_steps(found, network, tmp_path, 64).epochs[-1].train_loss)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in list_recipes() if name not in SMALL])
def test_two_steps_with_every_network_at_its_full_size(name: str, tmp_path: Path) -> None:
    found = recipe(name)
    network = create_model(found.model.name, num_classes=found.model.num_classes, **found.model.options)
    assert np.isfinite(two_steps(found, network, tmp_path, found.preprocessing.size).epochs[-1].train_loss)
