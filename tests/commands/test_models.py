"""`cxrlab models`."""

from __future__ import annotations

import json

from cxrlab.models.registry import list_models
from tests.commands.conftest import Run


def test_models_are_the_registered_ones(run: Run) -> None:
    assert [each["name"] for each in json.loads(run("models", "--json").stdout)] == list_models()
    assert "resnet18" in run("models").stdout


def test_show_prints_layers_and_totals(run: Run) -> None:
    words = ("mobilenet_v2", "--classes", 2, "--head", "mlp_64_64_64_32_32", "--unfreeze", 1 / 3)
    text = run("models", "show", *words).stdout
    assert "Parameters 2,317,378: 1,949,762 trainable, 367,616 frozen." in text
    assert "The first layer that trains is features.12.conv.1.1." in text
    assert "2,351,490, 401,728 of them not trainable" in text
    document = json.loads(run("models", "show", *words, "--json").stdout)
    assert document["totals"]["trainable"] == 1_949_762
    assert [row["name"] for row in document["layers"]][:2] == ["features.0", "features.1"]


def test_options_of_networks_reach_them(run: Run) -> None:
    text = run("models", "show", "covid_net", "--preset", "compact", "--classes", 3, "--depth", 1).stdout
    assert "Parameters 12,067,963" in text
    assert "One size only" in text
    assert "AuxLogits" in run("models", "show", "inception_v3", "--aux", "--depth", 1).stdout


def test_mistakes_are_sentences(run: Run) -> None:
    unknown = run("models", "show", "resnet81")
    assert unknown.exit_code == 2
    assert "Unknown model 'resnet81'; nearest: resnet18" in unknown.stderr
    assert "covid_net does not take these options: aux" in run("models", "show", "covid_net", "--aux").stderr
