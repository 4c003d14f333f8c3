"""What results look like: the X-ray's tile, a model's card, the agreement, the tally."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO

import numpy as np
import streamlit as st
from PIL import Image

from cxrlab.app.inputs import HeatmapChoice
from cxrlab.app.member_weights import sum_markdown, weights_html
from cxrlab.app.verdicts import Score, Verdict
from cxrlab.app.words import domain_words, duration, plain, short
from cxrlab.labels import KNOWN_LABELS, LabelSet
from cxrlab.plots.images import colour_table, heatmap_alt_text, overlay_heatmap
from cxrlab.results import Heatmap
from cxrlab.workflows.compare import MemberResult, ModelResult
from cxrlab.workflows.compare_files import CAM_METHODS
from cxrlab.workflows.memory import Picture
from cxrlab.workflows.samples import Sample

STYLE = """<style>
[class*="st-key-tiles"] { display: grid; grid-template-columns: repeat(auto-fill, minmax(236px, 1fr)); gap: 1rem; }
[class*="st-key-tiles"] > div { width: auto !important; min-width: 0; }
.st-key-tiles-gallery { grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)) !important; }
.st-key-tiles-gallery img { aspect-ratio: 1; object-fit: contain; background: #000; }
[class*="st-key-members"] { display: grid; grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)); gap: .5rem; }
[class*="st-key-members"] > div { width: auto !important; min-width: 0; }
[class*="st-key-sum-"] table { width: 100%; font-size: .8rem; font-variant-numeric: tabular-nums; }
[class*="st-key-sum-"] :is(th, td) { padding: .2rem .3rem; overflow-wrap: anywhere; }
[class*="st-key-sum-"] :is(th, td):not(:first-child) { overflow-wrap: normal; }
.cx-scores { width: 100%; border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
.cx-scores th, .cx-scores td { border: 0; padding: 0 0 .5rem 0; font-weight: 400; text-align: left; }
.cx-scores .cx-line { display: flex; justify-content: space-between; gap: .5rem; line-height: 1.4; }
.cx-scores .cx-top { font-weight: 600; }
.cx-track { height: 6px; border-radius: 3px; background: color-mix(in srgb, currentColor 14%, transparent); }
.cx-fill { height: 6px; border-radius: 3px; min-width: 2px; }
.cx-decision { display: flex; align-items: baseline; gap: .45rem; font-size: 1.05rem; font-weight: 600; }
.cx-decision small { margin-left: auto; font-weight: 400; font-size: .95rem; font-variant-numeric: tabular-nums; }
.cx-dot { flex: none; width: .7rem; height: .7rem; border-radius: 50%; align-self: center; }
.cx-waiting { aspect-ratio: 1; border-radius: .5rem; display: grid; place-items: center; font-size: .875rem;
  background: color-mix(in srgb, currentColor 7%, transparent); }
.cx-scale { height: 10px; border-radius: 3px; max-width: 220px; }
.cx-scale-ends { display: flex; justify-content: space-between; max-width: 220px; font-size: .8rem; opacity: .8; }
</style>"""

_VERDICTS = {
    "right": ("Right", ":material/check:", "green"),
    "wrong": ("Wrong", ":material/close:", "red"),
    "other domain": ("Trained on other images", ":material/warning:", "orange"),
    "other classes": ("Does not know this class", ":material/warning:", "orange"),
}


def use_style() -> None:
    """The style sheet of tiles and bars; once a page."""
    st.html(STYLE)


def png(pixels: np.ndarray) -> bytes:
    """(H, W) or (H, W, 3) uint8 as a PNG, so that no value is changed on its way to the screen."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", compress_level=3)
    return file.getvalue()


@st.cache_data(scope="session", max_entries=60, show_spinner=False)
def _overlay(key: tuple[str, ...], opacity: float, colour_map: str, _pixels: np.ndarray, _heatmap: Heatmap) -> bytes:
    """The PNG of a picture with its heatmap; ``key`` names both by hashes, the arrays are not hashed."""
    return png(overlay_heatmap(_pixels, _heatmap, opacity=opacity, colour_map=colour_map))


def overlay_image(
    picture: Picture, answer: ModelResult | MemberResult, labels: LabelSet, choice: HeatmapChoice
) -> None:
    """A picture with the heatmap of a model, or of a member of an ensemble."""
    heatmap = answer.heatmap
    if heatmap is None:
        _image(png(picture.pixels), f"X-ray {picture.name}, no heatmap.")
        return
    key = (picture.sha256, answer.checkpoint_sha256, heatmap.method, heatmap.class_id)
    class_name = labels.names[labels.index(heatmap.class_id)]
    _image(
        _overlay(key, choice.opacity, choice.colour_map, picture.pixels, heatmap),
        heatmap_alt_text(heatmap, model=answer.title, class_name=class_name),
    )


def _image(data: bytes, alt: str) -> None:
    st.image(data, width="stretch", output_format="PNG", alt=alt)


def scores_html(scores: Sequence[float] | np.ndarray, labels: LabelSet, predicted: str) -> str:
    """Bars of all classes as a table: read as one by a screen reader, in the classes' order, the decision in bold."""
    rows = [
        f'<tr><th scope="row"><div class="cx-line{" cx-top" if label.id == predicted else ""}">'
        f"<span>{escape(short(label.name))}</span><span>{score:.3f}</span></div>"
        f'<div class="cx-track"><div class="cx-fill" style="width:{100 * score:.1f}%;background:{label.colour}">'
        "</div></div></th></tr>"
        for label, score in zip(labels, scores, strict=True)
    ]
    return f'<table class="cx-scores" aria-label="Score of every class">{"".join(rows)}</table>'


def decision_html(result: ModelResult) -> str:
    """The class decided for, with its colour and score."""
    column = result.labels.index(result.predicted)
    label = result.labels.labels[column]
    return _decision(short(label.name), label.colour, f"{float(result.scores[column]):.3f}")


def _decision(name: str, colour: str, aside: str) -> str:
    return (
        f'<div class="cx-decision"><span class="cx-dot" style="background:{colour}"></span>'
        f"<span>{escape(name)}</span><small>{aside}</small></div>"
    )


def picture_heading(picture: Picture, sample: Sample | None) -> None:
    """A sample's title, or the name of an uploaded file."""
    st.subheader(plain(sample.title if sample else picture.name), anchor=False, divider="gray")


def picture_tile(picture: Picture, sample: Sample | None, *, reveal: bool) -> None:
    """The X-ray itself, what is known of the file, and its true class where that is to be shown."""
    with st.container(border=True, gap="xsmall"):
        st.markdown("**The X-ray**")
        view = f" · {picture.view}" if picture.view != "unknown" else ""
        st.caption(f"{picture.width} × {picture.height} · {picture.bit_depth} bit {picture.format}{view}")
        if sample and sample.label:
            st.html(truth_html(sample.label, reveal=reveal))
            if reveal:
                st.badge("True class", icon=":material/label:", color="gray")
        _image(png(picture.pixels), f"X-ray {picture.name}")
        if sample:
            st.caption(plain(f"{sample.credit} · {sample.licence}"))
            if sample.part == "development":
                st.caption("From the part of the data that the checkpoints here were trained on: right is easy.")
        for note in picture.notes:
            st.caption(plain(note))


def truth_html(label_id: str, *, reveal: bool) -> str:
    """The true class, or that it is hidden, as :func:`decision_html` shows a decision."""
    if not reveal:
        return _decision("True class hidden", "transparent; border: 2px solid currentColor", "")
    label = KNOWN_LABELS.get(label_id)
    return _decision(short(label.name), label.colour, "") if label else _decision(label_id, "#7F7F7F", "")


def waiting_tile(title: str) -> None:
    """Where a result will appear. It stands still: an animation takes the processor that the result needs."""
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{plain(title)}**")
        st.html('<div class="cx-waiting">waiting …</div>')


def result_card(picture: Picture, result: ModelResult, said: Verdict, choice: HeatmapChoice) -> None:
    """One model on one picture."""
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"**{plain(result.title)}**")
        st.caption(f"{result.checkpoint_sha256[:8]} · trained on {domain_words(result.domain)}")
        st.html(decision_html(result))
        if said in _VERDICTS:
            words, icon, colour = _VERDICTS[said]
            st.badge(words, icon=icon, color=colour)  # type: ignore[arg-type]
        overlay_image(picture, result, result.labels, choice)
        st.html(scores_html(result.scores, result.labels, result.predicted))
        st.caption(_how(result))
        for note in result.notes:
            st.caption(plain(note))
        if result.members:
            with st.expander(f"{len(result.members)} members and their sum"):
                _members(picture, result, choice)


def _how(result: ModelResult) -> str:
    made = f"{duration(result.seconds)} on {result.device}"
    if result.heatmap is None:
        return made
    name = result.labels.names[result.labels.index(result.heatmap.class_id)]
    place = "" if result.heatmap.has_evidence else " (no place speaks for it)"
    return plain(f"{made} · {CAM_METHODS[result.heatmap.method].title} for {name}{place}")


def _members(picture: Picture, result: ModelResult, choice: HeatmapChoice) -> None:
    """Each member's map, and the sum that gives the ensemble's score of the class shown."""
    class_id = result.heatmap.class_id if result.heatmap else result.predicted
    column = result.labels.index(class_id)
    if any(member.heatmap for member in result.members):
        with st.container(key=f"members-{picture.sha256[:12]}-{result.checkpoint}"):
            for member in result.members:
                with st.container(gap="small"):
                    st.caption(plain(member.title))
                    overlay_image(picture, member, result.labels, choice)
    if result.voting == "flannel":
        st.html(weights_html(result.members))
    elif result.voting.startswith("mlp"):
        st.caption("A perceptron reads all members' scores; its map is the mean of theirs.")
    with st.container(key=f"sum-{picture.sha256[:12]}-{result.checkpoint}"):
        st.markdown(sum_markdown(result, column))


def colour_scale(choice: HeatmapChoice) -> None:
    """What the heatmaps' colours mean."""
    table = colour_table(choice.colour_map)
    stops = ", ".join(f"rgb({r}, {g}, {b})" for r, g, b in table[:: len(table) // 8])
    st.html(
        f'<div class="cx-scale" style="background:linear-gradient(to right, {stops})"></div>'
        '<div class="cx-scale-ends"><span>little evidence</span><span>the map\'s strongest place</span></div>'
    )


def agreement_line(sentence: str) -> None:
    """How the models agree on one X-ray; nothing for an empty sentence."""
    if sentence:
        st.markdown(f":material/groups: {plain(sentence)}")


def tally_line(found: Iterable[Score]) -> None:
    """How often each checkpoint was right in this session."""
    if text := " · ".join(str(score) for score in found):
        st.markdown(f":material/scoreboard: **Right in this session:** {plain(text)}")
