"""Train a network in the background: form, cost, queue, live curves; jobs outlive the browser and the server."""

import streamlit as st

from cxrlab.app import access, frame, train_form, train_previews, train_queue, train_run, train_state

frame.open_page(
    "Train",
    lead="Train a network on labelled X-rays. Trainings wait in a queue, run in processes of their own, and go on when "
    "you close this page.",
)

writable = access.gate()
jobs = train_state.listed()
with st.expander("New training", icon=":material/add:", expanded=not jobs):
    wanted = train_form.ask(paths=writable)
    if wanted:
        train_previews.previews(wanted, writable=writable)
    train_previews.submit_button(wanted, writable=writable)

st.subheader("Queue", anchor=False, divider="gray")
train_queue.queue(jobs, writable=writable)
if not jobs:
    st.stop()

st.subheader("Curves", anchor=False, divider="gray")
chosen = train_run.chosen_runs(jobs)
if not chosen:
    st.info("Choose a run to see its curves.", icon=":material/arrow_upward:")
    st.stop()
train_run.runs(chosen, writable=writable)
