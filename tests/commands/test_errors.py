"""Errors as sentences, and how a command is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrlab.commands.errors import sentence
from cxrlab.config import Preprocessing
from cxrlab.progress import Cancelled
from tests.commands.conftest import Run


def raised(function: object) -> BaseException:
    with pytest.raises(BaseException) as caught:
        function()  # type: ignore[operator]
    return caught.value


def test_our_own_errors_are_their_text() -> None:
    assert sentence(raised(lambda: Preprocessing(size=1))) == "size must be in [32, 1024], got 1."


def test_errors_of_the_file_system_name_the_file(tmp_path: Path) -> None:
    text = sentence(raised(lambda: (tmp_path / "none").read_text()))
    assert text == (
        f"{tmp_path}/none can not be read or written (No such file or directory); "
        "check the path, its permissions and the disk."
    )


def test_a_full_memory_is_said() -> None:
    assert "memory of this computer does not suffice" in sentence(MemoryError())


@pytest.mark.parametrize("mistake", [lambda: int("x"), lambda: {}["key"], lambda: [].pop()])
def test_a_mistake_in_the_program_is_no_sentence(mistake: object) -> None:
    assert sentence(raised(mistake)) == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyboardInterrupt(), "Stopped; nothing half-written was left.\n"),
        (Cancelled("The count"), "The count was cancelled; nothing was stored.\n"),
    ],
)
def test_a_stopped_command_exits_with_130(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, words: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cxrlab.workflows.data_sets.summarise_set", stop)
    ran = run("data", "summary", "some.csv", "--json")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (130, "", words)


def test_a_mistake_in_the_program_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("cxrlab.workflows.data_sets.summarise_set", broken)
    ran = run("data", "summary", "some.csv")
    assert isinstance(ran.exception, ZeroDivisionError)
    assert ran.exit_code == 1
