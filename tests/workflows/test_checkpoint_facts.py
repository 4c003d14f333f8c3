"""What a picker says of a checkpoint comes from its card."""

from dataclasses import replace
from pathlib import Path

import pytest

from cxrlab.catalogue import CARD_FILE, read_checkpoint
from cxrlab.workflows.checkpoint_facts import broken_sentences, list_facts


def test_models_come_before_ensembles_with_their_hashes(tiny_checkpoints: Path) -> None:
    facts = list_facts()
    assert [each.name for each in facts] == ["tiny_mobilenet", "tiny_shufflenet", "tiny_ensemble"]
    assert facts[2].members == ("tiny_shufflenet", "tiny_mobilenet")
    assert all(len(each.short_sha256) == 8 for each in facts)
    assert all(each.macro_f1 is None and each.measured_on == "" for each in facts)


def test_figures_and_time_are_read_from_the_card(tiny_checkpoints: Path) -> None:
    macro_f1 = {"value": 0.8, "low": 0.7, "high": None, "n": 804, "method": "patient bootstrap", "level": 0.95}
    metrics = {"dataset": "cxr", "part": "test", "images": 804, "patients": 546, "report": {"macro_f1": macro_f1}}
    for name, seconds in (("tiny_mobilenet", 0.02), ("tiny_shufflenet", 0.01)):
        card = replace(read_checkpoint(tiny_checkpoints / name).card, metrics=metrics, seconds_per_image=seconds)
        (tiny_checkpoints / name / CARD_FILE).write_text(card.to_text())
    model, _, ensemble = list_facts()
    assert model.macro_f1 is not None
    assert (model.macro_f1.value, model.images, model.patients) == (0.8, 804, 546)
    assert model.measured_on == "cxr, test part"
    assert ensemble.seconds_per_image == pytest.approx(0.03)


def test_a_broken_folder_is_one_sentence(tiny_checkpoints: Path) -> None:
    (tiny_checkpoints / "broken").mkdir()
    assert broken_sentences() == ("Checkpoint broken has no card.json; copy the whole folder again.",)
