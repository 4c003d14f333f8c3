"""Before a training is handed in: what it will cost, how it sees its images, and the command that does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from cxrlab.app import train_state, work
from cxrlab.app.train_form import Wanted
from cxrlab.app.words import duration, plain
from cxrlab.workflows.augmented_preview import AugmentedPreview, augmented_preview
from cxrlab.workflows.training_card import TrainRequest
from cxrlab.workflows.training_command import training_command

if TYPE_CHECKING:
    from cxrlab.workflows.training_cost import TrainingCost

COST, PREVIEW = "train-cost", "train-preview"
STYLE = """<style>
.st-key-train-variants { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(8.5rem, 45%), 1fr));
  gap: .5rem; }
.st-key-train-variants > div { width: auto !important; min-width: 0; }
</style>"""


def submit_button(wanted: Wanted | None, *, writable: bool) -> None:
    """Train: hands the request in. Below it, why the last one was refused.

    The request is the one of this very run: a callback's would be that of the run before, which does not yet know a
    field that was left by pressing the button.
    """
    disabled = wanted is None or not writable
    pressed = st.button(
        "Train", type="primary", icon=":material/model_training:", key="train:submit", disabled=disabled
    )
    if pressed and wanted is not None:
        place = wanted.place
        train_state.submit(wanted.request, device=place.device, gpus=place.gpus, priority=place.priority)
        st.rerun()
    train_state.refused()


def previews(wanted: Wanted, *, writable: bool) -> None:
    """Cost, augmented variants and command line, each folded away until it is asked for."""
    if writable:
        with st.expander("What it will cost", icon=":material/timer:"):
            _cost(wanted)
    with st.expander("One image as training sees it", icon=":material/auto_awesome_motion:"):
        _variants(wanted.request)
    if writable:
        with st.expander("The same from a terminal", icon=":material/terminal:"):
            place = wanted.place
            command = training_command(wanted.request, device=place.device, gpus=place.gpus, priority=place.priority)
            st.code(command, language="bash", wrap_lines=True)
            st.caption("Hands the same training in to this queue; without `--background` it trains in the terminal.")


def _cost(wanted: Wanted) -> None:
    key = (wanted.request, wanted.place.device)
    running = work.current(COST)
    busy = running is not None and running.alive
    if st.button(
        "Measure two steps",
        key="train:measure",
        icon=":material/speed:",
        disabled=busy,
        help="Trains two steps of exactly these settings on a made-up picture and throws them away.",
    ):
        _measure(wanted)
    running = work.watch(COST)
    if running is None or running.state != "finished":
        return
    if st.session_state.get(f"{COST}:of") != key:
        st.caption("The settings have changed since the last measurement; measure again.")
        return
    cost_words(running.result)


def cost_words(cost: TrainingCost) -> None:
    """Time, memory and size of a training."""
    with st.container(horizontal=True):
        for label, value in (
            ("Time", duration(cost.seconds)),
            ("Memory", f"{cost.memory_bytes / 1e9:.2g} GB" if cost.memory_bytes else "–"),
            ("Speed", f"{cost.images_per_s:.3g} images/s"),
            ("Parameters", f"{cost.parameters / 1e6:.3g} M"),
            ("Steps", f"{cost.steps:,}"),
        ):
            st.metric(label, value, width="content")
    st.caption(plain(cost.sentence))


def _measure(wanted: Wanted) -> None:
    request, device = wanted.request, wanted.place.device

    def measured(progress: work.Progress, cancel: work.Cancel) -> Any:
        from cxrlab.workflows.training_cost import estimate_training

        return estimate_training(request, device=device, progress=progress, cancel=cancel)

    st.session_state[f"{COST}:of"] = (request, device)
    work.start(COST, measured, name="The measurement")


def _variants(request: TrainRequest) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.toggle("Show nine variants", key="train:variants", persist_state="session", width="content")
        place = st.number_input(
            "Image of the set", 1, 100_000, 1, key="train:image", persist_state="session", width=160, disabled=not shown
        )
    if not shown:
        work.forget(PREVIEW)
        st.session_state.pop(f"{PREVIEW}:of", None)
        return
    config = request.config
    key = (request.source, request.preprocessing, request.augmentation, config.seed, config.augmented, place)
    if st.session_state.get(f"{PREVIEW}:of") != key:
        st.session_state[f"{PREVIEW}:of"] = key
        _begin(request, int(place) - 1)
    running = work.watch(PREVIEW)
    if running and running.state == "finished":
        _tiles(running.result)


def _begin(request: TrainRequest, image: int) -> None:
    work.start(
        PREVIEW,
        lambda progress, cancel: augmented_preview(request, image=image, progress=progress, cancel=cancel),
        name="The preview",
    )


def _tiles(preview: AugmentedPreview) -> None:
    st.html(STYLE)
    with st.container(key="train-variants"):
        st.image(preview.plain, caption="As it is", output_format="PNG", alt=f"{preview.name} as validation sees it")
        for number, variant in enumerate(preview.variants, 1):
            alt = f"{preview.name}, random variant {number} of {len(preview.variants)}"
            st.image(variant, caption=f"Variant {number}", output_format="PNG", alt=alt)
    side = preview.plain.shape[-1]
    st.caption(
        plain(
            f"{preview.name} ({preview.label}) at {side} x {side} px, drawn as in the first epoch with seed "
            f"{preview.seed}. {preview.note}"
        )
    )
