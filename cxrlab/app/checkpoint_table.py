"""The table of all checkpoints; a click on a row opens its card."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxrlab.app.words import domain_words, duration, interval, plain, size
from cxrlab.workflows.checkpoint_facts import CheckpointFacts

CHOICE = "checkpoint"  # key and URL parameter of the card that is shown
_ROWS = "checkpoint-rows"


def checkpoint_table(facts: Sequence[CheckpointFacts]) -> None:
    """One row a checkpoint. A row that is clicked becomes the choice of :func:`pick_card`."""
    rows = [
        {
            "Checkpoint": each.title,
            "Kind": f"ensemble of {len(each.members)}" if each.kind == "ensemble" else "network",
            "Trained on": each.domain_text or domain_words(each.domain),
            "Classes": ", ".join(each.labels.names),
            "Macro-F1": interval(each.macro_f1),
            "Measured on": each.measured_on or "–",
            "n": each.images or None,
            "Parameters": f"{each.parameters / 1e6:.2f} M" if each.parameters else "–",
            "Size": size(each.size_bytes),
            "One image": duration(each.seconds_per_image),
            "Licence": each.licence or "not stated",
            "Hash": each.short_sha256,
        }
        for each in facts
    ]
    st.dataframe(
        rows,
        hide_index=True,
        key=_ROWS,
        on_select=lambda: _choose(facts),
        selection_mode="single-row",
        column_config={"Checkpoint": st.column_config.Column(pinned=True)},
        alt="All checkpoints with their macro-F1, size and hash",
    )
    st.caption(
        "Macro-F1 with its 95 % interval (patient bootstrap) on the set named, decision by highest score; not to be "
        "compared across sets. One image: on one CPU thread."
    )


def _choose(facts: Sequence[CheckpointFacts]) -> None:
    rows = st.session_state[_ROWS]["selection"]["rows"]
    if rows:
        st.session_state[CHOICE] = facts[rows[0]].name


def pick_card(facts: Sequence[CheckpointFacts]) -> str:
    """Name of the checkpoint whose card is shown; in the URL, so that a link opens one card."""
    titles = {each.name: each.title for each in facts}
    if st.session_state.get(CHOICE) not in titles:
        st.session_state.pop(CHOICE, None)
    return st.selectbox(
        "Card",
        list(titles),
        format_func=lambda name: f"{titles[name]} ({name})" if name in titles else name,
        key=CHOICE,
        bind="query-params",
        persist_state="session",
    )


def broken_list(sentences: Sequence[str]) -> None:
    """Folders that should be checkpoints but can not be used, each with its sentence."""
    if sentences:
        with st.expander(f"{len(sentences)} folders can not be used", icon=":material/broken_image:"):
            for sentence in sentences:
                st.markdown(f"- {plain(sentence)}")
