"""X-rays x checkpoints side by side: scores, decision, heatmap, ensemble, agreement."""

import streamlit as st

from cxrlab.app import blocks, comparison, frame, inputs, result_table, session, verdicts, work
from cxrlab.app.words import plain
from cxrlab.labels import LabelSet
from cxrlab.workflows.checkpoint_facts import list_facts
from cxrlab.workflows.compare import agreement

PICTURES_PER_PAGE = 4

frame.open_page("Compare", lead="The same X-ray through several classifiers: what each says, and where it looks.")
blocks.use_style()

facts = list_facts()
if not facts:
    st.info("There are no checkpoints yet. Train one, or set CXRLAB_CHECKPOINTS to a folder that holds some.")
    st.stop()

samples = {sample.id: sample for sample in inputs.samples_here()}
left, right = st.columns([2, 3], gap="large")
with left:
    st.subheader("X-rays", anchor=False)
    source = st.segmented_control(
        "Source",
        ["Samples", "Upload"],
        default="Samples" if samples else "Upload",
        required=True,
        key="source",
        bind="query-params",
        persist_state="session",
        label_visibility="collapsed",
    )
    if source == "Samples":
        picked = inputs.pick_samples(list(samples.values()))
        files = [inputs.sample_file(sample) for sample in picked]
        domains = {sample.domain for sample in picked}
        domain = domains.pop() if len(domains) == 1 else "real"
    else:
        files, domain = inputs.upload_files(), "real"
    device = inputs.pick_device()
with right:
    st.subheader("Checkpoints", anchor=False)
    st.caption(f"Up to {session.MOST_CHECKPOINTS}. Macro-F1 with its 95 % interval, on images the model never saw.")
    with st.container(height=330, border=True, gap="small"):
        chosen = inputs.pick_checkpoints(facts, domain)

if not files or not chosen:
    missing = "an X-ray" if not files else "a checkpoint"
    st.info(f"Choose {missing} to begin.", icon=":material/arrow_upward:")
    st.stop()

names = [each.name for each in chosen]
classes = list(dict.fromkeys(label for each in chosen for label in each.labels))
choice = inputs.pick_heatmap(classes)
comparison.ensure(files, names, choice, device)
running = work.watch(comparison.KEY, note=comparison.busy)
if running and running.state in ("cancelled", "failed"):
    st.button("Run again", on_click=comparison.again, icon=":material/refresh:")

board = comparison.Board.of(running.items if running else [])
for sentence in board.refused:
    st.warning(plain(sentence), icon=":material/block:")

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    if choice.cam:
        blocks.colour_scale(choice)
    reveal = source == "Samples" and st.toggle(
        "Show the true class", value=True, key="truth", bind="query-params", persist_state="session"
    )
judged = comparison.judged(board, names, samples, reveal=reveal)
blocks.tally_line(verdicts.scores(session.tally()) if reveal else ())

pages = -(-len(board.pictures) // PICTURES_PER_PAGE)
page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
for picture in board.pictures[(page - 1) * PICTURES_PER_PAGE : page * PICTURES_PER_PAGE]:
    results = board.of_picture(picture, names)
    with st.container(gap="small"):
        blocks.picture_heading(picture, samples.get(picture.sample_id))
        blocks.agreement_line(agreement(results) if len(results) > 1 else "")
        with st.container(key=f"tiles-{picture.sha256[:16]}"):
            blocks.picture_tile(picture, samples.get(picture.sample_id), reveal=reveal)
            for each in chosen:
                result = board.results.get((picture.sha256, each.name))
                if result is None:
                    blocks.waiting_tile(each.title)
                else:
                    blocks.result_card(picture, result, judged[picture.sha256, each.name], choice)

if board.results:
    st.subheader("All results", anchor=False, divider="gray")
    labels = LabelSet(tuple(classes))
    rows = result_table.result_rows(comparison.lines(board, names, judged, samples, reveal=reveal), labels.ids)
    result_table.results_table(rows, labels)
