"""The table of all checkpoints; a click on a row opens its card."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxrlab.app import links
from cxrlab.app.words import domain_words, duration, interval, plain, size
from cxrlab.plots.metrics import short_names
from cxrlab.workflows.checkpoint_facts import CheckpointFacts

CHOICE = "checkpoint"  # key and URL parameter of the card that is shown
_ROWS = "checkpoint-rows"


def checkpoint_table(facts: Sequence[CheckpointFacts]) -> None:
    """One row a checkpoint. A row that is clicked becomes the choice of :func:`pick_card`."""
    rows = [
        {
            "Checkpoint": each.title,
            "Macro-F1": interval(each.macro_f1),
            "Measured on": each.measured_on or "–",
            "n": f"{each.images:,}" if each.images else "–",
            "Trained on": each.domain_text or domain_words(each.domain),
            "Kind": f"ensemble of {len(each.members)}" if each.kind == "ensemble" else "network",
            "Parameters": f"{each.parameters / 1e6:.2f} M" if each.parameters else "–",
            "Size": size(each.size_bytes),
            "One image": duration(each.seconds_per_image),
            "Licence": each.licence or "not stated",
            "Hash": each.short_sha256,
            "Classes": ", ".join(short_names(each.labels)),
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
        links.choose(CHOICE, facts[rows[0]].name)


def pick_card(facts: Sequence[CheckpointFacts]) -> str:
    """Name of the checkpoint whose card is shown; in the URL, so that a link opens one card."""
    titles = {each.name: each.title for each in facts}
    first = facts[0].name
    key, chosen = links.one(CHOICE, list(titles), first)
    name = st.selectbox(
        "Card",
        list(titles),
        format_func=lambda name: f"{titles[name]} ({name})" if name in titles else name,
        index=list(titles).index(chosen),
        key=key,
    )
    links.keep(CHOICE, [name], [first])
    return name


def broken_list(sentences: Sequence[str]) -> None:
    """Folders that should be checkpoints but can not be used, each with its sentence."""
    if sentences:
        count = "1 folder" if len(sentences) == 1 else f"{len(sentences)} folders"
        with st.expander(f"{count} can not be used", icon=":material/broken_image:"):
            for sentence in sentences:
                st.markdown(f"- {plain(sentence)}")
