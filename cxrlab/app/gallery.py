"""The gallery of Home: samples with their class hidden until asked for, and the checkpoints' figures."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxrlab.app import demo, frame, work
from cxrlab.app.checkpoint_table import broken_list
from cxrlab.app.inputs import samples_here
from cxrlab.app.words import domain_words, duration, interval, plain, size
from cxrlab.labels import KNOWN_LABELS
from cxrlab.workflows.checkpoint_facts import broken_sentences, list_facts
from cxrlab.workflows.samples import Sample, fetch_samples
from cxrlab.workflows.thumbnails import thumbnail

_FETCH = "fetch"


def show() -> None:
    """All samples, the button that reveals their classes, and the offer of real ones."""
    samples = samples_here()
    if not samples:
        st.info("There are no sample images here; upload your own on the page Compare.", icon=":material/image:")
    else:
        reveal = st.toggle("Show the true classes", key="reveal", persist_state="session")
        with st.container(key="tiles-gallery"):
            for sample in samples:
                _tile(sample, reveal=reveal)
        with st.expander("Credits and licences", icon=":material/copyright:"):
            for credit in dict.fromkeys((sample.source, sample.credit, sample.licence) for sample in samples):
                st.markdown(f"- {plain(' · '.join(credit))}")
    if not demo.is_demo():
        _offer_real(samples)


def _tile(sample: Sample, *, reveal: bool) -> None:
    with st.container(border=True, gap="small"):
        image = _image(str(sample.file), sample.file.stat().st_mtime_ns)
        st.image(image, width="stretch", output_format="PNG", alt=f"Sample X-ray: {sample.title}")
        st.markdown(f"**{plain(sample.title)}**")
        if reveal:
            label = KNOWN_LABELS.get(sample.label)
            st.badge(label.name if label else sample.label or "unknown", icon=":material/label:", color="gray")
        st.caption("Synthetic" if sample.domain == "phantom" else plain(sample.source))
        if st.button("Compare", key=f"open:{sample.id}", width="stretch", icon=":material/compare:"):
            st.switch_page(frame.page("Compare").file, query_params={"sample": sample.id})


@st.cache_data(max_entries=64, show_spinner=False)
def _image(path: str, changed: int) -> bytes:
    """``changed``, the file's time of change, is part of the key only."""
    return thumbnail(path)


def _offer_real(samples: Sequence[Sample]) -> None:
    """One button that downloads the openly licensed real X-rays."""
    running = work.current(_FETCH)
    if not any(sample.domain == "real" for sample in samples) and not (running and running.alive):
        st.button(
            "Add 12 real X-rays",
            key="fetch",
            icon=":material/download:",
            on_click=_fetch,
            help="Openly licensed images from public collections, downloaded once. Needs a network.",
        )
    work.watch(_FETCH)


def _fetch() -> None:
    work.start(_FETCH, lambda progress, cancel: fetch_samples(progress=progress, cancel=cancel), name="The download")


def checkpoint_table() -> None:
    """How good, how large and how fast every checkpoint is."""
    facts = list_facts()
    if not facts:
        st.info("There are no checkpoints yet.", icon=":material/inventory_2:")
    else:
        rows = [
            {
                "Checkpoint": each.title,
                "Trained on": each.domain_text or domain_words(each.domain),
                "Macro-F1 [95 % interval]": interval(each.macro_f1),
                "Test images": each.images or None,
                "Patients": each.patients or None,
                "Size": size(each.size_bytes),
                "Time an image": duration(each.seconds_per_image),
                "Hash": each.short_sha256,
            }
            for each in facts
        ]
        st.dataframe(rows, hide_index=True, alt="Figures of every checkpoint")
        st.caption("Macro-F1: mean of the classes' F1. Time: one image on one CPU thread, without a heatmap.")
    broken_list(broken_sentences())
