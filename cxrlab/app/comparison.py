"""The comparison of one session: started when the choice changes, collected as its results come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import streamlit as st

from cxrlab.app import demo, session, work
from cxrlab.app.inputs import HeatmapChoice
from cxrlab.app.verdicts import Verdict, count, verdict
from cxrlab.progress import Cancel, Progress
from cxrlab.workflows.compare_files import Answer, Event, ModelResult, Refused, SourceFile, compare_files
from cxrlab.workflows.memory import Picture
from cxrlab.workflows.pool import pool
from cxrlab.workflows.samples import Sample

KEY = "comparison"
_REQUEST = "comparison:request"


@dataclass
class Board:
    """What a comparison has found so far.

    Args:
        pictures: in the order of the files. results: by the picture's sha256 and the checkpoint's name.
        refused: a sentence for each file that was not read.
    """

    pictures: list[Picture] = field(default_factory=list)
    results: dict[tuple[str, str], ModelResult] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, events: Sequence[Event]) -> Board:
        """Sort events into a board."""
        board = cls()
        for event in events:
            if isinstance(event, Picture):
                board.pictures.append(event)
            elif isinstance(event, Refused):
                board.refused.append(event.sentence)
            elif isinstance(event, Answer):
                board.results[event.sha256, event.result.checkpoint] = event.result
        return board

    def of_picture(self, picture: Picture, checkpoints: Sequence[str]) -> list[ModelResult]:
        """The results there are for a picture, in the order of the checkpoints."""
        found = [self.results.get((picture.sha256, name)) for name in checkpoints]
        return [result for result in found if result is not None]


def ensure(files: Sequence[SourceFile], checkpoints: Sequence[str], choice: HeatmapChoice, device: str) -> None:
    """Start the comparison unless this very one was started already."""
    request = (tuple((file.name, file.key, file.sample_id) for file in files), tuple(checkpoints), choice.cam, device)
    if st.session_state.get(_REQUEST) == request and work.current(KEY) is not None:
        return
    st.session_state[_REQUEST] = request
    work.start_stream(KEY, _function(files, checkpoints, choice, device), name="The comparison")


def busy() -> str:
    """A sentence while others use the models too, else nothing."""
    return f"Busy: {pool.waiting} computations wait in line; yours is among them." if pool.waiting > 1 else ""


def again() -> None:
    """Forget the comparison, so that the next run of the page starts it anew."""
    work.forget(KEY)


def _function(
    files: Sequence[SourceFile], checkpoints: Sequence[str], choice: HeatmapChoice, device: str
) -> Callable[[Progress, Cancel], object]:
    # Everything of the session is read here: the worker must not touch Streamlit.
    limits, most_images, memory = demo.limits(), demo.most_images(), session.memory()
    return lambda progress, cancel: compare_files(
        files,
        checkpoints,
        cam=choice.cam,
        device=device,
        limits=limits,
        most_images=most_images,
        memory=memory,
        progress=progress,
        cancel=cancel,
    )


def judged(
    board: Board, checkpoints: Sequence[str], samples: dict[str, Sample], *, reveal: bool
) -> dict[tuple[str, str], Verdict]:
    """A verdict for every result, and the session's tally brought up to date; all unknown while nothing is revealed."""
    found: dict[tuple[str, str], Verdict] = {}
    for picture in board.pictures:
        sample = samples.get(picture.sample_id) if reveal else None
        for result in board.of_picture(picture, checkpoints):
            said = verdict(result, sample)
            found[picture.sha256, result.checkpoint] = said
            count(session.tally(), picture.sha256, result, said)
    return found


def lines(
    board: Board,
    checkpoints: Sequence[str],
    said: dict[tuple[str, str], Verdict],
    samples: dict[str, Sample],
    *,
    reveal: bool,
) -> list[tuple[Picture, ModelResult, Verdict, str]]:
    """Every result with its picture, verdict and, where it is shown, the true class, for the table."""
    found = []
    for picture in board.pictures:
        sample = samples.get(picture.sample_id) if reveal else None
        for result in board.of_picture(picture, checkpoints):
            truth = sample.label if sample else ""
            found.append((picture, result, said[picture.sha256, result.checkpoint], truth))
    return found
