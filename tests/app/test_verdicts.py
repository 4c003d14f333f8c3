"""Right or wrong, and the tally."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrlab.app.verdicts import Score, count, scores, verdict
from cxrlab.labels import CXR4
from cxrlab.results import ModelResult
from cxrlab.workflows.samples import Sample

RESULT = ModelResult(
    checkpoint="net",
    title="Net",
    checkpoint_sha256="a" * 64,
    kind="model",
    domain="real",
    labels=CXR4,
    scores=np.array([0.1, 0.2, 0.3, 0.4]),
    predicted="normal",
    seconds=0.1,
    device="cpu",
)
SAMPLE = Sample("s", "S", Path("s.png"), "normal", "PA", "x", "real", "c", "CC0-1.0")


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (None, "unknown"),
        (replace(SAMPLE, label=""), "unknown"),
        (SAMPLE, "right"),
        (replace(SAMPLE, label="covid19"), "wrong"),
        (replace(SAMPLE, domain="phantom"), "other domain"),
        (replace(SAMPLE, label="tuberculosis"), "other classes"),
    ],
)
def test_verdicts(sample: Sample | None, expected: str) -> None:
    assert verdict(RESULT, sample) == expected


def test_the_same_image_and_checkpoint_count_once() -> None:
    tally: dict[tuple[str, str], tuple[str, bool]] = {}
    for sha256, said in (("x", "wrong"), ("x", "right"), ("y", "wrong"), ("z", "other domain"), ("w", "unknown")):
        count(tally, sha256, RESULT, said)  # type: ignore[arg-type]
    assert scores(tally) == (Score("Net", 1, 2),)
    assert str(scores(tally)[0]) == "Net 1 of 2"
