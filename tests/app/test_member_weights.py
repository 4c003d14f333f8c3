"""Members' weights as bars, and the sum that gives an ensemble's score."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from cxrlab.app.member_weights import signed, sum_markdown, weights_html
from cxrlab.results import MemberResult
from tests.app.test_verdicts import RESULT

MEMBERS = (
    MemberResult("a", "<b>A</b>", "1", 0.5, np.array([0.7, 0.1, 0.1, 0.1])),
    MemberResult("b", "B", "2", -0.25, np.array([0.1, 0.2, 0.3, 0.4])),
    MemberResult("c", "C", "3", 0.0, np.array([0.25, 0.25, 0.25, 0.25])),
)


def test_a_bar_begins_in_the_middle_and_goes_its_way() -> None:
    html = weights_html(MEMBERS)
    assert re.findall(r"left:([\d.]+)%;width:([\d.]+)%", html) == [("50.0", "25.0"), ("37.5", "12.5"), ("50.0", "0.0")]
    assert html.count('class="cx-against"') == 1


def test_numbers_have_signs_and_bars_are_not_read_aloud() -> None:
    html = weights_html(MEMBERS)
    assert all(text in html for text in (">+0.500<", ">−0.250<", ">0.000<"))
    assert html.count('aria-hidden="true"') == 4
    assert 'aria-label="Weights of the members for this X-ray, from −1 to 1; negative ones count against' in html


def test_titles_can_not_bring_html() -> None:
    assert "<b>A</b>" not in weights_html(MEMBERS)


def test_the_sum_gives_the_score_by_softmax() -> None:
    v = 0.5 * MEMBERS[0].scores - 0.25 * MEMBERS[1].scores
    scores = np.exp(v) / np.exp(v).sum()
    text = sum_markdown(replace(RESULT, scores=scores, members=MEMBERS, voting="flannel"), 0)
    assert "| B | 0.100 | −0.025 |" in text
    assert f"| Sum | | +{v[0]:.3f} |" in text
    assert f"e to +{v[0]:.3f} is {np.exp(v[0]):.3f}, {np.exp(v).sum():.3f} for all" in text
    assert f"**{scores[0]:.3f}**" in text


def test_a_perceptron_shows_scores_and_no_weights() -> None:
    text = sum_markdown(replace(RESULT, members=MEMBERS, voting="mlp_l1"), 1)
    assert "weight" not in text
    assert "| B | 0.200 |" in text


def test_voting_shows_its_products() -> None:
    scores = np.full(4, 0.25)
    members = tuple(replace(member, weight=1 / 3) for member in MEMBERS)
    assert "product" in sum_markdown(replace(RESULT, scores=scores, members=members, voting="soft"), 3)


def test_signs() -> None:
    assert [signed(value) for value in (0.30195, -0.28763, 0.0, -0.0001)] == ["+0.302", "−0.288", "0.000", "0.000"]
