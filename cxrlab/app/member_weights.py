"""The weights that an ensemble gives its members for one X-ray, as bars and as a sum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from cxrlab.app.words import plain
from cxrlab.workflows.compare import MemberResult, ModelResult

FOR, AGAINST = "#0072B2", "#D55E00"  # Okabe and Ito's blue and vermillion: told apart in every colour vision
STYLE = """<style>
.cx-weights { width: 100%; border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
.cx-weights caption { text-align: left; padding: 0 0 .35rem 0; font-weight: 600; }
.cx-weights th, .cx-weights td { border: 0; padding: 0 0 .5rem 0; font-weight: 400; text-align: left; }
.cx-weights .cx-line { display: flex; justify-content: space-between; gap: .5rem; line-height: 1.4; }
.cx-axis { position: relative; height: 10px; border-radius: 3px;
  background: color-mix(in srgb, currentColor 14%, transparent); }
.cx-axis::after { content: ""; position: absolute; left: calc(50% - .5px); top: -2px; width: 1px; height: 14px;
  background: currentColor; }
.cx-axis > div { position: absolute; top: 0; height: 10px; min-width: 2px; }
.cx-against { background-image: repeating-linear-gradient(135deg, transparent 0 3px, rgb(255 255 255 / 45%) 3px 5px); }
.cx-ends { display: flex; justify-content: space-between; font-size: .75rem; opacity: .8; }
</style>"""


def weights_html(members: Sequence[MemberResult]) -> str:
    """Bars from the middle, to the right for members that count, to the left and hatched for those that count against.

    The numbers with their signs stand beside the bars, so that neither colour nor position is needed to read them.
    """
    rows = [
        f'<tr><th scope="row"><div class="cx-line"><span>{escape(member.title)}</span>'
        f"<span>{signed(member.weight)}</span></div>"
        f'<div class="cx-axis" aria-hidden="true">{_bar(member.weight)}</div></th></tr>'
        for member in members
    ]
    caption = "Weights of the members for this X-ray"
    ends = '<div class="cx-ends" aria-hidden="true"><span>−1 counts against</span><span>counts for +1</span></div>'
    label = f"{caption}, from −1 to 1; negative ones count against what the member says"
    table = f'<table class="cx-weights" aria-label="{label}"><caption>{caption}</caption>{"".join(rows)}</table>'
    return f"{STYLE}{table}{ends}"


def _bar(weight: float) -> str:
    width = 50 * min(1.0, abs(weight))
    left, colour, kind = (50.0, FOR, "cx-for") if weight >= 0 else (50 - width, AGAINST, "cx-against")
    return f'<div class="{kind}" style="left:{left:.1f}%;width:{width:.1f}%;background-color:{colour}"></div>'


def signed(value: float) -> str:
    """``+0.302`` or ``−0.288``, with a real minus sign; zero without a sign."""
    text = f"{abs(value):.3f}"
    if float(text) == 0:
        return text
    return f"{'+' if value > 0 else '−'}{text}"


def sum_markdown(result: ModelResult, column: int) -> str:
    """A table of what every member adds to the ensemble's score of a class, and how the sum becomes the score."""
    members, total = result.members, float(result.scores[column])
    name = result.labels.names[column]
    if result.voting == "flannel":
        return _flannel_sum(members, column, name, total)
    if result.voting.startswith("mlp"):
        return _scores_only(members, column, name, total)
    return members_markdown(members, column, name, total)


def members_markdown(members: Sequence[MemberResult], column: int, class_name: str, total: float) -> str:
    """The sum as a table: what every member adds to a voting ensemble's score of a class.

    A member adds weight x score in soft voting, and its weight where it decides for the class in hard voting.
    """
    products = [member.weight * float(member.scores[column]) for member in members]
    votes = [member.weight * (int(np.argmax(member.scores)) == column) for member in members]
    soft = abs(sum(products) - total) <= abs(sum(votes) - total)
    rows = [
        f"| {plain(member.title)} | {member.weight:.3f} | {member.scores[column]:.3f} | {added:.3f} |"
        for member, added in zip(members, products if soft else votes, strict=True)
    ]
    head = f"| {plain(class_name)} | weight | score | {'product' if soft else 'vote'} |\n|---|--:|--:|--:|"
    return "\n".join([head, *rows, f"| **Ensemble** | | | **{total:.3f}** |"])


def _flannel_sum(members: Sequence[MemberResult], column: int, class_name: str, total: float) -> str:
    weights = np.array([member.weight for member in members])
    v = weights @ np.stack([member.scores for member in members])  # (N,) @ (N, C) -> (C,)
    rows = [
        f"| {plain(member.title)} | {member.scores[column]:.3f} "
        f"| {signed(member.weight * float(member.scores[column]))} |"
        for member in members
    ]
    head = f"| {plain(class_name)} | score | times weight |\n|---|--:|--:|"
    own, everything = math.exp(v[column]), float(np.exp(v).sum())
    softmax = f"Softmax of the classes' sums: e to {signed(float(v[column]))} is {own:.3f}, {everything:.3f} for all."
    return "\n".join(
        [head, *rows, f"| Sum | | {signed(float(v[column]))} |", f"| **Ensemble** | | **{total:.3f}** |", "", softmax]
    )


def _scores_only(members: Sequence[MemberResult], column: int, class_name: str, total: float) -> str:
    rows = [f"| {plain(member.title)} | {member.scores[column]:.3f} |" for member in members]
    return "\n".join([f"| {plain(class_name)} | score |\n|---|--:|", *rows, f"| **Ensemble** | **{total:.3f}** |"])
