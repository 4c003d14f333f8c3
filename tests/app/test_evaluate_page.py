"""The Evaluate page: choices, the way to a result, a stored result by its link, refusals, demo mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cxrlab import inference
from cxrlab.cards import ModelCard
from cxrlab.catalogue import find_checkpoint
from cxrlab.config import ModelConfig, Preprocessing
from cxrlab.runs import list_runs
from cxrlab.workflows import evaluate
from cxrlab.workflows.stored_results import stored_sets
from tests.app.conftest import settled, words
from tests.workflows.labelled_images import png, rows_of, write_set, zipped, zipped_set

Open = Callable[..., AppTest]
PAGE = "pages/2_Evaluate.py"
NETWORK, OTHER, ENSEMBLE = "tiny_shufflenet", "tiny_mobilenet", "tiny_ensemble"


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "DRAWS", 30)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_set(tmp_path / "small set", rows_of())


@pytest.fixture
def stored(open_app: Open, manifest: Path) -> str:
    """Link of a stored result: two checkpoints on the small set."""
    evaluate.evaluate_manifest(manifest, [NETWORK, ENSEMBLE])
    return stored_sets()[0].id


def button(app: AppTest, label: str) -> Any:
    return next(each for each in app.button if each.label == label)


def choice(app: AppTest, label: str) -> Any:
    kinds = (*app.multiselect, *app.selectbox, *app.segmented_control, *app.text_input, *app.checkbox)
    return next(each for each in kinds if each.label == label)


def charts(app: AppTest) -> list[str]:
    """Alternative texts of the figures."""
    return [chart.proto.alt for chart in app.get("plotly_chart")]


def test_nothing_is_computed_before_it_is_asked_for(open_app: Open) -> None:
    app = open_app(PAGE)
    assert not app.exception
    assert charts(app) == []
    assert list_runs() == []


def test_real_networks_are_not_offered_for_phantoms_and_the_page_says_so(open_app: Open) -> None:
    app = open_app(PAGE)
    assert "No checkpoint knows a class of this set" in words(app).replace("\\", "")
    assert button(app, "Evaluate").disabled


def test_a_path_leads_to_figures_tables_and_a_stored_result(open_app: Open, manifest: Path) -> None:
    app = open_app(PAGE, set="path", path=str(manifest))
    assert choice(app, "Checkpoints").value == [OTHER, NETWORK, ENSEMBLE]
    choice(app, "Checkpoints").set_value([NETWORK, ENSEMBLE]).run()
    button(app, "Evaluate").click().run()
    app = settled(app)
    assert not app.exception
    said = words(app).replace("\\", "")
    assert "small set (all images): 24 images of 12 patients" in said
    assert "decision by highest score (argmax)" in said
    assert "patient bootstrap, 30 draws" in said
    assert find_checkpoint(NETWORK).card.weights_sha256[:8] in said
    alts = charts(app)
    assert len(alts) == 3 + 2
    assert any(alt.startswith("ROC curves") for alt in alts)
    assert any("prevalence 0.250 is chance" in alt for alt in alts)
    assert sum(alt.startswith("Confusion matrix") for alt in alts) == 2
    overall = app.dataframe[0].value
    assert list(overall["Model"]) == ["Tiny Shufflenet", "Tiny Ensemble"]
    assert "Majority-class rate" in overall.columns
    assert all("[" in value for value in overall["Accuracy"])
    assert len(list_runs()) == 2
    assert stored_sets()[0].id in app.query_params["result"]
    assert [each.label for each in app.get("download_button")][:3] == [
        "Metrics (CSV)",
        "Predictions (CSV)",
        "Everything (JSON)",
    ]


def test_a_link_opens_a_stored_result_without_computing(
    open_app: Open, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "predict", None)
    app = open_app(PAGE, result=stored, focus="normal")
    assert not app.exception
    assert any(alt.startswith("ROC curves, Normal") for alt in charts(app))
    assert "Reopened from store: all" in words(app)


def test_a_link_to_nothing_says_so(open_app: Open) -> None:
    app = open_app(PAGE, result="0123456789abcdef")
    assert not app.exception
    assert "no stored results under this link" in words(app)


def test_a_stored_result_is_opened_and_deleted_from_the_list(open_app: Open, stored: str) -> None:
    app = open_app(PAGE)
    app.button(key=f"open-{stored}").click().run()
    assert "24 images of 12 patients" in words(app)
    app.button(key=f"delete-{stored}").click().run()
    assert not app.exception
    assert list_runs() == []
    assert charts(app) == []


def test_the_test_part_is_in_the_link(open_app: Open, manifest: Path) -> None:
    app = open_app(PAGE, set="path", path=str(manifest), part="test", models=NETWORK)
    assert choice(app, "Part").value == "test"
    button(app, "Evaluate").click().run()
    assert "small set (benchmark test part): 12 images of 6 patients" in words(settled(app)).replace("\\", "")


def test_a_missing_path_is_one_sentence(open_app: Open, tmp_path: Path) -> None:
    app = open_app(PAGE, set="path", path=str(tmp_path / "nothing.csv"))
    assert not app.exception
    assert "There is no manifest at" in words(app)
    assert button(app, "Evaluate").disabled


def test_a_failure_while_computing_is_one_sentence(open_app: Open, manifest: Path) -> None:
    for number in range(24):
        (manifest.parent / f"images/{number:03d}.png").write_bytes(f"broken {number}".encode())
    app = open_app(PAGE, set="path", path=str(manifest), models=NETWORK)
    button(app, "Evaluate").click().run()
    app = settled(app)
    assert not app.exception
    assert "None of the 24 images could be read" in words(app)


def test_rows_left_out_are_listed_by_reason(open_app: Open, manifest: Path) -> None:
    (manifest.parent / "images/003.png").unlink()
    (manifest.parent / "images/005.png").write_bytes(png(5)[:70])
    app = open_app(PAGE, set="path", path=str(manifest), models=NETWORK)
    button(app, "Evaluate").click().run()
    app = settled(app)
    assert "2 rows of the set were left out" in [each.label for each in app.expander]
    assert set(app.dataframe[0].value["Reason"]) == {"missing file", "unreadable image"}
    assert "005.png" in words(app).replace("\\", "")


def test_numbers_of_an_upload_stay_in_the_session_unless_asked(open_app: Open) -> None:
    app = open_app(PAGE, set="zip", models=NETWORK)
    app.file_uploader[0].upload("mine.zip", zipped_set(rows_of()), "application/zip").run()
    assert choice(app, "Store the numbers").value is False
    button(app, "Evaluate").click().run()
    app = settled(app)
    assert "mine.zip (all images): 24 images" in words(app).replace("\\", "")
    assert list_runs() == []
    assert "result" not in app.query_params
    choice(app, "Store the numbers").check().run()
    button(app, "Evaluate").click().run()
    settled(app)
    assert [facts.dataset for facts in list_runs()] == ["mine.zip"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"no zip", "is not a ZIP archive"), (zipped({"1.png": png(0)}), "must hold a labels.csv")],
)
def test_a_bad_upload_is_one_sentence(open_app: Open, data: bytes, sentence: str) -> None:
    app = open_app(PAGE, set="zip")
    app.file_uploader[0].upload("bad.zip", data, "application/zip").run()
    assert not app.exception
    assert sentence in words(app).replace("\\", "")


def test_checkpoints_of_other_classes_are_named_with_the_reason(
    open_app: Open, tiny_checkpoints: Path, manifest: Path
) -> None:
    from cxrlab.checkpoints import save_checkpoint
    from tests.conftest import random_network

    card = ModelCard(
        name="two",
        title="Two classes",
        kind="model",
        labels=("covid19", "normal"),
        model=ModelConfig("shufflenet_v2_x0_5", 2),
        preprocessing=Preprocessing(size=64),
    )
    save_checkpoint(tiny_checkpoints / "two", random_network("shufflenet_v2_x0_5", num_classes=2), card)
    app = open_app(PAGE, set="path", path=str(manifest))
    assert "Not offered, because their classes are not the ones measured here: Two classes" in words(app).replace(
        "\\", ""
    )
    choice(app, "Classes").set_value("covid19-normal").run()
    assert choice(app, "Checkpoints").value == ["two"]
    assert "Tiny Ensemble (trained for" in words(app).replace("\\", "")


def test_a_task_lets_other_classes_join(open_app: Open, manifest: Path, tiny_checkpoints: Path) -> None:
    from cxrlab.checkpoints import save_checkpoint
    from tests.conftest import random_network

    card = ModelCard(
        name="binary",
        title="Binary",
        kind="model",
        labels=("covid19", "not_covid19"),
        model=ModelConfig("shufflenet_v2_x0_5", 2),
        preprocessing=Preprocessing(size=64),
    )
    save_checkpoint(tiny_checkpoints / "binary", random_network("shufflenet_v2_x0_5", num_classes=2), card)
    app = open_app(PAGE, set="path", path=str(manifest), classes="covid_vs_rest")
    assert not app.exception
    assert choice(app, "Classes").value == "covid_vs_rest"
    assert "COVID-19 or not: COVID-19, Not COVID-19 (24 images)" in choice(app, "Classes").options
    choice(app, "Checkpoints").set_value(["binary", NETWORK]).run()
    button(app, "Evaluate").click().run()
    app = settled(app)
    assert not app.exception
    assert "Task: COVID-19 or not." in words(app)
    assert any("Not COVID-19" in alt for alt in charts(app))


def test_demo_mode_takes_no_paths_and_lists_no_results_of_others(
    open_app: Open, stored: str, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRLAB_DEMO", "1")
    app = open_app(PAGE, set="path", path=str(manifest), result=stored)
    assert not app.exception
    assert choice(app, "Labelled set").options == ["Phantoms", "ZIP"]
    assert "small set" not in words(app)
    assert "no stored results under this link" in words(app)
    assert not any("Store" in each.label for each in app.checkbox)


def test_without_checkpoints_the_page_says_what_to_do(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRLAB_CHECKPOINTS", str(tmp_path / "none"))
    app = open_app(PAGE)
    assert not app.exception
    assert "There are no checkpoints yet" in words(app)
