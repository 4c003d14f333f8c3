"""Every checkpoint in a table, and the card of one: data, metrics, preprocessing, licence, hash, limits."""

import streamlit as st

from cxrlab.app import frame
from cxrlab.app.card_view import card_view
from cxrlab.app.checkpoint_table import broken_list, checkpoint_table, pick_card
from cxrlab.app.words import plain
from cxrlab.workflows.checkpoint_cards import CheckpointError, open_card
from cxrlab.workflows.checkpoint_facts import broken_sentences, list_facts

frame.open_page(
    "Checkpoints", lead="What each checkpoint is, what it was trained on, how good it is, and where it fails."
)

facts = list_facts()
if not facts:
    st.info("There are no checkpoints yet. Train one, or set CXRLAB_CHECKPOINTS to a folder that holds some.")
    broken_list(broken_sentences())
    st.stop()

checkpoint_table(facts)
broken_list(broken_sentences())
name = pick_card(facts)
try:
    opened = open_card(name)
except CheckpointError as error:
    st.error(plain(str(error)), icon=":material/error:")
    st.stop()
card_view(opened)
