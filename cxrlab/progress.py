"""How long work tells where it stands, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""``progress(done, total, text)``: called from the working thread, often."""

Cancel = Callable[[], bool]
"""Asked between steps; True ends the work with :class:`Cancelled`."""


class Cancelled(Exception):
    """The user stopped the work. Nothing half-written stays."""

    def __init__(self, what: str = "The work") -> None:
        super().__init__(f"{what} was cancelled; nothing was stored.")


def silent(done: int, total: int, text: str) -> None:
    """Progress that nobody watches."""


def never() -> bool:
    """A cancel that never comes."""
    return False


def check(cancel: Cancel, what: str) -> None:
    """Raise Cancelled when the user asked for it."""
    if cancel():
        raise Cancelled(what)
