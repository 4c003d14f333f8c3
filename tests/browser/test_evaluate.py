"""Evaluate and Checkpoints in a real browser: a result with its figures, reopened by its link, one card by its link."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cxrlab.data.phantom import write_phantom_set

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small phantom set: the bundled one takes a minute to draw."""
    return write_phantom_set(tmp_path_factory.mktemp("phantoms") / "small", count=16, size=128)


def measured(page: Page) -> None:
    """Evaluate, and wait for the result."""
    page.get_by_role("button", name="Evaluate", exact=True).click()
    expect(page.get_by_text("How these numbers were made")).to_be_visible()


def test_evaluating_phantoms_draws_its_figures_and_its_link_reopens_them(open_page: OpenPage, phantoms: Path) -> None:
    page = open_page(f"Evaluate?set=path&path={phantoms}", height=4500)
    measured(page)
    expect(page.get_by_role("heading", name=re.compile("16 images of"))).to_be_visible()
    expect(page.locator(".js-plotly-plot .trace, .js-plotly-plot .hm").first).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(4)
    for words in ("ROC, ", "Precision-recall, ", "Tiny Phantom · AUC", "Tiny Phantom · AP", "prevalence"):
        expect(page.locator(".js-plotly-plot").get_by_text(words).first).to_be_visible()
    page.get_by_role("radio", name="Lobar consolidation").or_(
        page.get_by_role("button", name="Lobar consolidation")
    ).first.click()
    expect(page.locator(".js-plotly-plot").get_by_text("ROC, Lobar consolidation").first).to_be_visible()
    expect(page).to_have_url(re.compile("focus=lobar"))
    link = re.search(r"result=[0-9a-f]{16}", page.url)
    assert link
    again = open_page(f"Evaluate?{link[0]}&focus=lobar", height=4500)
    expect(again.get_by_text("Reopened from store: all")).to_be_visible()
    expect(again.locator(".js-plotly-plot").get_by_text("ROC, Lobar consolidation").first).to_be_visible()


def test_a_result_is_downloaded_as_csv(open_page: OpenPage, phantoms: Path) -> None:
    page = open_page(f"Evaluate?set=path&path={phantoms}", height=4500)
    measured(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Metrics (CSV)").click()
    assert "macro_f1" in download.value.path().read_text()


def test_it_fits_a_phone(open_page: OpenPage, phantoms: Path) -> None:
    page = open_page(f"Evaluate?set=path&path={phantoms}", width=390, height=7000)
    measured(page)
    expect(page.locator(".js-plotly-plot")).to_have_count(4)
    for box in (figure.bounding_box() for figure in page.locator(".js-plotly-plot").all()):
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_a_link_opens_one_card_and_leads_on(open_page: OpenPage) -> None:
    page = open_page("Checkpoints?checkpoint=tiny_ensemble")
    expect(page.get_by_role("heading", name="Tiny Ensemble")).to_be_visible()
    expect(page).to_have_url(re.compile("checkpoint=tiny_ensemble"))
    page.get_by_role("button", name="Evaluate this").click()
    expect(page.locator("h1")).to_have_text("Evaluate")
    expect(page).to_have_url(re.compile("models=tiny_ensemble"))
