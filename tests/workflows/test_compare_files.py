"""Many files x many checkpoints: order, refusals, memory, cancelling."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cxrlab.cards import CheckpointError
from cxrlab.data.images import Limits
from cxrlab.progress import Cancelled
from cxrlab.workflows import compare_files as module
from cxrlab.workflows.compare_files import Answer, CamOptions, Event, Refused, SourceFile, compare_files
from cxrlab.workflows.memory import Memory, Picture
from tests.hostile import zipped
from tests.pictures import valid_files

FILES = valid_files()
PNG = SourceFile("grey.png", data=FILES["grey.png"])
JPEG = SourceFile("grey.jpg", data=FILES["grey.jpg"])
NAMES = ["tiny_mobilenet", "tiny_shufflenet", "tiny_ensemble"]

pytestmark = pytest.mark.usefixtures("tiny_checkpoints")


def found(files: list[SourceFile], names: list[str] = NAMES[:1], **options: object) -> list[Event]:
    return list(compare_files(files, names, **{"cam": None, **options}))  # type: ignore[arg-type]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The checkpoints of every real comparison."""
    calls: list[list[str]] = []
    real = module.compare

    def counted(xray: object, checkpoints: list[str], **options: object) -> Iterator[object]:
        calls.append(list(checkpoints))
        return real(xray, checkpoints, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "compare", counted)
    return calls


def test_each_picture_is_followed_by_its_answers() -> None:
    events = found([PNG, JPEG], NAMES)
    assert [type(event) for event in events] == [Picture, Answer, Answer, Answer] * 2
    answers = [event for event in events if isinstance(event, Answer)]
    assert [answer.result.checkpoint for answer in answers] == NAMES * 2
    assert len({answer.sha256 for answer in answers}) == 2


def test_a_path_gives_the_same_as_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "grey.png").write_bytes(FILES["grey.png"])
    by_path = found([SourceFile("grey.png", path=tmp_path / "grey.png", sample_id="s")])
    by_bytes = found([PNG])
    assert by_path[0].sample_id == "s"  # type: ignore[union-attr]
    assert by_path[1].result.scores.tolist() == by_bytes[1].result.scores.tolist()  # type: ignore[union-attr]


def test_a_bad_file_is_a_sentence_and_the_rest_goes_on() -> None:
    events = found([SourceFile("bad.png", data=b"nothing"), PNG])
    assert isinstance(events[0], Refused)
    assert events[0].sentence.startswith("bad.png ")
    assert [type(event) for event in events[1:]] == [Picture, Answer]


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    events = found([SourceFile("gone.png", path=tmp_path / "gone.png")])
    assert [type(event) for event in events] == [Refused]


def test_a_zip_is_opened_and_its_bad_entries_are_told() -> None:
    data = zipped({"a.png": FILES["grey.png"], "b.png": b"nothing", "c.jpg": FILES["grey.jpg"]})
    events = found([SourceFile("all.zip", data=data)])
    assert [event.name for event in events if isinstance(event, Picture)] == ["a.png", "c.jpg"]
    assert [event.sentence[:14] for event in events if isinstance(event, Refused)] == ["all.zip: b.png"]


def test_a_zip_that_is_none_is_a_sentence() -> None:
    assert isinstance(found([SourceFile("all.zip", data=b"nothing")])[0], Refused)


def test_the_same_file_is_compared_once() -> None:
    events = found([PNG, SourceFile("again.png", data=FILES["grey.png"])])
    assert isinstance(events[-1], Refused)
    assert events[-1].sentence == "again.png is the same file as grey.png; it is shown once."


def test_too_many_images_are_left_out_with_a_sentence() -> None:
    events = found([PNG, JPEG], most_images=1)
    assert sum(isinstance(event, Picture) for event in events) == 1
    assert isinstance(events[-1], Refused)
    assert "Only the first 1 X-rays" in events[-1].sentence


def test_limits_hold() -> None:
    events = found([PNG], limits=Limits(max_pixels=100))
    assert isinstance(events[0], Refused)


def test_what_is_remembered_is_not_computed_again(asked: list[list[str]]) -> None:
    memory = Memory()
    found([PNG], NAMES[:1], memory=memory)
    again = found([PNG], NAMES[:2], memory=memory)
    assert asked == [["tiny_mobilenet"], ["tiny_shufflenet"]]
    assert [type(event) for event in again] == [Picture, Answer, Answer]


def test_another_heatmap_is_another_result(asked: list[list[str]]) -> None:
    memory = Memory()
    for cam in (None, CamOptions(), CamOptions(class_id="normal"), CamOptions("hires_cam"), CamOptions()):
        found([PNG], memory=memory, cam=cam)
    assert len(asked) == 4


def test_another_card_is_another_result(tiny_checkpoints: Path, asked: list[list[str]]) -> None:
    memory = Memory()
    found([PNG], memory=memory)
    card = tiny_checkpoints / "tiny_mobilenet" / "card.json"
    card.write_text(card.read_text().replace('"temperature": 1.0', '"temperature": 2.0'))
    found([PNG], memory=memory)
    assert len(asked) == 2


def test_a_class_that_a_model_does_not_know_leaves_its_own_decision() -> None:
    (_, answer) = found([PNG], cam=CamOptions(class_id="lobar"))
    assert isinstance(answer, Answer)
    assert answer.result.heatmap is not None
    assert answer.result.heatmap.class_id == answer.result.predicted


def test_a_changed_upload_under_the_same_name_is_not_confused() -> None:
    memory = Memory()
    first = found([PNG], memory=memory)[1]
    other = found([SourceFile("grey.png", data=FILES["palette.png"])], memory=memory)[1]
    assert isinstance(first, Answer)
    assert isinstance(other, Answer)
    assert first.sha256 != other.sha256


def test_progress_counts_results() -> None:
    seen: list[tuple[int, int]] = []
    data = zipped({"a.png": FILES["grey.png"], "c.jpg": FILES["grey.jpg"]})
    found([SourceFile("all.zip", data=data)], NAMES[:2], progress=lambda done, total, text: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_cancelling_stops_between_two_answers() -> None:
    events: list[Event] = []
    stream = compare_files([PNG], NAMES, cam=None, cancel=lambda: len(events) >= 2)
    with pytest.raises(Cancelled):
        events.extend(stream)
    assert [type(event) for event in events] == [Picture, Answer]


def test_an_unknown_checkpoint_is_refused() -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint named 'nothing'"):
        found([PNG], ["nothing"])
