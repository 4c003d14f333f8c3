"""The frame of every page: browser title, our own menu, the heading, what the app is not for, the version."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import streamlit as st

from cxrlab import __version__
from cxrlab.app.demo import is_demo
from cxrlab.config import home, repository

log = logging.getLogger("cxrlab.app")

INTENDED_USE = "Research and teaching only. Not for diagnosis."


@dataclass(frozen=True)
class PageEntry:
    """A page of the app. ``file`` is relative to the repository; one that does not exist is not in the menu."""

    file: str
    title: str
    icon: str
    section: str
    in_demo: bool = True


PAGES = (
    PageEntry("streamlit_app.py", "Home", ":material/home:", ""),
    PageEntry("pages/1_Compare.py", "Compare", ":material/compare:", "Look"),
    PageEntry("pages/3_Explain.py", "Explain", ":material/center_focus_strong:", "Look"),
    PageEntry("pages/2_Evaluate.py", "Evaluate", ":material/monitoring:", "Measure"),
    PageEntry("pages/4_Checkpoints.py", "Checkpoints", ":material/inventory_2:", "Measure"),
    PageEntry("pages/7_Papers.py", "Papers", ":material/menu_book:", "Measure"),
    PageEntry("pages/5_Train.py", "Train", ":material/model_training:", "Make"),
    PageEntry("pages/6_Data.py", "Data", ":material/database:", "Make", in_demo=False),
)


def page(title: str) -> PageEntry:
    """The entry of a page by its title. Raises KeyError for a title that is not in ``PAGES``."""
    for entry in PAGES:
        if entry.title == title:
            return entry
    raise KeyError(title)


def menu() -> tuple[PageEntry, ...]:
    """The pages that exist here; in demo mode without those that write."""
    return tuple(entry for entry in PAGES if (repository() / entry.file).is_file() and (entry.in_demo or not is_demo()))


def open_page(title: str, *, heading: str = "", lead: str = "") -> None:
    """Begin a page: the first statement of every page, before any other Streamlit call.

    Args:
        title: as in ``PAGES``; also the browser's title.
        heading: of the page; default is the title. lead: one sentence below it.
    """
    entry = page(title)
    st.set_page_config(
        page_title="cxrlab" if title == "Home" else f"{title} · cxrlab", page_icon=entry.icon, layout="wide"
    )
    _wake_jobs()
    _draw_menu()
    st.title(heading or title, anchor=False)
    if lead:
        st.markdown(lead)
    st.caption(f":material/info: {INTENDED_USE}")


@st.cache_resource(show_spinner=False)
def _wake_jobs() -> None:
    """Once a server: jobs that were left waiting when the last one ended get somebody who serves them."""
    if not (home() / "jobs").is_dir():
        return
    from cxrlab.workflows.jobs import JobError, open_jobs

    try:
        open_jobs().poll()
    except (JobError, OSError) as error:
        log.warning("The jobs can not be served: %s", error)


def link(title: str, label: str) -> None:
    """A link to another page; nothing where that page does not exist."""
    entry = page(title)
    if entry in menu():
        st.page_link(entry.file, label=label, icon=entry.icon)


def _draw_menu() -> None:
    with st.sidebar:
        st.markdown("### cxrlab")
        section = ""
        for entry in menu():
            if entry.section != section:
                section = entry.section
                st.caption(section)
            st.page_link(entry.file, label=entry.title, icon=entry.icon)
        st.divider()
        mode = "Public demo: nothing is stored. " if is_demo() else ""
        st.caption(f"{mode}{INTENDED_USE}")
        st.caption(f"cxrlab {__version__} · Apache-2.0")
