"""The list of stored results: opened with a click, deleted after asking."""

from __future__ import annotations

import streamlit as st

from cxrlab.app import demo, evaluation_state
from cxrlab.app.evaluation_tables import PARTS, when
from cxrlab.app.words import plain
from cxrlab.labels import LabelSet
from cxrlab.plots.metrics import short_names
from cxrlab.workflows.stored_results import StoredSet

SHOWN = 20


def stored_list(*, expanded: bool) -> None:
    """Stored results by labelled set; nothing where there are none."""
    found = evaluation_state.listed_sets()
    if not found:
        return
    with st.expander(f"Stored results ({len(found)})", icon=":material/history:", expanded=expanded):
        for each in found[:SHOWN]:
            _row(each)
        if len(found) > SHOWN:
            st.caption(f"And {len(found) - SHOWN} older ones; delete some to see them.")


def _row(stored: StoredSet) -> None:
    part = PARTS.get(stored.part, stored.part)
    titles = ", ".join(run.checkpoint_title for run in stored.runs)
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(gap=None):
            st.markdown(f"**{plain(stored.dataset)}** · {plain(part)} · {stored.images:,} images")
            classes = ", ".join(short_names(LabelSet.from_ids(stored.labels)))
            st.caption(plain(f"{titles} · {classes} · {when(stored.created)}"))
        st.button(
            "Open",
            key=f"open-{stored.id}",
            on_click=evaluation_state.open_stored,
            args=(stored.id,),
            icon=":material/folder_open:",
        )
        if not demo.is_demo():
            with st.popover("Delete", icon=":material/delete:", key=f"ask-{stored.id}"):
                st.markdown(f"Delete the {len(stored.runs)} stored results? The images stay as they are.")
                st.button(
                    "Delete for good",
                    key=f"delete-{stored.id}",
                    on_click=evaluation_state.delete_stored,
                    args=(stored.id,),
                    type="primary",
                )
