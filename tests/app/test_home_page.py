"""Home: the gallery, the checkpoints' figures, the intended use."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from cxrlab.workflows.samples import DownloadError
from tests.app.conftest import settled, words

OpenApp = Callable[..., AppTest]


def test_the_true_classes_are_hidden_until_asked_for(open_app: OpenApp) -> None:
    app = open_app()
    assert not app.exception
    assert "Title of first" in words(app)
    assert "label: COVID-19" not in words(app)
    app.toggle(key="reveal").set_value(True).run()
    assert "label: COVID-19" in words(app)


def test_every_sample_has_its_button_and_its_credit(open_app: OpenApp) -> None:
    app = open_app()
    assert [button.label for button in app.button if button.key and button.key.startswith("open:")] == ["Compare"] * 3
    assert "nobody" in words(app)


def test_a_click_opens_the_sample_in_compare(open_app: OpenApp) -> None:
    app = open_app()
    app.button(key="open:second").click().run()
    assert not app.exception
    assert app.title[0].value == "Compare"
    assert app.multiselect[0].value == ["second"]
    settled(app)


def test_the_checkpoints_are_listed_with_their_hashes(open_app: OpenApp) -> None:
    table = open_app().dataframe[0].value
    assert list(table["Checkpoint"]) == ["Tiny Mobilenet", "Tiny Shufflenet", "Tiny Ensemble"]
    assert all(len(value) == 8 for value in table["Hash"])


def test_a_failed_download_is_one_sentence(open_app: OpenApp, gallery: list, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**arguments: object) -> None:
        raise DownloadError("There is no network; connect and try again.")

    monkeypatch.setattr("cxrlab.app.gallery.fetch_samples", fail)
    del gallery[:2]  # the real ones
    app = open_app()
    settled(app.button(key="fetch").click().run())
    assert [error.value for error in app.error] == ["There is no network; connect and try again."]


def test_nothing_is_offered_for_download_in_demo_mode(
    open_app: OpenApp, gallery: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRLAB_DEMO", "1")
    del gallery[:2]
    assert not [button for button in open_app().button if button.key == "fetch"]
