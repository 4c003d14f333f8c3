"""The Checkpoints page: the table, a card with everything and one with nothing, links, broken folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cxrlab.app.card_view import facts_html
from cxrlab.catalogue import find_checkpoint
from cxrlab.config import Augmentation, TrainConfig
from cxrlab.labels import CXR4
from cxrlab.metrics.report import by_group, measure
from cxrlab.predictions import Predictions
from cxrlab.workflows.checkpoint_cards import CheckpointError, open_card
from tests.app.conftest import words

Open = Callable[..., AppTest]
PAGE = "pages/4_Checkpoints.py"
NETWORK, ENSEMBLE = "tiny_shufflenet", "tiny_ensemble"


def edit_card(name: str, **changes: Any) -> None:
    info = find_checkpoint(name)
    (info.folder / "card.json").write_text(replace(info.card, **changes).to_text())


def figures() -> dict[str, Any]:
    """The metrics of a card, measured on made-up scores."""
    rng = np.random.default_rng(0)
    truth = np.arange(80) % 4
    predictions = Predictions(
        ids=tuple(map(str, range(80))),
        labels=CXR4,
        scores=rng.dirichlet(np.ones(4), 80) * 0.75 + 0.25 * np.eye(4)[truth],
        y_true=truth,
        groups={"source": ("a",) * 40 + ("b",) * 40},
    )
    return {
        "dataset": "cxr",
        "part": "test",
        "images": 80,
        "patients": 80,
        "report": measure(predictions, draws=30).to_json(),
        "sources": [group.to_json() for group in by_group(predictions, "source", draws=30)],
    }


@pytest.fixture
def full_card(tiny_checkpoints: Path) -> str:
    """Name of a checkpoint whose card says everything."""
    edit_card(
        NETWORK,
        metrics=figures(),
        training_data={
            "dataset": "cxr",
            "part": "development",
            "images": 1234,
            "patients": 999,
            "by_class": {"normal": 700, "covid19": 534},
            "by_source": {"guangzhou": {"normal": 700}, "sirm": {"covid19": 534}},
            "split": "hold-out 0.15 by patient, seed 0",
            "split_digest": "ab" * 32,
            "seed": 0,
            "validation": {"images": 210},
        },
        training={
            "config": TrainConfig().to_json(),
            "augmentation": Augmentation().to_json(),
            "history": {"epochs": 14, "best_epoch": 12, "seconds": 1620},
        },
        licence="CC0-1.0",
        references=("Ma and others 2018",),
        intended_use="Teaching.",
        limits=("Class and source are entangled.",),
        thresholds={"covid19": 0.31},
        temperature=1.3,
    )
    return NETWORK


def test_the_table_names_every_checkpoint_with_its_figures(open_app: Open, full_card: str) -> None:
    app = open_app(PAGE)
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table["Checkpoint"]) == ["Tiny Mobilenet", "Tiny Shufflenet", "Tiny Ensemble"]
    measured = table.set_index("Checkpoint").loc["Tiny Shufflenet"]
    assert measured["Macro-F1"].startswith("0.")
    assert "[" in measured["Macro-F1"]
    assert measured["Measured on"] == "cxr, test part"
    assert measured["n"] == "80"
    assert measured["Licence"] == "CC0-1.0"
    assert measured["Hash"] == find_checkpoint(NETWORK).card.weights_sha256[:8]
    assert table["Macro-F1"].iloc[0] == "–"


def test_a_full_card_shows_everything(open_app: Open, full_card: str) -> None:
    app = open_app(PAGE, checkpoint=full_card)
    assert not app.exception
    said = words(app).replace("\\", "")
    for expected in (
        "cxr, benchmark test part: 80 images of 80 patients",
        "cxr, development part: 1,234 images of 999 patients",
        "hold-out 0.15 by patient, seed 0",
        "210 images held out by patient",
        "CC0-1.0",
        "Ma and others 2018",
        "Class and source are entangled.",
        "Teaching.",
        "one_cycle",
        "14, best 12",
        "27 minutes",
        "64 x 64 px, stretch, bilinear",
        "0.485, 0.456, 0.406",
        "covid19 0.310",
        "1.3",
        "decision by highest score (argmax)",
        "patient bootstrap, 30 draws",
    ):
        assert expected in said, expected
    assert app.code[0].value == find_checkpoint(full_card).card.weights_sha256
    assert {metric.label for metric in app.metric} >= {"Macro-F1", "Accuracy", "Majority-class rate"}
    assert len(app.get("plotly_chart")) == 2
    assert all(chart.proto.alt for chart in app.get("plotly_chart"))


def test_a_bare_card_shows_what_there_is(open_app: Open) -> None:
    app = open_app(PAGE, checkpoint=NETWORK)
    assert not app.exception
    said = words(app)
    assert "has not been measured on a test set yet" in said
    assert "says nothing about the training data" in said
    assert "not stated" in said


def test_an_ensemble_shows_its_members_and_weights(open_app: Open) -> None:
    app = open_app(PAGE, checkpoint=ENSEMBLE)
    members = next(table.value for table in app.dataframe if "Member" in table.value.columns)
    assert list(members["Member"]) == ["Tiny Shufflenet", "Tiny Mobilenet"]
    assert list(members["Weight"]) == ["0.250", "0.750"]
    assert "Soft voting ensemble of 2" in words(app)


@pytest.mark.parametrize(
    "metrics",
    [
        {"report": {"labels": []}},
        {"report": {"accuracy": 1}},
        {"report": 3},
        {"report": figures()["report"], "sources": [1]},
    ],
)
def test_figures_of_another_form_are_said(open_app: Open, metrics: dict[str, Any]) -> None:
    edit_card(NETWORK, metrics=metrics)
    opened = open_card(NETWORK)
    assert opened.figures is None
    assert "evaluate the checkpoint again" in opened.figures_error


@pytest.mark.parametrize(
    "odd",
    [
        {"training_data": {"by_class": [1, 2], "by_source": 3, "validation": 7, "images": "many"}},
        {"training": {"config": None, "history": [1], "seconds": "long"}},
        {"training_data": {"by_class": {"unheard": 3}, "by_source": {"x": None}}},
    ],
)
def test_odd_facts_do_no_harm(open_app: Open, odd: dict[str, Any]) -> None:
    edit_card(NETWORK, **odd)
    assert not open_app(PAGE, checkpoint=NETWORK).exception


def test_a_link_to_an_unknown_card_opens_the_first(open_app: Open) -> None:
    app = open_app(PAGE, checkpoint="../../etc")
    assert not app.exception
    assert app.selectbox[0].value == "tiny_mobilenet"


def test_the_choice_changes_the_card_and_the_link(open_app: Open) -> None:
    app = open_app(PAGE)
    app.selectbox[0].set_value(ENSEMBLE).run()
    assert "Tiny Ensemble" in [each.value for each in app.subheader]
    assert ENSEMBLE in app.query_params["checkpoint"]


@pytest.mark.parametrize(("label", "page"), [("Compare with this", "Compare"), ("Evaluate this", "Evaluate")])
def test_buttons_lead_to_other_pages_with_this_checkpoint(open_app: Open, label: str, page: str) -> None:
    app = open_app(PAGE, checkpoint=NETWORK)
    next(each for each in app.button if each.label == label).click().run()
    assert not app.exception
    assert app.title[0].value == page
    assert NETWORK in str({**app.query_params})


def test_broken_folders_are_listed_with_their_sentence(open_app: Open, tiny_checkpoints: Path) -> None:
    (tiny_checkpoints / "half").mkdir()
    app = open_app(PAGE)
    assert "1 folder can not be used" in [each.label for each in app.expander]
    assert "Checkpoint half has no card.json" in words(app).replace("\\", "")


def test_only_broken_folders(open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only" / "half").mkdir(parents=True)
    monkeypatch.setenv("CXRLAB_CHECKPOINTS", str(tmp_path / "only"))
    app = open_app(PAGE)
    assert not app.exception
    assert "There are no checkpoints yet" in words(app)


def test_texts_of_a_card_are_shown_letter_by_letter(open_app: Open) -> None:
    assert facts_html({"<b>": "<script>alert(1)</script>", "empty": ""}).count("<dt>") == 1
    assert "<script>" not in facts_html({"a": "<script>alert(1)</script>"})
    edit_card(NETWORK, title="*bold* [link](http://x)")
    app = open_app(PAGE, checkpoint=NETWORK)
    assert any(each.value.startswith("\\*bold\\*") for each in app.subheader)


def test_an_unknown_card_is_refused(tiny_checkpoints: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint named 'nobody'"):
        open_card("nobody")
