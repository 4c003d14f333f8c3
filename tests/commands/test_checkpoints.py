"""`cxrlab checkpoints`."""

from __future__ import annotations

import json
from pathlib import Path

from cxrlab.catalogue import find_checkpoint
from tests.commands.conftest import Run


def test_the_list_has_every_checkpoint(run: Run, tiny_checkpoints: Path) -> None:
    document = json.loads(run("checkpoints", "list", "--json").stdout)
    assert [each["name"] for each in document] == ["tiny_mobilenet", "tiny_shufflenet", "tiny_ensemble"]
    text = run("checkpoints", "list").stdout
    assert "not measured" in text
    assert find_checkpoint("tiny_mobilenet").card.weights_sha256[:8] in text


def test_a_broken_one_is_told_beside_the_list(run: Run, tiny_checkpoints: Path) -> None:
    (tiny_checkpoints / "tiny_mobilenet" / "card.json").write_text("{")
    ran = run("checkpoints", "list", "--json")
    assert [each["name"] for each in json.loads(ran.stdout)] == ["tiny_shufflenet"]
    assert "Checkpoint tiny_mobilenet: card.json must be JSON" in ran.stderr


def test_show_prints_the_card(run: Run, tiny_checkpoints: Path) -> None:
    card = find_checkpoint("tiny_mobilenet").card
    assert json.loads(run("checkpoints", "show", "tiny_mobilenet", "--json").stdout) == card.to_json()
    text = run("checkpoints", "show", "tiny_mobilenet").stdout
    assert card.weights_sha256 in text
    assert "64 x 64 pixels, stretch" in text
    assert "soft voting of tiny_shufflenet, tiny_mobilenet" in run("checkpoints", "show", "tiny_ensemble").stdout


def test_an_unknown_name_is_answered_with_those_there_are(run: Run, tiny_checkpoints: Path) -> None:
    ran = run("checkpoints", "show", "big")
    assert ran.exit_code == 2
    assert ran.stderr == (
        "There is no checkpoint named 'big'; there are: tiny_ensemble, tiny_mobilenet, tiny_shufflenet.\n"
    )
