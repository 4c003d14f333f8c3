"""The main job in a real browser: sample or upload -> cards; links; hostile files."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.hostile import hostile_images
from tests.pictures import valid_files

OpenPage = Callable[..., Page]
FILES = valid_files()


def payload(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def upload(page: Page, *files: FilePayload) -> None:
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(list(files))


def cards(page: Page) -> object:
    return page.get_by_label("Score of every class")


def test_from_the_gallery_to_a_comparison(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator(".st-key-tiles-gallery img")).to_have_count(12)
    expect(page.get_by_text("Lobar consolidation")).to_have_count(0)
    page.get_by_text("Show the true classes").click()
    expect(page.get_by_text("Lobar consolidation").first).to_be_visible()
    page.locator(".st-key-tiles-gallery").get_by_role("button", name="Compare").nth(2).click()
    expect(page.locator("h1")).to_have_text("Compare")
    expect(cards(page)).to_have_count(1)
    expect(page.get_by_text("· trained on phantoms")).to_have_count(1)
    expect(page.get_by_text(re.compile(r"\b(Right|Wrong)$"))).to_have_count(1)
    assert "sample=phantom-03" in page.url
    assert "m=tiny_phantom" in page.url
    for image in page.get_by_role("img").all():
        assert image.get_attribute("alt") or image.get_attribute("aria-label") or image.get_attribute("data-testid")


def test_a_link_restores_the_whole_choice(open_page: OpenPage) -> None:
    link = "Compare?sample=phantom-05&m=tiny_mobilenet&m=tiny_ensemble&method=HiResCAM&class=Normal&opacity=0.3"
    page = open_page(link)
    expect(cards(page)).to_have_count(2)
    checked = page.get_by_role("checkbox", checked=True)
    expect(checked).to_have_count(2)
    expect(page.get_by_text("HiResCAM for Normal")).to_have_count(2)
    expect(page.get_by_role("slider")).to_have_value("0.3")
    expect(page.get_by_text("Trained on other images")).to_have_count(2)
    assert all(part in page.url for part in ("sample=phantom-05", "m=tiny_mobilenet", "m=tiny_ensemble"))
    assert all(part in page.url for part in ("method=HiResCAM", "class=Normal", "opacity=0.3"))


def test_a_choice_survives_a_visit_to_another_page(open_page: OpenPage) -> None:
    page = open_page("Compare?sample=phantom-02&m=tiny_mobilenet")
    expect(cards(page)).to_have_count(1)
    page.get_by_role("link", name="Checkpoints").click()
    expect(page.locator("h1")).to_have_text("Checkpoints")
    page.get_by_role("link", name="Compare").click()
    expect(page.locator("h1")).to_have_text("Compare")
    expect(cards(page)).to_have_count(1)
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)
    expect(page.get_by_role("checkbox", name="Tiny Mobilenet")).to_be_checked()
    assert "m=tiny_mobilenet" in page.url


def test_png_and_dicom_are_uploaded_and_a_hostile_file_gets_its_sentence(open_page: OpenPage) -> None:
    page = open_page("Compare?source=Upload&m=tiny_mobilenet")
    bad = next(file for file in hostile_images() if file.error and file.name.endswith(".png"))
    dicom = next(name for name in FILES if name.endswith(".dcm"))
    upload(page, payload("grey.png", FILES["grey.png"]), payload(dicom, FILES[dicom]), payload(bad.name, bad.data))
    expect(cards(page)).to_have_count(2)
    expect(page.get_by_test_id("stAlert")).to_have_count(1)
    expect(page.get_by_test_id("stAlert")).to_contain_text(bad.name)
    expect(page.get_by_text("bit DICOM")).to_have_count(1)
    expect(page.get_by_text(re.compile("Traceback|Error:"))).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV", exact=True).click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("image,image_sha256,checkpoint,checkpoint_sha256")


def test_checkpoints_are_chosen_by_hand(open_page: OpenPage) -> None:
    page = open_page("Compare?sample=phantom-01")
    expect(cards(page)).to_have_count(1)
    page.get_by_text("Tiny Mobilenet", exact=True).first.click()
    expect(cards(page)).to_have_count(2)
    page.get_by_role("button", name="Next sample").click()
    expect(page.get_by_role("heading", name="Phantom 2")).to_have_count(1)
    expect(cards(page)).to_have_count(2)
    assert "sample=phantom-02" in page.url


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(open_page: OpenPage, width: int) -> None:
    page = open_page("Compare?sample=phantom-01&m=tiny_phantom&m=tiny_mobilenet", width=width, height=2400)
    expect(cards(page)).to_have_count(2)
    overflow = page.evaluate(
        "() => { const main = document.querySelector('[data-testid=stMain]');"
        " return main.scrollWidth - main.clientWidth; }"
    )
    assert overflow <= 0
