"""Layers of a network by name and of a card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cxrlab.catalogue import find_checkpoint
from cxrlab.config import ModelConfig
from cxrlab.workflows.network_summary import summarise_card, summarise_network


def test_a_network_with_a_size_of_its_own_is_built_for_the_size_asked_for() -> None:
    small = summarise_network(ModelConfig("covid_net", 3, options={"preset": "compact"}), input_size=96)
    assert small.input_size == 96
    assert small.totals.parameters == 12_067_963 - (49 - 9) * 424 * 512  # 3 x 3 places instead of 7 x 7
    assert summarise_network(ModelConfig("ai_covid", 4)).totals.parameters == 40_072_540


def test_a_summary_is_json() -> None:
    document = summarise_network(ModelConfig("resnet18", 4), unfreeze=0.5, depth=1).to_json()
    assert json.loads(json.dumps(document))["layers"][0]["state"] == "frozen"
    assert document["totals"]["parameters"] == document["totals"]["trainable"] + document["totals"]["frozen"]


def test_the_card_of_a_partly_frozen_network(tiny_checkpoints: Path) -> None:
    card = find_checkpoint("tiny_mobilenet").card
    assert summarise_card(card).totals.frozen == 0
    frozen = summarise_card(replace(card, training={"config": {"unfreeze": 1 / 3}}))
    assert (frozen.totals.frozen, frozen.first_trainable) == (367_616, "features.12.conv.1.1")
    assert frozen.input_size == 64


def test_refusals(tiny_checkpoints: Path) -> None:
    with pytest.raises(ValueError, match="input of inception_v3 must be at least 75 px, got 64"):
        summarise_network(ModelConfig("inception_v3", 4), input_size=64)
    with pytest.raises(ValueError, match="tiny_ensemble is an ensemble; look at the layers of its members"):
        summarise_card(find_checkpoint("tiny_ensemble").card)
    card = find_checkpoint("tiny_mobilenet").card
    fetching = replace(card, model=ModelConfig("mobilenet_v2", 4, options={"pretrained": True}))
    with pytest.raises(ValueError, match="options on the card of tiny_mobilenet must not have pretrained"):
        summarise_card(fetching)
