"""What belongs to one browser session: its choices, its uploads' results, its tally.

Everything is in the session's memory and ends with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from cxrlab.app.demo import is_demo
from cxrlab.workflows.memory import Memory

MOST_CHECKPOINTS = 6

_MEMORY = "compare:memory"
_TALLY = "compare:tally"


def memory() -> Memory:
    """This session's pictures and results."""
    if _MEMORY not in st.session_state:
        most = (20, 150) if is_demo() else (80, 600)
        st.session_state[_MEMORY] = Memory(most_pictures=most[0], most_results=most[1])
    return st.session_state[_MEMORY]


def tally() -> dict[tuple[str, str], tuple[str, bool]]:
    """Per (sha256 of a labelled sample, sha256 of a checkpoint): the checkpoint's title, and was it right?"""
    return st.session_state.setdefault(_TALLY, {})


def chosen_list(name: str, allowed: Collection[str]) -> list[str] | None:
    """A list in the URL (``?m=a&m=b``) that this session also keeps over page changes.

    A link that names values wins over what the session remembers; unknown values are dropped.

    Returns:
        The list; None when neither the link nor the session has chosen yet.
    """
    asked = st.query_params.get_all(name)
    if asked and asked != st.session_state.get(f"url:{name}"):
        st.session_state[f"url:{name}"] = asked
        if known := [value for value in dict.fromkeys(asked) if value in allowed]:
            st.session_state[f"chosen:{name}"] = known
            st.session_state[f"linked:{name}"] = True
    chosen = st.session_state.get(f"chosen:{name}")
    return None if chosen is None else [value for value in chosen if value in allowed]


def came_by_link(name: str) -> bool:
    """Was the list last set by a link? Tells it once: the widgets that show the list take it over."""
    return bool(st.session_state.pop(f"linked:{name}", False))


def choose_list(name: str, values: Sequence[str]) -> None:
    """Remember a list and write it into the URL."""
    st.session_state[f"chosen:{name}"] = list(values)
    if st.query_params.get_all(name) != list(values):
        st.query_params[name] = list(values)
    st.session_state[f"url:{name}"] = list(values)


def fresh_key(name: str, probe: str = "", *, anew: bool) -> str:
    """Key for a widget whose default shows a remembered choice; another one whenever it has to show a new choice.

    Writing the choice into ``st.session_state`` instead is not safe: when the page runs again before the browser got
    the first run's message, the order to change the widget is lost, and it shows another value than the server has.

    Args:
        name: of the choice. probe: ends the key of one of the widgets, where several share the choice.
        anew: the choice was changed from elsewhere (a link, a button).
    """
    key = f"{name}:{st.session_state.get(f'generation:{name}', 0)}:"
    if anew or key + probe not in st.session_state:
        st.session_state[f"generation:{name}"] = st.session_state.get(f"generation:{name}", 0) + 1
        key = f"{name}:{st.session_state[f'generation:{name}']}:"
    return key
