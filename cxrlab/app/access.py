"""May this session start, stop and delete jobs? Asks for the password where the server wants one."""

from __future__ import annotations

import math
from typing import Literal

import streamlit as st

from cxrlab.app.demo import is_demo
from cxrlab.app.words import plain
from cxrlab.workflows.access import Access, AccessError, Attempts, check_password, read_access

Standing = Literal["open", "locked", "off", "demo"]

_tries = Attempts()  # of this process: guessing is slow whatever the number of browsers
_UNLOCKED, _FIELD, _REFUSED = "access:unlocked", "access:password", "access:refused"


def standing() -> Standing:
    """What this session may do: ``open`` all, ``locked`` all after the password, ``off`` and ``demo`` look only."""
    if is_demo():
        return "demo"
    try:
        access = _settings()
    except AccessError:
        return "off"
    if access.train == "on":
        return "open"
    if access.train == "off":
        return "off"
    return "open" if st.session_state.get(_UNLOCKED) == access.password_hash else "locked"


def may_write() -> bool:
    """Asked again by every action itself, because a browser can press buttons that it was not shown."""
    return standing() == "open"


def gate() -> bool:
    """Say what this session may do and ask for the password where one is wanted; may it write?"""
    where = standing()
    if where == "demo":
        st.info(
            "This is a public demo: you can look at everything, but nothing is trained here.", icon=":material/lock:"
        )
    elif where == "off":
        _say_off()
    elif where == "locked":
        _ask()
    return where == "open"


def _settings() -> Access:
    return read_access(st.get_option("server.address") or "")


def _say_off() -> None:
    try:
        _settings()
    except AccessError as error:
        st.error(f"Training is off, because its settings can not be used. {plain(str(error))}", icon=":material/lock:")
        return
    st.info(
        "Training is switched off on this server, because others can reach it. Whoever runs it can allow it with "
        '`train = "password"` or `"on"` under `[access]` in CXRLAB_HOME/config.toml.',
        icon=":material/lock:",
    )


def _ask() -> None:
    with st.form("access:form", border=True, width=520):
        st.markdown("**Training needs the password of this server.** Looking does not.")
        st.text_input("Password", type="password", key=_FIELD, autocomplete="current-password")
        st.form_submit_button("Unlock", icon=":material/lock_open:", on_click=_try)
        if refused := st.session_state.pop(_REFUSED, ""):
            st.error(refused, icon=":material/error:")


def _try() -> None:
    given = str(st.session_state.get(_FIELD, ""))
    wait_s = _tries.wait_s()
    if wait_s:
        st.session_state[_REFUSED] = f"Too many tries; wait {math.ceil(wait_s)} seconds and try again."
        return
    try:
        access = _settings()
        right = access.train == "password" and check_password(given, access.password_hash)
    except AccessError as error:
        st.session_state[_REFUSED] = str(error)
        return
    if right:
        st.session_state[_UNLOCKED] = access.password_hash
    else:
        st.session_state[_REFUSED] = "That is not the password."
    st.session_state[_FIELD] = ""
