"""What results look like, as text."""

from io import BytesIO

import numpy as np
from PIL import Image

from cxrlab.app import blocks
from cxrlab.app.member_weights import members_markdown
from cxrlab.labels import CXR4, Label, LabelSet
from cxrlab.results import MemberResult
from tests.app.test_verdicts import RESULT


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
    text = members_markdown(members, 0, "First", 0.25 * 0.8 + 0.75 * 0.4)
    assert "| A | 0.250 | 0.800 | 0.200 |" in text
    assert "**0.500**" in text


def test_in_hard_voting_a_member_adds_its_weight_or_nothing() -> None:
    members = [
        MemberResult("a", "A", "1", 0.25, np.array([0.8, 0.2]), None),
        MemberResult("b", "B", "2", 0.75, np.array([0.4, 0.6]), None),
    ]
    text = members_markdown(members, 0, "First", 0.25)
    assert "| A | 0.250 | 0.800 | 0.250 |" in text
    assert "| B | 0.750 | 0.400 | 0.000 |" in text
