"""The papers' tables and claims in a real browser, and an ensemble that was fitted, with its members' weights."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from cxrlab.cards import ModelCard
from cxrlab.checkpoints import save_ensemble
from cxrlab.ensembles.combiner import CombinerConfig, fit_combiner
from cxrlab.labels import CXR4
from cxrlab.papers.claims import CLAIMS
from tests.browser.conftest import Server

OpenPage = Callable[..., Page]


@pytest.fixture
def fitted_ensemble(server: Server, browser_checkpoints: Path) -> Iterator[str]:
    """A FLANNEL ensemble among the server's checkpoints; its second member is always wrong."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 120)
    scores = rng.dirichlet(np.ones(4) / 2, (120, 2))
    scores[np.arange(120), 0, y] += 1
    scores[np.arange(120), 1, (y + 1) % 4] += 2
    config = CombinerConfig(kind="flannel", epochs=20, learning_rate=0.01, class_weights="balanced")
    card = ModelCard(
        name="tiny_flannel",
        title="Tiny FLANNEL",
        kind="ensemble",
        labels=CXR4.ids,
        domain="real",
        members=("tiny_shufflenet", "tiny_mobilenet"),
        voting="flannel",
    )
    folder = browser_checkpoints / card.name
    save_ensemble(folder, card, combiner=fit_combiner(scores / scores.sum(axis=2, keepdims=True), y, config))
    yield card.name
    shutil.rmtree(folder)


def test_weights_of_the_members_are_shown_with_the_sum(open_page: OpenPage, fitted_ensemble: str) -> None:
    page = open_page(f"Compare?sample=phantom-02&m={fitted_ensemble}")
    page.get_by_text("2 members and their sum").click()
    weights = page.get_by_role("table", name=re.compile("Weights of the members for this X-ray"))
    expect(weights).to_be_visible()
    expect(weights.get_by_text(re.compile(r"^[+−]0\.\d{3}$"))).to_have_count(2)
    expect(weights.get_by_text(re.compile("^−"))).to_have_count(1)  # the member that is always wrong counts against
    total = page.locator("[class*=st-key-sum-]")
    table, tile = total.locator("table").bounding_box(), total.bounding_box()
    assert table
    assert tile
    assert table["x"] + table["width"] <= tile["x"] + tile["width"] + 1


def test_a_paper_is_picked_and_kept_in_the_link(open_page: OpenPage) -> None:
    page = open_page("Papers", height=6000)
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    for verdict in ("Holds", "Does not hold", "Cannot be told"):
        expect(page.get_by_text(re.compile(rf"{verdict}: \d+ of {len(CLAIMS)}"))).to_be_visible()
    s5 = re.compile("^S5 ")
    page.get_by_role("radio", name=s5).or_(page.get_by_role("button", name=s5)).first.click()
    expect(page).to_have_url(re.compile("paper=S5"))
    expect(page.get_by_role("heading", name=re.compile("PEPX-ResNet")).first).to_be_visible()
    again = open_page("Papers?paper=S5", height=6000)
    expect(again.get_by_role("heading", name=re.compile("PEPX-ResNet")).first).to_be_visible()


def test_runs_are_listed_with_their_command(open_page: OpenPage) -> None:
    page = open_page("Papers", height=6000)
    expect(page.get_by_role("heading", name="The runs")).to_be_visible()
    expect(page.get_by_text(re.compile("cxrlab study flannel")).first).to_be_visible()


def test_papers_fit_a_phone(open_page: OpenPage) -> None:
    page = open_page("Papers", width=390, height=9000)
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    for box in (figure.bounding_box() for figure in page.locator(".js-plotly-plot").all()):
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
