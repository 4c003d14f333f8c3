"""Long work in the background: a worker thread per session and key, watched from the page by polling.

A worker never touches Streamlit (in another thread its calls do nothing and say nothing); it only fills its
:class:`Work`, which the page reads.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, Literal

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cxrlab.progress import Cancel, Cancelled, Progress

log = logging.getLogger("cxrlab.app")

POLL_SECONDS = 0.7
QUICK_SECONDS = 0.2  # work that is done within this is never shown as running
GRACE_SECONDS = 90.0  # a browser that is gone this long will not come back to its work
_LOOK_SECONDS = 5.0  # how often a worker asks whether its browser is still there

State = Literal["running", "finished", "failed", "cancelled"]
Function = Callable[[Progress, Cancel], Any]
"""What runs in the worker: gets ``progress`` and ``cancel``, returns the result (:func:`start`) or yields results one
by one (:func:`start_stream`)."""


class Work:
    """One piece of work and where it stands. Written by its worker, read by pages.

    Attributes:
        state: ``running``, ``finished``, ``failed`` or ``cancelled``.
        done, total, text: as the worker last reported; ``total`` is 0 while unknown.
        items: what a stream has yielded so far. result: what a function returned; None before.
        error: one sentence for the user when ``failed`` or ``cancelled``.
        seconds: since the start, until the end.
    """

    def __init__(self, name: str, session_id: str) -> None:
        self.name = name
        self.state: State = "running"
        self.done, self.total, self.text = 0, 0, "Starting …"
        self.items: list[Any] = []
        self.result: Any = None
        self.error: str | None = None
        self._session_id = session_id
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._ended: float | None = None
        self._seen = self._looked = self._started

    @property
    def alive(self) -> bool:
        return self.state == "running"

    @property
    def cancelling(self) -> bool:
        """Asked to stop but not stopped yet."""
        return self.alive and self._stop.is_set()

    @property
    def share(self) -> float:
        """Share of the work that is done, in [0, 1]; 0 while unknown."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total else 0.0

    @property
    def seconds(self) -> float:
        return (self._ended or time.monotonic()) - self._started

    def cancel(self) -> None:
        """Ask the worker to stop; it does so between two steps."""
        self._stop.set()

    def report(self, done: int, total: int, text: str) -> None:
        """The :data:`~cxrlab.progress.Progress` handed to the function."""
        self.done, self.total, self.text = done, total, text

    def should_stop(self) -> bool:
        """The :data:`~cxrlab.progress.Cancel` handed to the function: cancelled, or nobody is there any more."""
        now = time.monotonic()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            if _is_connected(self._session_id):
                self._seen = now
            elif now - self._seen > GRACE_SECONDS:
                self._stop.set()
        return self._stop.is_set()

    def run(self, function: Function, *, stream: bool) -> None:
        """The body of the worker thread: every way to end is a state, nothing is raised."""
        state: State = "finished"
        try:
            outcome = function(self.report, self.should_stop)
            self.result = self._collected(outcome) if stream else outcome
        except Cancelled as error:
            self.error, state = f"{self.name} was cancelled." if type(error) is Cancelled else str(error), "cancelled"
        except Exception as error:  # the one place where workers' errors become sentences
            self.error, state = sentence(error), "failed"
        self._ended = time.monotonic()
        self.state = state

    def _collected(self, items: Iterable[Any]) -> list[Any]:
        for item in items:
            self.items.append(item)
            if self.should_stop():
                raise Cancelled(self.name)
        return self.items


def sentence(error: BaseException) -> str:
    """What the user is told: our own errors in their words, any other as one general sentence naming its log entry.

    Our own are the errors defined in cxrlab, and ValueErrors and ConnectionErrors that cxrlab's code raised itself.
    """
    if type(error).__module__.split(".")[0] == "cxrlab" or _raised_by_us(error):
        return str(error)
    if isinstance(error, MemoryError):
        return "The memory of this computer does not suffice; use fewer or smaller images and try again."
    reference = secrets.token_hex(3)
    log.error("unexpected error %s", reference, exc_info=error)
    return f"Something unexpected went wrong; nothing was lost. The server's log has the details under {reference}."


def _raised_by_us(error: BaseException) -> bool:
    if not isinstance(error, ValueError | ConnectionError):
        return False
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and frames[-1][0].f_globals.get("__name__", "").split(".")[0] == "cxrlab"


def start(key: str, function: Function, *, name: str = "The work") -> Work:
    """Begin work whose result is what ``function(progress, cancel)`` returns.

    There is one piece of work per session and key: an older one is cancelled and forgotten.
    """
    return _start(key, function, name, stream=False)


def start_stream(key: str, function: Function, *, name: str = "The work") -> Work:
    """Begin work that yields results one by one; the page sees those there are in ``Work.items``."""
    return _start(key, function, name, stream=True)


def _start(key: str, function: Function, name: str, *, stream: bool) -> Work:
    forget(key)
    context = get_script_run_ctx()
    work = Work(name, context.session_id if context else "")
    st.session_state[_slot(key)] = work
    worker = threading.Thread(target=work.run, args=(function,), kwargs={"stream": stream}, daemon=True, name=key)
    worker.start()
    worker.join(QUICK_SECONDS)  # what is remembered comes at once, without a bar that flashes up
    return work


def current(key: str) -> Work | None:
    """This session's work under the key, whatever its state."""
    return st.session_state.get(_slot(key))


def forget(key: str) -> None:
    """Cancel this session's work under the key and drop what it found."""
    work = st.session_state.pop(_slot(key), None)
    if work is not None:
        work.cancel()


def watch(key: str, *, note: Callable[[], str] = str) -> Work | None:
    """Show progress and a Cancel button while the work runs, and run the page again when there is news.

    News are: a stream yielded something, or the work ended. Failure and cancellation are shown as one sentence. Call it
    where the bar is to appear, once per run of the page; polling ends with the work.

    Args:
        note: asked at every poll for a sentence to show below the bar; empty for none.

    Returns:
        The work, for its state and results; None when nothing was started.
    """
    work = current(key)
    if work is None:
        return None
    if work.alive:
        st.fragment(_polled, run_every=POLL_SECONDS)(key, len(work.items), note)
    elif work.state == "failed":
        st.error(work.error, icon=":material/error:")
    elif work.state == "cancelled":
        st.info(work.error, icon=":material/cancel:")
    return work


def _polled(key: str, shown: int, note: Callable[[], str]) -> None:
    work = current(key)
    if work is None or not work.alive or len(work.items) > shown:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(work.share, text="Stopping after this step …" if work.cancelling else work.text)
        st.button(
            "Cancel", key=f"{key}-cancel", on_click=work.cancel, disabled=work.cancelling, icon=":material/close:"
        )
    if sentence_below := note():
        st.caption(sentence_below)


def _slot(key: str) -> str:
    return f"work:{key}"


def _is_connected(session_id: str) -> bool:
    """Is a browser connected to the session? Yes where there is no server (tests)."""
    return not runtime.exists() or runtime.get_instance().is_active_session(session_id)
