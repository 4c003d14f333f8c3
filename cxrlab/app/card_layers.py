"""The layers of a checkpoint's network, worked out when somebody asks for them."""

from __future__ import annotations

import streamlit as st

from cxrlab.app.evaluation_blocks import table
from cxrlab.app.words import plain
from cxrlab.workflows.checkpoint_cards import ModelCard
from cxrlab.workflows.network_summary import NetworkSummary, summarise_card

BLOCKS = 2  # words of a layer's name that the short table keeps: features.0, layer1.0


def card_layers(card: ModelCard) -> None:
    """Layer, output shape, parameters, frozen or trainable, and totals; nothing for an ensemble."""
    if card.kind != "model":
        return
    with st.expander("Layers", icon=":material/layers:"):
        left, right = st.columns(2)
        shown = left.toggle("Show the layers", key=f"layers:{card.name}")
        every = right.toggle("Every single one", key=f"layers-all:{card.name}", disabled=not shown)
        if not shown:
            st.caption("Output shape and parameters of each part of the network, frozen or trained.")
            return
        try:
            summary = _summary(card.to_text(), card, None if every else BLOCKS)
        except ValueError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        _show(summary)


@st.cache_data(max_entries=32, show_spinner="Working out the layers …")
def _summary(text: str, _card: ModelCard, depth: int | None) -> NetworkSummary:
    return summarise_card(_card, depth=depth)


def _show(summary: NetworkSummary) -> None:
    rows = [
        {
            "Layer": layer.name,
            "Kind": layer.kind,
            "Output": " x ".join(map(str, layer.output_shape)) or "–",
            "Parameters": f"{layer.parameters:,}" if layer.parameters else "",
            "In training": layer.state,
        }
        for layer in summary.layers
    ]
    table(rows, alt=f"Layers of {summary.name}", pinned=["Layer"])
    totals = summary.totals
    said = [
        f"{totals.parameters:,} parameters: {totals.trainable:,} trained, {totals.frozen:,} frozen",
        f"first layer that trained: {summary.first_trainable}" if totals.frozen else "",
        f"{totals.statistics:,} batch-norm statistics",
        f"output shapes for {summary.input_size} x {summary.input_size} px",
    ]
    st.caption(plain(" · ".join(part for part in said if part)))
