"""Checkpoints x a labelled set: curves, confusion matrices, metrics with intervals; stored and reopened."""

import streamlit as st

from cxrlab.app import blocks, evaluation_blocks, evaluation_state, frame, work
from cxrlab.app.evaluation_inputs import ask
from cxrlab.app.stored_results import stored_list
from cxrlab.workflows.checkpoint_facts import list_facts

frame.open_page("Evaluate", lead="Measure checkpoints on labelled X-rays. Every number comes with its 95 % interval.")
blocks.use_style()

facts = list_facts()
if not facts:
    st.info("There are no checkpoints yet. Train one, or set CXRLAB_CHECKPOINTS to a folder that holds some.")
    st.stop()

with st.container(border=True):
    request = ask(facts)
    running = work.current(evaluation_state.KEY)
    busy = running is not None and running.alive
    st.button(
        "Evaluate",
        type="primary",
        icon=":material/play_arrow:",
        disabled=request is None or busy,
        on_click=evaluation_state.begin,
        args=(request,),
    )

work.watch(evaluation_state.KEY)
evaluation_state.take_result()
evaluation = evaluation_state.shown()
stored_list(expanded=evaluation is None)
if evaluation is None:
    st.stop()

evaluation_blocks.head(evaluation)
evaluation_blocks.downloads(evaluation)
evaluation_blocks.overall(evaluation)
st.subheader("Curves", anchor=False)
class_id = evaluation_blocks.pick_class(evaluation)
evaluation_blocks.curves(evaluation, class_id)
evaluation_blocks.confusion(evaluation)
evaluation_blocks.classes(evaluation)
evaluation_blocks.sources(evaluation, class_id)
evaluation_blocks.how(evaluation)
