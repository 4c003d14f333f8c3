"""Background work: every way to end is a state, and every error a sentence."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from cxrlab.app import work
from cxrlab.app.work import Work, sentence
from cxrlab.labels import LabelSet
from cxrlab.progress import Cancel, Cancelled, Progress, check
from cxrlab.workflows.uploads import XrayError


def finished(function: work.Function, *, stream: bool = False) -> Work:
    piece = Work("The work", "session")
    piece.run(function, stream=stream)
    return piece


def test_a_result_is_kept_with_the_last_progress() -> None:
    def function(progress: Progress, cancel: Cancel) -> int:
        progress(1, 4, "a quarter")
        return 7

    piece = finished(function)
    assert (piece.state, piece.result, piece.share, piece.text) == ("finished", 7, 0.25, "a quarter")
    assert not piece.alive


def test_a_stream_shows_its_items_while_it_runs() -> None:
    go_on = threading.Event()

    def function(progress: Progress, cancel: Cancel) -> Iterator[int]:
        yield 1
        go_on.wait(10)
        yield 2

    piece = Work("The work", "session")
    thread = threading.Thread(target=piece.run, args=(function,), kwargs={"stream": True})
    thread.start()
    while not piece.items:
        time.sleep(0.001)
    assert piece.alive
    assert piece.items == [1]
    go_on.set()
    thread.join()
    assert (piece.state, piece.items) == ("finished", [1, 2])


def test_cancelling_stops_between_two_steps_and_keeps_what_came() -> None:
    piece = Work("The comparison", "session")

    def function(progress: Progress, cancel: Cancel) -> Iterator[int]:
        yield 1
        yield 2

    piece.cancel()
    assert piece.cancelling
    piece.run(function, stream=True)
    assert (piece.state, piece.items, piece.error) == ("cancelled", [1], "The comparison was cancelled.")


def test_a_function_that_notices_the_cancel_itself_is_cancelled_too() -> None:
    piece = Work("The work", "session")
    piece.cancel()
    piece.run(lambda progress, cancel: check(cancel, "The work"), stream=False)
    assert piece.state == "cancelled"


def test_a_cancellation_with_words_of_its_own_is_told_in_them() -> None:
    class Stopped(Cancelled):
        def __str__(self) -> str:
            return "Stopped with 3 of 12."

    def function(progress: Progress, cancel: Cancel) -> None:
        raise Stopped

    assert finished(function).error == "Stopped with 3 of 12."


def test_a_browser_that_is_gone_for_long_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = Work("The work", "session")
    monkeypatch.setattr(work, "_LOOK_SECONDS", -1.0)
    monkeypatch.setattr(work, "_is_connected", lambda session_id: True)
    assert not piece.should_stop()
    monkeypatch.setattr(work, "_is_connected", lambda session_id: False)
    assert not piece.should_stop()
    monkeypatch.setattr(work, "GRACE_SECONDS", -1.0)
    assert piece.should_stop()


def test_errors_of_the_library_are_told_in_their_words() -> None:
    assert sentence(XrayError("a.png", "is empty.")) == "a.png is empty."


def test_a_value_error_raised_by_our_code_is_told_in_its_words() -> None:
    with pytest.raises(ValueError) as caught:
        LabelSet.from_ids(["one"])
    assert sentence(caught.value) == "A label set must have at least 2 classes, got 1."


def test_an_unknown_error_is_told_in_general_and_logged_in_full(caplog: pytest.LogCaptureFixture) -> None:
    def function(progress: Progress, cancel: Cancel) -> None:
        raise ValueError("secret /path/of/the/server")

    with caplog.at_level(logging.ERROR, "cxrlab.app"):
        piece = finished(function)
    assert piece.state == "failed"
    assert "secret" not in str(piece.error)
    assert "Something unexpected went wrong" in str(piece.error)
    assert "secret /path" in caplog.text
    assert str(piece.error).split()[-1].strip(".") in caplog.text


def test_missing_memory_is_told_as_such() -> None:
    assert "memory" in sentence(MemoryError())
