"""Choices that live in the URL under their ids, so that a link reproduces them, and in the session over page changes.

Streamlit's own ``bind="query-params"`` writes what a widget shows; where the words shown are not the ids (the title of
a checkpoint, the name of a class), a link would break as soon as the words change. These functions keep ids.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxrlab.app import session


def one(name: str, options: Sequence[str], default: str) -> tuple[str, str]:
    """What a widget with a single value begins with: the link's value, else the session's, else the default.

    Returns:
        The key and the value to give the widget. Call :func:`keep` with what it returns.
    """
    key, values = several(name, options, [default])
    return key, values[0] if values else default


def several(name: str, options: Sequence[str], default: Sequence[str]) -> tuple[str, list[str]]:
    """As :func:`one` for a widget whose value is a list; values that are no option any more are dropped."""
    before = st.session_state.get(f"chosen:{name}") or []
    chosen = session.chosen_list(name, options)
    if chosen is None or (before and not chosen):
        chosen = list(default)
    stale = any(value not in options for value in before)
    moved = st.session_state.pop(f"moved:{name}", False)
    linked = session.came_by_link(name)
    return session.fresh_key(f"link-{name}", anew=linked or moved or stale), chosen


def keep(name: str, values: Sequence[str], default: Sequence[str] = ()) -> None:
    """Remember what was chosen and write it into the URL; the default is not written."""
    if list(values) != list(default):
        session.choose_list(name, values)
        return
    st.session_state[f"chosen:{name}"] = list(values)
    st.session_state[f"url:{name}"] = []
    st.query_params.pop(name, None)


def choose(name: str, value: str) -> None:
    """Make a single choice from elsewhere, e.g. in the callback of a button."""
    session.choose_list(name, [value])
    st.session_state[f"moved:{name}"] = True
