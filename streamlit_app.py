"""Home: what this is, a gallery of X-rays one click away from the comparison, how good the checkpoints are."""

import streamlit as st

from cxrlab.app import blocks, frame, gallery

frame.open_page(
    "Home",
    heading="Compare chest X-ray classifiers",
    lead="Choose an X-ray, see what several trained networks say about it, where each of them looks, how far they "
    "agree, and how good each one is on labelled images.",
)
blocks.use_style()

frame.link("Compare", "Compare X-rays and checkpoints")

st.subheader("Sample X-rays", anchor=False)
gallery.show()

st.subheader("The checkpoints here", anchor=False)
gallery.checkpoint_table()

st.subheader("What it is for", anchor=False)
demo, study, research = st.columns(3, gap="large")
demo.markdown(
    "**For an audience.** One X-ray, several networks, in the browser. "
    "They disagree more often than one would think, and the heatmaps show why."
)
study.markdown(
    "**For students.** Seven ways of making a heatmap, ensembles and their members, every figure with its interval, "
    "and synthetic X-rays whose findings are known exactly."
)
research.markdown(
    "**For researchers.** Measure checkpoints on your own labelled images by patient, with confidence intervals, "
    "and find out whether a network reads the lungs or the scanner."
)

st.subheader("Intended use", anchor=False)
st.markdown(
    "cxrlab is for research and teaching. It is no medical device, and nothing it shows may be used to diagnose or "
    "treat anybody. In public COVID-19 data the class and the source of an image are entangled: a network may tell "
    "hospitals, scanners or age groups apart instead of diseases, and figures measured on such data say little about "
    "patients elsewhere. Do not upload images that could identify a person."
)
