"""Choices that live in the URL under their ids, so that a link reproduces them, and in the session over page changes.

Streamlit's own ``bind="query-params"`` writes what a widget shows; where the words shown are not the ids (the title of
a checkpoint, the name of a class), a link would break as soon as the words change. These functions keep ids.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxrlab.app import session


def one(name: str, options: Sequence[str], default: str) -> str:
    """Prepare a widget with a single value: the link's, else the session's, else the default.

    Returns:
        The key to give the widget. Call :func:`keep` with what it returns.
    """
    key = _key(name)
    chosen = session.chosen_list(name, options) or [default]
    if session.came_by_link(name) or st.session_state.get(key) not in options:
        st.session_state[key] = chosen[0]
    return key


def several(name: str, options: Sequence[str], default: Sequence[str]) -> str:
    """As :func:`one` for a widget whose value is a list; values that are no option any more are dropped."""
    key = _key(name)
    chosen = session.chosen_list(name, options)
    if session.came_by_link(name) or key not in st.session_state:
        st.session_state[key] = list(default) if chosen is None else chosen
    elif stale := [value for value in st.session_state[key] if value not in options]:
        left = [value for value in st.session_state[key] if value not in stale]
        st.session_state[key] = left or list(default)
    return key


def keep(name: str, values: Sequence[str], default: Sequence[str] = ()) -> None:
    """Remember what was chosen and write it into the URL; the default is not written."""
    if list(values) == list(default):
        st.session_state[f"chosen:{name}"] = list(values)
        st.query_params.pop(name, None)
    else:
        session.choose_list(name, values)


def choose(name: str, value: str) -> None:
    """Set a single choice from elsewhere, before its widget is drawn (in a callback)."""
    st.session_state[_key(name)] = value


def _key(name: str) -> str:
    return f"link:{name}"
