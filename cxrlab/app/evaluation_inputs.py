"""The choices of the Evaluate page: labelled set, part, classes, checkpoints, device, and whether numbers are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from cxrlab.app import demo, links
from cxrlab.app.inputs import pick_device
from cxrlab.app.words import plain
from cxrlab.app.work import sentence
from cxrlab.labels import PROJECTIONS, LabelSet
from cxrlab.workflows.checkpoint_facts import CheckpointFacts
from cxrlab.workflows.labelled_sources import PHANTOM_IMAGES, LabelledSource, Part

MOST_CHECKPOINTS = 12
SETS = {"phantom": "Phantoms", "path": "CSV or folder", "zip": "ZIP"}
PARTS = {"all": "All images", "test": "Benchmark test part"}
EXAMPLE_LABELS = "path,label,patient_id,view,source\nimages/001.png,normal,p1,PA,hospital A\n"


@dataclass(frozen=True)
class EvaluationRequest:
    """What to measure on what: everything that the Evaluate button hands to the workflow."""

    source: LabelledSource
    checkpoints: tuple[str, ...]
    part: Part
    device: str
    store: bool
    task: str = ""


@dataclass(frozen=True)
class Offer:
    """Checkpoints that can be measured together on the chosen set, and those that can not.

    Args:
        labels: classes they share, or those of the task. fitting: in the order of the list.
        images: rows of the set with one of the classes.
        others: not offered: classes of theirs -> their titles.
        task: empty, or the coarser task that their classes are added up to.
    """

    labels: LabelSet
    fitting: tuple[CheckpointFacts, ...]
    images: int
    others: dict[tuple[str, ...], tuple[str, ...]]
    task: str = ""


def pick_source() -> LabelledSource | None:
    """The labelled set; None while nothing is chosen."""
    names = {key: name for key, name in SETS.items() if key != "path" or not demo.is_demo()}
    key, chosen = links.one("set", list(names), "phantom")
    kind = st.segmented_control(
        "Labelled set",
        list(names),
        default=chosen,
        required=True,
        format_func=lambda key: names.get(key, key),
        key=key,
    )
    links.keep("set", [kind or "phantom"], ["phantom"])
    if kind == "path":
        return _path_source()
    return _zip_source() if kind == "zip" else _phantom_source()


def _phantom_source() -> LabelledSource:
    st.caption(
        f"{PHANTOM_IMAGES} synthetic radiographs with known classes, from patients that no checkpoint was trained on. "
        "Only checkpoints for phantoms know these classes; those for real X-rays are never measured here. "
        "Drawn on first use, which takes a minute or two."
    )
    return LabelledSource("phantom")


def _path_source() -> LabelledSource | None:
    text = st.text_input(
        "Path of a CSV or folder on this computer",
        key="path",
        bind="query-params",
        persist_state="session",
        placeholder="~/xrays/manifest.csv",
        help="A CSV with the columns path and label and, where known, patient_id, view, source and original_split; "
        "paths are relative to the CSV. Or a folder that holds one, or that has one sub-folder of images per class.",
    )
    st.caption("Read where it lies; nothing is copied but small squares in the image cache.")
    return LabelledSource("path", path=Path(text.strip())) if text.strip() else None


def _zip_source() -> LabelledSource | None:
    limits = demo.limits()
    file = st.file_uploader("ZIP with images and a labels.csv", type=["zip"], key="zip")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"labels.csv has the columns path and label; patient_id, view and source where known. Up to "
            f"{limits.max_entries} images and {limits.max_archive_bytes / 1e6:.0f} MB, kept in memory only."
        )
        st.download_button(
            "Example labels.csv",
            EXAMPLE_LABELS,
            "labels.csv",
            "text/csv",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )
    return LabelledSource("zip", data=file.getvalue(), name=file.name, limits=limits) if file else None


def pick_part(source: LabelledSource) -> Part:
    """All images, or the test part of the benchmark split; the phantom set and a ZIP are always used whole."""
    if source.kind != "path":
        return "all"
    key, before = links.one("part", list(PARTS), "all")
    chosen = st.segmented_control(
        "Part",
        list(PARTS),
        default=before,
        required=True,
        format_func=PARTS.__getitem__,
        key=key,
        help="The benchmark test part is fixed: rows marked test, or every fifth patient by a hash of the patient id. "
        "Figures on images that a checkpoint was trained on say nothing; use this part for those.",
    )
    links.keep("part", [chosen or "all"], ["all"])
    return "test" if chosen == "test" else "all"


def offer(source: LabelledSource, facts: Sequence[CheckpointFacts]) -> Offer | None:
    """Which checkpoints fit the set, after asking for the classes where several tasks do; None, said why, if none."""
    counts = _label_counts(source)
    if counts is None:
        return None
    choices = _choices(facts, counts)
    if not choices:
        known = dict.fromkeys(each.labels.ids for each in facts)
        st.warning(
            f"No checkpoint knows a class of this set. The set has {_listed(counts)}; the checkpoints know "
            f"{plain('; '.join(', '.join(ids) for ids in known) or 'nothing yet')}.",
            icon=":material/block:",
        )
        return None
    chosen = _pick_classes(choices)
    others: dict[tuple[str, ...], tuple[str, ...]] = {}
    for each in facts:
        if each not in chosen.fitting:
            others[each.labels.ids] = (*others.get(each.labels.ids, ()), each.title)
    return replace(chosen, others=others)


def _choices(facts: Sequence[CheckpointFacts], counts: dict[str, int]) -> dict[str, Offer]:
    """What can be measured, by key in links: the checkpoints' own classes, most images first, then coarser tasks."""
    own = {"-".join(each.labels.ids): each.labels for each in facts}
    choices = {
        key: Offer(labels, tuple(each for each in facts if each.labels.ids == labels.ids), _images(labels, counts), {})
        for key, labels in own.items()
    }
    choices = dict(sorted(choices.items(), key=lambda item: -item[1].images))
    for task in PROJECTIONS.values():
        fitting = tuple(each for each in facts if task.accepts(each.labels))
        choices[task.name] = Offer(task.target, fitting, _images(task.sources, counts), {}, task.name)
    return {key: choice for key, choice in choices.items() if choice.images and choice.fitting}


def _images(labels: LabelSet, counts: dict[str, int]) -> int:
    return sum(counts.get(id_, 0) for id_ in labels.ids)


def _pick_classes(choices: dict[str, Offer]) -> Offer:
    first = next(iter(choices))
    if len(choices) == 1:
        return choices[first]
    widget, before = links.one("classes", list(choices), first)
    key = st.selectbox(
        "Classes",
        list(choices),
        index=list(choices).index(before),
        format_func=lambda key: _choice_words(choices[key]) if key in choices else key,
        key=widget,
        help="The checkpoints' own classes, or a coarser task: scores of finer classes are added up and the truth is "
        "mapped, so that checkpoints trained for different classes are measured together on the same images.",
    )
    links.keep("classes", [key], [first])
    return choices.get(key, choices[first])


def _choice_words(choice: Offer) -> str:
    classes = f"{', '.join(choice.labels.names)} ({choice.images:,} images)"
    return f"{PROJECTIONS[choice.task].title}: {classes}" if choice.task else classes


def _label_counts(source: LabelledSource) -> dict[str, int] | None:
    try:
        return source.label_counts()
    except (ValueError, OSError) as error:
        st.error(plain(sentence(error)), icon=":material/error:")
        return None


def _listed(counts: dict[str, int]) -> str:
    return plain(", ".join(f"{label} ({count:,})" for label, count in counts.items()) or "no labelled row")


def pick_checkpoints(offered: Offer) -> tuple[str, ...]:
    """Some of the fitting checkpoints, and in words why the others are not offered."""
    by_name = {each.name: each for each in offered.fitting}
    default = list(by_name)[:MOST_CHECKPOINTS]
    key, before = links.several("models", list(by_name), default)
    chosen = st.multiselect(
        "Checkpoints",
        list(by_name),
        default=before[:MOST_CHECKPOINTS],
        format_func=lambda name: checkpoint_words(by_name[name]) if name in by_name else name,
        key=key,
        max_selections=MOST_CHECKPOINTS,
        placeholder="Choose checkpoints to measure",
    )
    links.keep("models", chosen, default)
    if offered.others:
        reasons = "; ".join(
            f"{', '.join(titles)} (trained for {', '.join(LabelSet.from_ids(ids).names)})"
            for ids, titles in offered.others.items()
        )
        st.caption(plain(f"Not offered, because their classes are not the ones measured here: {reasons}."))
    return tuple(chosen)


def checkpoint_words(facts: CheckpointFacts) -> str:
    """A checkpoint in a picker: its title, and that it is an ensemble."""
    return f"{facts.title} (ensemble)" if facts.kind == "ensemble" else facts.title


def pick_storage(source: LabelledSource) -> bool:
    """Are the numbers kept on disk? Of uploads only if asked, in demo mode only those of the phantom set."""
    if source.kind != "zip":
        return source.kind == "phantom" or not demo.is_demo()
    if demo.is_demo():
        st.caption("The numbers stay in this browser session and end with it.")
        return False
    return st.checkbox(
        "Store the numbers",
        key="store",
        help="Scores, labels, patient ids and file names as written in labels.csv are kept under CXRLAB_HOME, so that "
        "the result can be reopened. The images are never stored. Without this, all ends with the session.",
    )


def ask(facts: Sequence[CheckpointFacts]) -> EvaluationRequest | None:
    """All choices in one block; None while something is missing, which is said."""
    left, right = st.columns(2, gap="large")
    with left:
        source = pick_source()
    if source is None:
        with right:
            st.info("Choose a labelled set first.", icon=":material/arrow_back:")
        return None
    with left:
        part = pick_part(source)
    with right:
        offered = offer(source, facts)
        if offered is None:
            return None
        checkpoints = pick_checkpoints(offered)
        device, store = pick_device(), pick_storage(source)
    return EvaluationRequest(source, checkpoints, part, device, store, offered.task) if checkpoints else None
