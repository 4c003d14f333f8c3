"""The frame: the menu, the intended use, the version."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from cxrlab import __version__
from cxrlab.app import frame
from cxrlab.config import repository


def test_the_menu_has_only_pages_that_exist() -> None:
    assert [entry.title for entry in frame.menu()][:2] == ["Home", "Compare"]
    assert all((repository() / entry.file).is_file() for entry in frame.menu())


def test_every_page_that_exists_is_in_the_menu() -> None:
    files = {f"pages/{file.name}" for file in (repository() / "pages").glob("*.py")}
    assert files <= {entry.file for entry in frame.menu()}


def test_demo_mode_has_no_pages_that_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRLAB_DEMO", "1")
    assert all(entry.in_demo for entry in frame.menu())


def test_an_unknown_page_is_our_own_mistake() -> None:
    with pytest.raises(KeyError):
        frame.page("Nowhere")


@pytest.mark.parametrize("file", ["", "pages/1_Compare.py"])
def test_every_page_says_what_it_is_not_for(open_app: Callable[..., AppTest], file: str) -> None:
    app = open_app(file)
    assert not app.exception
    assert app.title[0].value
    said = [caption.value for caption in app.main.caption]
    assert any(frame.INTENDED_USE in caption for caption in said)
    assert any(__version__ in caption.value for caption in app.sidebar.caption)
