"""The form of the Train page: data, classes, network or recipe, and the settings; it makes one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from cxrlab.app import train_settings
from cxrlab.app.train_settings import Fields, Place, class_words
from cxrlab.app.words import plain
from cxrlab.app.work import sentence
from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.labels import PROJECTIONS, LabelSet
from cxrlab.workflows.jobs import free_name, open_jobs
from cxrlab.workflows.labelled_sources import PHANTOM_IMAGES, LabelledSource
from cxrlab.workflows.machine import machine_load
from cxrlab.workflows.networks import list_networks
from cxrlab.workflows.recipes import PROFILES, all_recipes, model_request, one_recipe, recipe_request
from cxrlab.workflows.training_card import TrainRequest

SETS = {"phantom": "Phantoms", "path": "CSV or folder"}
STARTS = {"own": "A network", "recipe": "A paper's recipe"}
PROFILE_WORDS = {"paper": "As the text says", "release": "As the authors' code does"}
NETWORK = "shufflenet_v2_x1_0"
USUAL = replace(TrainConfig(), epochs=10, batch_size=16, learning_rate=2.5e-3)
USUAL_SIZE = 128  # px; with the network and the epochs above a minute or two on the CPU of a laptop
OWN_CLASSES, SOME_CLASSES = "", "some"


@dataclass(frozen=True)
class Wanted:
    """What the form says: a request that can be handed in, and where it shall run."""

    request: TrainRequest
    place: Place


@dataclass(frozen=True)
class Start:
    """What a training starts from: a recipe, or a network with cxrlab's own settings."""

    model: str
    recipe: str
    profile: str
    config: TrainConfig
    preprocessing: Preprocessing
    augmentation: Augmentation
    validation: float
    pretrained: bool

    @property
    def scope(self) -> str:
        """Which widgets ask for its settings."""
        return f"{self.recipe}:{self.profile}" if self.recipe else "own"


def ask(*, paths: bool) -> Wanted | None:
    """The whole form; None while something is missing or wrong, which is said.

    Args:
        paths: may manifests on this computer be named? Not by those who may only look.
    """
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Data**")
        source = _ask_source(paths)
        counts = _counts(source) if source else None
    with right:
        st.markdown("**Network**")
        start = _ask_start()
        changes = _ask_size(start)
    if source is None or counts is None:
        return None
    with left:
        given = _ask_classes(counts, start) | _ask_split(start, source)
    with st.expander("More settings", icon=":material/tune:"):
        fields = Fields(start.scope)
        changes["config"] |= train_settings.ask_learning(fields, start.config)
        changes["augmentation"] = train_settings.ask_augmentation(fields, start.augmentation)
        st.markdown("**Where and when**")
        cluster = getattr(open_jobs(), "backend", "local") == "ray"
        place = train_settings.ask_place(Fields("place"), machine_load(), cluster=cluster)
    given |= _ask_name(start, source)
    return _wanted(start, source, counts, changes, given, place)


def _ask_source(paths: bool) -> LabelledSource | None:
    names = SETS if paths else {"phantom": SETS["phantom"]}
    kind = st.segmented_control(
        "Data set", list(names), default="phantom", required=True, format_func=lambda key: SETS[key],
        key="train:set", persist_state="session",
    )  # fmt: skip
    if kind != "path" or not paths:
        st.caption(f"{PHANTOM_IMAGES} synthetic radiographs, drawn on first use, which takes a minute or two.")
        return LabelledSource("phantom")
    text = st.text_input(
        "Path of a CSV or folder on this computer", key="train:path", persist_state="session",
        placeholder="~/xrays/manifest.csv",
        help="A CSV with the columns path and label and, where known, patient_id, view, source and original_split; "
        "or a folder that holds one, or that has one sub-folder of images per class.",
    )  # fmt: skip
    if not text.strip():
        st.info("Name a data set to go on.", icon=":material/arrow_upward:")
        return None
    return LabelledSource("path", path=Path(text.strip()).expanduser())


def _counts(source: LabelledSource) -> dict[str, int] | None:
    try:
        counts = source.label_counts()
    except (ValueError, OSError) as error:
        st.error(plain(sentence(error)), icon=":material/error:")
        return None
    if len(counts) < 2:
        found = class_words(list(counts), counts) or "none"
        st.error(
            plain(f"A training needs images of at least 2 classes; this set has {found}."), icon=":material/error:"
        )
        return None
    return counts


def _ask_classes(counts: Mapping[str, int], start: Start) -> dict[str, Any]:
    """``labels`` or ``task`` of the request; empty: the recipe's where they fit, else the set's own."""
    present = LabelSet.from_ids(sorted(counts))
    tasks = {task.name: task.title for task in PROJECTIONS.values() if task.accepts(present)}
    first = "As the recipe says" if start.recipe else f"All {len(counts)} of the set"
    words = {OWN_CLASSES: first, **tasks} | ({SOME_CLASSES: "Some of them"} if len(counts) > 2 else {})
    scope = Fields(f"classes:{'recipe' if start.recipe else 'own'}:{','.join(counts)}")
    chosen = scope.one("Classes", "task", OWN_CLASSES, words)
    if chosen in tasks:
        return {"task": chosen}
    if chosen == SOME_CLASSES:
        picked = st.multiselect(
            "Classes to train", list(counts), default=list(counts), key=scope.key("labels"), persist_state="session",
            format_func=lambda id_: f"{id_} ({counts.get(id_, 0):,})",
        )  # fmt: skip
        return {"labels": tuple(picked)}
    st.caption(plain(class_words(list(counts), counts)))
    return {}


def _ask_split(start: Start, source: LabelledSource) -> dict[str, Any]:
    fields = Fields(f"split:{start.scope}")
    columns = st.columns(2, gap="small")
    with columns[0]:
        share = fields.number("Validation share", "share", start.validation, 0.05, 0.5, step=0.05)
    with columns[1]:
        seed = fields.number("Split seed", "seed", 0, 0, 2**31 - 1)
    st.caption("Patients are held out whole; on them the best epoch is picked.")
    given: dict[str, Any] = {"validation": float(share), "split_seed": int(seed)}
    if source.kind == "path":
        given["benchmark"] = Fields("split").toggle(
            "Keep the benchmark test part for a final test", "benchmark", False,
            help="Trains on the development part only and measures the checkpoint on the test part at the end.",
        )  # fmt: skip
    return given


def _ask_start() -> Start:
    kind = st.segmented_control(
        "Start from", list(STARTS), default="own", required=True, format_func=lambda key: STARTS[key],
        key="train:start", persist_state="session",
    )  # fmt: skip
    if kind == "recipe":
        return _ask_recipe()
    specs = {spec.name: spec for spec in list_networks()}
    name = st.selectbox(
        "Network", list(specs), index=list(specs).index(NETWORK), key="train:network", persist_state="session",
        format_func=lambda name: f"{specs[name].title} · {specs[name].parameters / 1e6:.1f} M parameters",
    )  # fmt: skip
    pretrained = st.toggle(
        "Begin with ImageNet weights", key="train:pretrained", persist_state="session",
        help="Downloads them on first use; without, the weights begin at random.",
    )  # fmt: skip
    return Start(name, "", "", USUAL, Preprocessing(size=USUAL_SIZE), Augmentation(), 0.15, pretrained)


def _ask_recipe() -> Start:
    recipes = {recipe.name: recipe for recipe in all_recipes()}
    name = st.selectbox(
        "Recipe", list(recipes), key="train:recipe", persist_state="session",
        format_func=lambda name: f"{name} ({recipes[name].system})",
    )  # fmt: skip
    profile = st.segmented_control(
        "Profile", list(PROFILES), default="paper", required=True, format_func=lambda key: PROFILE_WORDS.get(key, key),
        key="train:profile", persist_state="session",
    )  # fmt: skip
    found = one_recipe(name, profile or "paper")
    pretrained = st.toggle(
        "Begin with ImageNet weights", value=found.pretrained, key=f"train:pretrained:{name}", persist_state="session",
        help="Downloads them on first use; without, the weights begin at random.",
    )  # fmt: skip
    st.caption(plain(found.paper))
    for note in found.notes:
        st.caption(plain(note))
    return Start(
        found.model.name, name, profile or "paper", found.config, found.preprocessing, found.augmentation,
        found.validation, pretrained,
    )  # fmt: skip


def _ask_size(start: Start) -> dict[str, dict[str, Any]]:
    fields = Fields(start.scope)
    spec = next(spec for spec in list_networks() if spec.name == start.model)
    columns = st.columns(3, gap="small")
    with columns[0]:
        size = fields.number("Input (px)", "size", start.preprocessing.size, spec.smallest_size, 1024, step=32)
    with columns[1]:
        epochs = fields.number("Epochs", "epochs", start.config.epochs, 1, 10_000)
    with columns[2]:
        batch = fields.number("Batch", "batch", start.config.batch_size, 1, 4096)
    return {
        "config": {"epochs": int(epochs), "batch_size": int(batch)},
        "preprocessing": {"size": int(size)} if not start.recipe or size != start.preprocessing.size else {},
    }


def _ask_name(start: Start, source: LabelledSource) -> dict[str, Any]:
    usual = _usual_name(start, source)
    left, right = st.columns(2, gap="large")
    with left:
        name = st.text_input(
            "Name of the checkpoint", key="train:name", persist_state="session", placeholder=usual,
            help="Lower-case letters, digits, dots, dashes and underscores.",
        )  # fmt: skip
    with right:
        title = st.text_input("Title for people", key="train:title", persist_state="session", placeholder="Optional")
    return {"checkpoint": name.strip() or usual, "title": title.strip()}


def _usual_name(start: Start, source: LabelledSource) -> str:
    place = "phantom" if source.path is None else source.path.stem or "set"
    words = f"{place}-{start.recipe or start.model}".lower().replace(" ", "-")
    return free_name("".join(letter for letter in words if letter in _NAME_LETTERS).lstrip("._-") or start.model)


_NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789._-"


def _wanted(
    start: Start,
    source: LabelledSource,
    counts: Mapping[str, int],
    changes: dict[str, dict[str, Any]],
    given: dict[str, Any],
    place: Place,
) -> Wanted | None:
    if source.path is None:
        given.setdefault("labels", ())  # the phantom set need not exist yet, so nobody looks which classes it has
    path = source.path or Path("phantom")
    try:
        if start.recipe:
            request = recipe_request(
                start.recipe, start.profile, source=path, changes=changes, pretrained=start.pretrained, **given
            )
        else:
            request = model_request(start.model, source=path, changes=changes, pretrained=start.pretrained, **given)
    except ValueError as error:
        st.error(plain(sentence(error)), icon=":material/error:")
        return None
    if problem := problem_of(request, list(counts)):
        st.warning(plain(problem), icon=":material/warning:")
        return None
    return Wanted(request, place)


def problem_of(request: TrainRequest, present: Sequence[str]) -> str:
    """Why the request can not be trained on a set with these classes, in a sentence; empty: nothing is seen."""
    classes = PROJECTIONS[request.task].target.ids if request.task else request.labels or tuple(present)
    if len(classes) < 2:
        return "A training needs at least 2 classes; choose another one."
    if request.activation == "binary_sigmoid" and len(classes) != 2:
        return (
            f"This recipe has one output, for 2 classes, but {len(classes)} are chosen; choose two of them, a task "
            "with two, or another recipe."
        )
    return ""
