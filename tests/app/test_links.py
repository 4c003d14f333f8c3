"""Choices in the URL: a link wins, the session remembers, the default is not written, what is gone is dropped."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

TIMEOUT_S = 60


def page() -> None:
    """A page with a choice of one and of several; the options come from the session."""
    import streamlit as st

    from cxrlab.app import links

    options = st.session_state.get("options", ["a", "b", "c"])
    key, value = links.one("letter", options, options[0])
    letter = st.selectbox("Letter", options, index=options.index(value), key=key)
    links.keep("letter", [letter], [options[0]])
    key, values = links.several("letters", options, options[:2])
    letters = st.multiselect("Letters", options, default=values, format_func=str.upper, key=key)
    links.keep("letters", letters, options[:2])
    st.button("c", on_click=links.choose, args=("letter", "c"))


def opened(**query: str | list[str]) -> AppTest:
    app = AppTest.from_function(page, default_timeout=TIMEOUT_S)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def shown(app: AppTest) -> tuple[str, list[str]]:
    assert not app.exception
    return app.selectbox[0].value, app.multiselect[0].value


def test_without_a_link_the_defaults_are_shown_and_not_written() -> None:
    app = opened()
    assert shown(app) == ("a", ["a", "b"])
    assert not app.query_params


def test_a_link_wins_and_stays() -> None:
    app = opened(letter="b", letters=["c", "a"])
    assert shown(app) == ("b", ["c", "a"])
    assert shown(app.run()) == ("b", ["c", "a"])


def test_unknown_values_of_a_link_are_dropped() -> None:
    assert shown(opened(letter="../x", letters=["c", "nothing"])) == ("a", ["c"])
    assert shown(opened(letters="nothing")) == ("a", ["a", "b"])


def test_a_choice_is_written_and_the_default_leaves_the_link_again() -> None:
    app = opened()
    app.selectbox[0].set_value("b").run()
    assert "b" in app.query_params["letter"]
    app.selectbox[0].set_value("a").run()
    assert "letter" not in app.query_params
    assert shown(app) == ("a", ["a", "b"])


def test_nothing_chosen_is_a_choice() -> None:
    app = opened()
    app.multiselect[0].set_value([]).run()
    assert shown(app.run()) == ("a", [])


def test_a_choice_from_elsewhere_is_shown() -> None:
    app = opened(letter="b")
    app.button[0].click().run()
    assert shown(app)[0] == "c"
    app.selectbox[0].set_value("b").run()
    assert shown(app)[0] == "b"


def test_values_that_are_no_option_any_more_are_dropped() -> None:
    app = opened(letter="b", letters=["b", "c"])
    app.session_state["options"] = ["c", "d"]
    assert shown(app.run()) == ("c", ["c"])
    app.session_state["options"] = ["x", "y", "z"]
    assert shown(app.run()) == ("x", ["x", "y"])
