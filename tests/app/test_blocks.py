"""What results look like, as text."""

import csv
from io import BytesIO, StringIO

import numpy as np
from PIL import Image

from cxrlab.app import blocks
from cxrlab.labels import CXR4, Label, LabelSet
from cxrlab.results import MemberResult
from cxrlab.workflows.memory import Picture
from tests.app.test_verdicts import RESULT

PICTURE = Picture("f" * 64, "=cmd.png", np.zeros((4, 4), np.uint8), 4, 4, 8, "PNG", "PA", ())


def test_every_class_has_a_row_with_its_number() -> None:
    html = blocks.scores_html(RESULT.scores, CXR4, "normal")
    assert html.count("<tr>") == 4
    assert all(f"{score:.3f}" in html for score in RESULT.scores)
    assert html.count("cx-top") == 1


def test_class_names_from_a_card_can_not_bring_html() -> None:
    labels = LabelSet((Label("a", "<script>x</script>", "#000000"), Label("b", "b", "#000000")))
    assert "<script>" not in blocks.scores_html([0.5, 0.5], labels, "a")


def test_a_png_has_the_very_values() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(np.asarray(Image.open(BytesIO(blocks.png(pixels)))), pixels)


def test_members_products_add_up_to_the_ensembles_score() -> None:
    members = [
        MemberResult("a", "A", "1", 0.25, np.array([0.8, 0.2]), None),
        MemberResult("b", "B", "2", 0.75, np.array([0.4, 0.6]), None),
    ]
    text = blocks.members_markdown(members, 0, "First", 0.25 * 0.8 + 0.75 * 0.4)
    assert "| A | 0.250 | 0.800 | 0.200 |" in text
    assert "**0.500**" in text


def test_in_hard_voting_a_member_adds_its_weight_or_nothing() -> None:
    members = [
        MemberResult("a", "A", "1", 0.25, np.array([0.8, 0.2]), None),
        MemberResult("b", "B", "2", 0.75, np.array([0.4, 0.6]), None),
    ]
    text = blocks.members_markdown(members, 0, "First", 0.25)
    assert "| A | 0.250 | 0.800 | 0.250 |" in text
    assert "| B | 0.750 | 0.400 | 0.000 |" in text


def test_the_csv_has_every_number_and_no_formula() -> None:
    rows = blocks.result_rows([(PICTURE, RESULT, "right", "normal")], (*CXR4.ids, "lobar"))
    read = list(csv.DictReader(StringIO(blocks.as_csv(rows))))
    assert read[0]["image"] == "'=cmd.png"
    assert float(read[0]["normal"]) == 0.4
    assert read[0]["lobar"] == ""
    assert read[0]["checkpoint_sha256"] == "a" * 64
    assert read[0]["device"] == "cpu"


def test_no_rows_are_an_empty_file() -> None:
    assert blocks.as_csv([]) == ""
