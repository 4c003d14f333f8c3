"""Layers on a card: only when asked for, and never a stack of errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streamlit.testing.v1 import AppTest

from cxrlab.catalogue import find_checkpoint
from cxrlab.config import ModelConfig
from tests.app.conftest import words

Open = Callable[..., AppTest]
PAGE = "pages/4_Checkpoints.py"
NAME = "tiny_mobilenet"


def edit_card(**changes: object) -> None:
    info = find_checkpoint(NAME)
    (info.folder / "card.json").write_text(replace(info.card, **changes).to_text())


def test_layers_are_worked_out_on_demand(open_app: Open) -> None:
    edit_card(training={"config": {"unfreeze": 1 / 3}})
    app = open_app(PAGE, checkpoint=NAME)
    assert not any("Layer" in table.value.columns for table in app.dataframe)
    app.toggle[0].set_value(True).run()
    assert not app.exception
    layers = next(table.value for table in app.dataframe if "Layer" in table.value.columns)
    assert layers["Layer"].iloc[0] == "features.0"
    assert set(layers["In training"]) == {"frozen", "partly", "trainable", ""}
    assert "2,228,996 parameters: 1,861,380 trained, 367,616 frozen" in words(app).replace("\\", "")
    app.toggle[1].set_value(True).run()
    every = next(table.value for table in app.dataframe if "Layer" in table.value.columns)
    assert every["Layer"].iloc[0] == "features.0.0"


def test_a_network_that_can_not_be_built_is_a_sentence(open_app: Open) -> None:
    edit_card(model=ModelConfig("resnet19", 4))
    app = open_app(PAGE, checkpoint=NAME)
    app.toggle[0].set_value(True).run()
    assert not app.exception
    assert any("Unknown model 'resnet19'" in error.value for error in app.error)


def test_an_ensemble_has_no_layers_of_its_own(open_app: Open) -> None:
    assert not open_app(PAGE, checkpoint="tiny_ensemble").toggle
