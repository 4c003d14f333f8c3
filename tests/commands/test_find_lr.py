"""`cxrlab find-lr`: a suggestion, its figure, and mistakes in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.conftest import Run

SMALL = ("--set", "preprocessing.size=32", "--set", "config.batch_size=8", "--steps", "12")


def test_a_rate_for_a_network_with_a_figure(run: Run, labelled: Path, tmp_path: Path) -> None:
    page = tmp_path / "figures" / "rate.html"
    ran = run("find-lr", "-m", labelled, "--model", "shufflenet_v2_x0_5", *SMALL, "--out", page, "--json")
    assert ran.exit_code == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["model"] == "shufflenet_v2_x0_5"
    assert 1e-6 < document["suggested"] < 1
    assert len(document["losses"]) <= 12
    text = page.read_text(encoding="utf-8")
    assert "Learning rate of shufflenet_v2_x0_5 on " in text
    assert "falls most steeply at" in text


def test_a_rate_for_a_recipe(run: Run, labelled: Path) -> None:
    words = ("--recipe", "lightweight-mobilenet_v2", "--from-scratch", *SMALL)
    ran = run("find-lr", "-m", labelled, *words)
    assert ran.exit_code == 0, ran.stderr
    assert "(the settings have 1.0e-03)." in ran.stdout


def test_weights_from_a_file_take_the_place_of_those_of_imagenet(run: Run, labelled: Path, tmp_path: Path) -> None:
    words = ("--recipe", "lightweight-mobilenet_v2", "--weights-file", tmp_path / "none.pth", *SMALL)
    ran = run("find-lr", "-m", labelled, *words)
    assert ran.exit_code == 2
    assert "none.pth" in ran.stderr
    assert "ImageNet" not in ran.stderr


def test_mistakes_are_one_sentence(run: Run, labelled: Path) -> None:
    assert run("find-lr", "-m", labelled).stderr == "A range test needs either --model or --recipe; give one of them.\n"
    ran = run("find-lr", "-m", labelled, "--model", "resnet18", "--lowest", "1", "--highest", "0.1", *SMALL)
    assert ran.exit_code == 2
    assert "must go from a positive rate to a larger one" in ran.stderr
