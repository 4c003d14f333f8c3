"""The page Compare: from a sample or an upload to cards, table and tally."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from streamlit.testing.v1 import AppTest

from cxrlab.data.images import Xray
from cxrlab.labels import LabelSet
from cxrlab.results import ModelResult
from cxrlab.workflows import compare_files
from cxrlab.workflows.samples import Sample, SampleError
from tests.app.conftest import settled, words
from tests.hostile import hostile_images, zipped
from tests.pictures import valid_files

PAGE = "pages/1_Compare.py"
ALL = ["tiny_mobilenet", "tiny_shufflenet", "tiny_ensemble"]

OpenApp = Callable[..., AppTest]


def cards(app: AppTest) -> int:
    return words(app).count("Score of every class")


def test_a_sample_is_compared_without_any_click(open_app: OpenApp) -> None:
    app = settled(open_app(PAGE))
    assert not app.exception
    assert cards(app) == 3
    table = app.dataframe[0].value
    assert list(table["Checkpoint"]) == ALL
    assert table[["COVID-19", "Viral pneumonia", "Bacterial pneumonia", "Normal"]].sum(
        axis=1
    ).tolist() == pytest.approx([1, 1, 1])
    assert set(table["Verdict"]) <= {"right", "wrong"}
    assert "Right in this session" in words(app)


def test_the_ensembles_card_adds_its_members_up(open_app: OpenApp) -> None:
    app = settled(open_app(PAGE, m=["tiny_ensemble"]))
    assert [expander.label for expander in app.expander] == ["2 members and their sum"]
    assert "**Ensemble**" in words(app)


def test_a_link_restores_sample_and_checkpoints(open_app: OpenApp) -> None:
    app = settled(open_app(PAGE, sample="second", m=["tiny_mobilenet"]))
    assert app.multiselect[0].value == ["second"]
    assert [box.label for box in app.checkbox if box.value] == ["Tiny Mobilenet"]
    assert cards(app) == 1
    assert "trained on: right is easy" in words(app)


def test_unknown_names_in_a_link_are_passed_over(open_app: OpenApp) -> None:
    app = settled(open_app(PAGE, sample="nobody", m=["nothing", "tiny_mobilenet"]))
    assert not app.exception
    assert cards(app) == 1


def test_another_domain_is_said_in_words_and_not_judged(open_app: OpenApp) -> None:
    app = settled(open_app(PAGE, sample="third"))
    assert words(app).count("Trained on other images") == 3
    assert set(app.dataframe[0].value["Verdict"]) == {"other domain"}
    assert "Right in this session" not in words(app)


def test_the_true_class_can_be_hidden(open_app: OpenApp) -> None:
    app = settled(open_app(PAGE, m=["tiny_mobilenet"]))
    app.toggle(key="truth").set_value(False).run()
    assert "True class hidden" in words(app)
    assert not set(app.dataframe[0].value["Verdict"]) - {""}
    assert "Right in this session" not in words(app)


def test_without_a_heatmap_there_are_scores_only(open_app: OpenApp) -> None:
    app = open_app(PAGE, m=["tiny_mobilenet"])
    app.toggle(key="heatmap").set_value(False).run()
    settled(app)
    assert cards(app) == 1
    assert "Grad-CAM for" not in words(app)


def test_without_a_checkpoint_the_page_says_what_to_do(open_app: OpenApp) -> None:
    app = open_app(PAGE, m=["tiny_mobilenet"])
    next(box for box in app.checkbox if box.value).uncheck().run()
    assert [info.value for info in app.info] == ["Choose a checkpoint to begin."]


def test_uploads_are_compared_and_bad_ones_get_their_sentence(open_app: OpenApp) -> None:
    app = open_app(PAGE, m=["tiny_mobilenet"])
    app.segmented_control(key="source").set_value("Upload").run()
    assert [info.value for info in app.info] == ["Choose an X-ray to begin."]
    files = {name: data for name, data in valid_files().items() if name.endswith((".png", ".dcm"))}
    good = list(files.items())[:3]
    bad = next(file for file in hostile_images() if file.error and file.name.endswith(".png"))
    app.file_uploader[0].set_value([(name, data, "") for name, data in [*good, (bad.name, bad.data)]]).run()
    settled(app)
    assert not app.exception
    assert cards(app) == 3
    assert len(app.warning) == 1
    assert bad.name.split(".")[0] in app.warning[0].value.replace("\\", "")


def test_a_zip_is_opened_and_long_lists_have_pages(open_app: OpenApp) -> None:
    app = open_app(PAGE, m=["tiny_mobilenet"])
    app.segmented_control(key="source").set_value("Upload").run()
    files = dict(list(valid_files().items())[:6])
    app.file_uploader[0].upload("many.zip", zipped(files)).run()
    settled(app)
    assert not app.exception
    assert len(app.dataframe[0].value) == 6
    assert cards(app) == 4


def test_a_heatmap_method_that_a_network_refuses_gives_a_sentence(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> object:

        return LabelSet.from_ids(["one"])

    monkeypatch.setattr("cxrlab.workflows.compare_files.compare", refuse)
    app = settled(open_app(PAGE, m=["tiny_mobilenet"]))
    assert not app.exception
    assert [error.value for error in app.error] == ["A label set must have at least 2 classes, got 1."]
    assert any(button.label == "Run again" for button in app.button)


def test_a_comparison_can_be_cancelled_and_run_again(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    real, go_on = compare_files.compare, threading.Event()

    def slow(xray: Xray, checkpoints: Sequence[str], **options: object) -> Iterator[ModelResult]:
        for result in real(xray, checkpoints, **options):  # type: ignore[arg-type]
            yield result
            go_on.wait(60)

    monkeypatch.setattr(compare_files, "compare", slow)
    app = open_app(PAGE)
    work = app.session_state["work:comparison"]
    while not work.items[1:]:
        time.sleep(0.01)
    assert cards(app.run()) == 1
    app.button(key="comparison-cancel").click().run()
    go_on.set()
    settled(app)
    assert [info.value for info in app.info] == ["The comparison was cancelled."]
    assert cards(app) < 3
    next(button for button in app.button if button.label == "Run again").click().run()
    assert cards(settled(app)) == 3


def test_a_gallery_that_can_not_be_listed_leaves_uploads(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> tuple[Sample, ...]:
        raise SampleError("The list is damaged.")

    monkeypatch.setattr("cxrlab.app.inputs.list_samples", broken)
    app = open_app(PAGE)
    assert not app.exception
    assert app.segmented_control(key="source").value == "Upload"
    assert len(app.file_uploader) == 1


def test_in_demo_mode_the_device_is_not_asked_for(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRLAB_DEMO", "1")
    app = open_app(PAGE)
    assert not app.exception
    assert [control.label for control in app.segmented_control] == ["Source"]


def test_without_checkpoints_the_page_says_so(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("CXRLAB_CHECKPOINTS", f"{tmp_path}/none")
    app = open_app(PAGE)
    assert not app.exception
    assert "There are no checkpoints yet" in words(app)
