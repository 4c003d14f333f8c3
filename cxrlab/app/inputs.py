"""The choices a user makes: checkpoints, samples, uploads, heatmap, device. Each returns plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from cxrlab.app import demo, session
from cxrlab.app.words import domain_words, facts_line, plain
from cxrlab.labels import Label
from cxrlab.plots.images import COLOUR_MAPS
from cxrlab.workflows.checkpoint_facts import CheckpointFacts
from cxrlab.workflows.compare_files import CamOptions, SourceFile
from cxrlab.workflows.samples import Sample, SampleError, list_samples
from cxrlab.workflows.uploads import FORMATS

DECIDED = "Each model's decision"
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class HeatmapChoice:
    """How heatmaps are made and shown. ``cam`` None: none are made."""

    cam: CamOptions | None
    opacity: float
    colour_map: str


def preselected(facts: Sequence[CheckpointFacts], domain: str) -> list[str]:
    """Names of the checkpoints that fit images of a domain, at most six; of any domain where none fits."""
    fitting = [each.name for each in facts if each.domain == domain] or [each.name for each in facts]
    return fitting[: session.MOST_CHECKPOINTS]


def pick_checkpoints(facts: Sequence[CheckpointFacts], domain: str) -> list[CheckpointFacts]:
    """Up to six checkpoints as a list of boxes with each one's figures; the choice is in the URL as ``m``.

    Args:
        facts: what there is. domain: of the images; its checkpoints are chosen until the user chooses.
    """
    names = [each.name for each in facts]
    chosen = session.chosen_list("m", names)
    linked = session.came_by_link("m")
    if linked:
        st.session_state["m:by_hand"] = True
    automatic = not st.session_state.get("m:by_hand") and domain != st.session_state.get("m:domain")
    if chosen is None or automatic:
        chosen = preselected(facts, domain)
        session.choose_list("m", chosen)
        st.session_state["m:domain"] = domain
    key = session.fresh_key("pick", names[0], anew=linked or automatic)
    picked = [name for name in names if st.session_state.get(key + name, name in chosen)]
    for group in sorted(dict.fromkeys(each.domain for each in facts), key=lambda group: group != domain):
        st.markdown(f"**Trained on {domain_words(group)}**")
        _boxes([each for each in facts if each.domain == group], key, picked)
    session.choose_list("m", picked)
    return [each for each in facts if each.name in picked]


def _boxes(facts: Sequence[CheckpointFacts], key: str, picked: Sequence[str]) -> None:
    full = len(picked) >= session.MOST_CHECKPOINTS
    for each in facts:
        with st.container(gap=None):
            st.checkbox(
                plain(each.title),
                value=each.name in picked,
                key=key + each.name,
                disabled=full and each.name not in picked,
                on_change=_chose_by_hand,
            )
            st.caption(plain(facts_line(each)))


def _chose_by_hand() -> None:
    st.session_state["m:by_hand"] = True


def samples_here() -> tuple[Sample, ...]:
    """The gallery; empty, with the reason as a warning, where it can not be listed."""
    try:
        return list_samples()
    except SampleError as error:
        st.warning(plain(str(error)), icon=":material/broken_image:")
        return ()


def pick_samples(samples: Sequence[Sample]) -> list[Sample]:
    """Some of the gallery; the choice is in the URL as ``sample``."""
    by_id = {sample.id: sample for sample in samples}
    chosen = session.chosen_list("sample", by_id)
    if chosen is None:
        chosen = list(by_id)[:1]
    moved = st.session_state.pop("sample:moved", False)
    picked = st.multiselect(
        "Samples",
        list(by_id),
        default=chosen,
        key=session.fresh_key("samples", anew=session.came_by_link("sample") or moved),
        format_func=lambda id_: by_id[id_].title if id_ in by_id else id_,
        placeholder="Choose X-rays of the gallery",
        max_selections=demo.most_images(),
    )
    session.choose_list("sample", picked)
    st.button("Next sample", on_click=_next_sample, args=(list(by_id), picked), icon=":material/skip_next:")
    return [by_id[id_] for id_ in picked]


def _next_sample(ids: Sequence[str], picked: Sequence[str]) -> None:
    place = ids.index(picked[-1]) + 1 if picked else 0
    session.choose_list("sample", [ids[place % len(ids)]])
    st.session_state["sample:moved"] = True


def sample_file(sample: Sample) -> SourceFile:
    """A gallery sample as a file to compare."""
    return SourceFile(name=sample.file.name, path=sample.file, sample_id=sample.id)


def upload_files() -> list[SourceFile]:
    """Uploaded files, in this session's memory only. Any name is taken: what a file is, its content says."""
    limits = demo.limits()
    files = st.file_uploader(
        "X-rays",
        accept_multiple_files=True,
        key="uploads",
        max_upload_size=limits.max_archive_bytes // 1_000_000,
        help="Kept in the memory of this browser session only and gone with it. Nothing is written to disk.",
    )
    st.caption(
        f"{', '.join(FORMATS)}, or a ZIP of them; {limits.max_bytes / 1e6:.0f} MB a file, "
        f"up to {demo.most_images()} X-rays at once."
    )
    return [SourceFile(name=file.name, data=file.getvalue(), key=file.file_id) for file in files]


def pick_heatmap(labels: Sequence[Label]) -> HeatmapChoice:
    """Heatmaps on or off, method, class, opacity, colours; all in the URL."""
    classes = {DECIDED: None} | {label.name: label.id for label in labels}
    methods = {method.title: method for method in demo.cam_methods()}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        shown = st.toggle("Heatmap", value=True, key="heatmap", bind="query-params", persist_state="session")
        title = st.selectbox(
            "Method",
            list(methods),
            key="method",
            bind="query-params",
            persist_state="session",
            disabled=not shown,
            width=170,
        )
        class_name = st.selectbox(
            "Class shown",
            list(classes),
            key="class",
            bind="query-params",
            persist_state="session",
            disabled=not shown or not methods[title].class_specific,
            width=205,
            help="The class whose evidence is shown. Models without that class show their own decision.",
        )
        opacity = st.slider(
            "Opacity",
            0.0,
            1.0,
            0.6,
            0.1,
            key="opacity",
            bind="query-params",
            persist_state="session",
            disabled=not shown,
            width=130,
        )
        colour_map = st.selectbox(
            "Colours",
            COLOUR_MAPS,
            key="colours",
            bind="query-params",
            persist_state="session",
            disabled=not shown,
            width=115,
            help="All four rise evenly in lightness, so that colour-blind eyes read them as well.",
        )
    cam = CamOptions(method=methods[title].name, class_id=classes[class_name]) if shown else None
    return HeatmapChoice(cam, opacity, colour_map)


def pick_device() -> str:
    """``auto``, ``cpu`` or ``cuda``; always ``auto`` in demo mode."""
    if demo.is_demo():
        return "auto"
    chosen = st.segmented_control(
        "Device",
        DEVICES,
        default="auto",
        required=True,
        key="device",
        bind="query-params",
        persist_state="session",
        help="auto takes a CUDA GPU where there is one. The results name the device that was used.",
    )
    return chosen or "auto"
