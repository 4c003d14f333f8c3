"""Configurations: checked when made, JSON both ways."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxrlab.config import Augmentation, ModelConfig, Preprocessing, TrainConfig, home


@pytest.mark.parametrize(
    "config",
    [
        Preprocessing(size=160, resize="pad"),
        Augmentation(flip=0),
        TrainConfig(size_schedule=(96, 160), optimiser="sgd"),
        TrainConfig(milestones=(150, 225), sampling=("0:10",), unfreeze=0.44),
        Preprocessing(size=224, resize_to=336),
        Augmentation.none(crop="uniform", vertical_flip=0.5),
        ModelConfig("resnet18", 4),
    ],
)
def test_json_both_ways(config: Preprocessing | Augmentation | TrainConfig | ModelConfig) -> None:
    assert type(config).from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Preprocessing(size=7), r"size must be in \[32, 1024\], got 7"),
        (lambda: Preprocessing(resize="squash"), "resize must be one of stretch, crop, pad, got 'squash'"),
        (lambda: Preprocessing(std=(0.0, 1.0, 1.0)), "std must be positive"),
        (lambda: Preprocessing(resize_to=100), r"resize_to must be in \[224, 1024\], got 100"),
        (lambda: Augmentation(crop="corner"), "crop must be one of centre, jitter, uniform, got 'corner'"),
        (lambda: TrainConfig(milestones=(3, 2)), "milestones must be ascending epochs from 1 on"),
        (lambda: TrainConfig(unfreeze=1.5), r"unfreeze must be in \[0, 1\]"),
        (lambda: Augmentation(flip=2), r"flip must be in \[0, 1\], got 2"),
        (lambda: TrainConfig(epochs=0), "epochs must be in"),
        (lambda: TrainConfig(schedule="magic"), "schedule must be one of constant, step"),
        (lambda: TrainConfig(precision="fp8"), "precision must be one of fp32, bf16"),
        (lambda: TrainConfig.from_json({"epoch": 3}), "TrainConfig has no field epoch; it has "),
        (lambda: ModelConfig.from_json({"name": "resnet18"}), "ModelConfig is incomplete"),
        (lambda: TrainConfig.from_json({"epochs": "abc"}), r"^epochs must be a number such as 14, got 'abc'\.$"),
        (lambda: Preprocessing.from_json({"mean": 0.5}), r"^mean must be a list such as \[0\.485, .*\], got 0\.5\.$"),
    ],
)
def test_refusals(make: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()  # type: ignore[operator]


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXRLAB_HOME", str(tmp_path / "mine"))
    assert home() == tmp_path / "mine"
    assert not home().exists()
    monkeypatch.delenv("CXRLAB_HOME")
    assert home() == Path.home() / ".local" / "share" / "cxrlab"


def test_settings_written_before_a_field_existed_still_load() -> None:
    old = {"size": 160, "resize": "pad", "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3}
    assert Preprocessing.from_json(old) == Preprocessing(size=160, resize="pad", mean=(0.5,) * 3, std=(0.5,) * 3)
    assert TrainConfig.from_json({"epochs": 3}) == TrainConfig(epochs=3)
