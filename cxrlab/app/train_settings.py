"""The settings of a training that most users leave alone: loss, optimiser, sampling, augmentation, device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from cxrlab.config import Augmentation, TrainConfig
from cxrlab.workflows.machine import MachineLoad

SAMPLING = {
    "": "Every image once",
    "minority:parity": "Smallest class as often as the largest",
    "all:parity": "All classes as often as the largest",
}
OPTIMISERS = ("adam", "adamw", "sgd")
SCHEDULES = {
    "constant": "Constant",
    "step": "Steps",
    "plateau": "Falls on a plateau",
    "cosine": "Cosine",
    "one_cycle": "One cycle",
}
WEIGHTS = {
    "none": "None",
    "balanced": "Balanced",
    "sqrt": "Square root of balanced",
    "inverse_frequency": "N / n (FLANNEL's text)",
    "release": "1000 / n (FLANNEL's code)",
    "normalised": "1 / n, sum 1",
}
MONITORS = {
    "macro_f1": "Macro-F1",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "loss": "Cross entropy",
    "objective": "Trained loss",
}
PRECISIONS = {"fp32": "32 bit", "bf16": "bf16 (GPU)"}
LOSSES = {"cross_entropy": "Cross entropy", "focal": "Focal loss"}
CHANGES = {
    "rotation_deg": ("Rotation (degrees)", 180.0, 1.0),
    "translation": ("Shift (share of the side)", 1.0, 0.01),
    "scale": ("Zoom", 1.0, 0.01),
    "flip": ("Left-right flip", 1.0, 0.05),
    "brightness": ("Brightness", 1.0, 0.01),
    "contrast": ("Contrast", 1.0, 0.01),
    "gamma": ("Gamma", 2.0, 0.01),
    "noise": ("Noise", 1.0, 0.01),
    "blur": ("Blur", 1.0, 0.05),
    "erase": ("Erased rectangle", 1.0, 0.05),
}


@dataclass(frozen=True)
class Place:
    """Where a training shall run. ``gpus`` None: as many as the device needs."""

    device: str
    gpus: int | None
    priority: int


class Fields:
    """Widgets that keep their values over page changes, with a memory for each start (recipe or own network)."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    def key(self, name: str) -> str:
        """Of a widget: another start has another widget, so that its own values are shown."""
        return f"train:{self.scope}:{name}"

    def number(self, label: str, name: str, value: float, low: float, high: float, **more: Any) -> Any:
        """A number field."""
        return st.number_input(label, low, high, value, key=self.key(name), persist_state="session", **more)

    def one(self, label: str, name: str, value: str, words: Mapping[str, str], **more: Any) -> str:
        """One of several words, shown by their names; a value that is not among them is offered too."""
        options = [*words, *([value] if value not in words else [])]
        return st.selectbox(
            label,
            options,
            index=options.index(value),
            format_func=lambda option: words.get(option, option),
            key=self.key(name),
            persist_state="session",
            **more,
        )

    def toggle(self, label: str, name: str, value: bool, **more: Any) -> bool:
        """A switch."""
        return st.toggle(label, value=value, key=self.key(name), persist_state="session", **more)


def ask_learning(fields: Fields, usual: TrainConfig) -> dict[str, Any]:
    """Loss, class weights, sampling, optimiser, schedule and the end of training, as fields of TrainConfig."""
    left, middle, right = st.columns(3, gap="medium")
    values: dict[str, Any] = {}
    with left:
        values["loss"] = fields.one("Loss", "loss", usual.loss, LOSSES)
        if values["loss"] == "focal":
            values["focal_gamma"] = fields.number("Gamma of the focal loss", "focus", usual.focal_gamma, 0.0, 20.0)
        values["class_weights"] = fields.one("Class weights", "weights", usual.class_weights, WEIGHTS)
        rules = fields.one("Sampling of an epoch", "sampling", ",".join(usual.sampling), SAMPLING)
        values["sampling"] = tuple(rules.split(",")) if rules else ()
    with middle:
        values["optimiser"] = fields.one("Optimiser", "optimiser", usual.optimiser, {o: o for o in OPTIMISERS})
        values["learning_rate"] = fields.number(
            "Learning rate", "rate", usual.learning_rate, 1e-9, 100.0, format="%.2e", step=usual.learning_rate / 10
        )
        values["schedule"] = fields.one("Schedule", "schedule", usual.schedule, SCHEDULES)
        values["weight_decay"] = fields.number(
            "Weight decay", "decay", usual.weight_decay, 0.0, 10.0, format="%.1e", step=1e-3
        )
    with right:
        values["monitor"] = fields.one("Best epoch by", "monitor", usual.monitor, MONITORS)
        values["patience"] = fields.number(
            "Patience", "patience", usual.patience, 0, 10_000, help="Epochs without gain before it stops; 0: never."
        )
        values["precision"] = fields.one("Precision", "precision", usual.precision, PRECISIONS)
        values["seed"] = fields.number(
            "Seed", "seed", usual.seed, 0, 2**31 - 1, help="Of start values, order and augmentation."
        )
    return values


def ask_augmentation(fields: Fields, usual: Augmentation) -> dict[str, Any]:
    """Random changes of training images, as fields of Augmentation."""
    st.markdown("**Random changes of training images**")
    if not fields.toggle("Augmentation", "augment", not usual.changes_nothing):
        return {**Augmentation.none().to_json(), "crop": usual.crop, "crop_jitter": usual.crop_jitter}
    columns = st.columns(5, gap="small")
    values: dict[str, Any] = {}
    for position, (name, (label, high, step)) in enumerate(CHANGES.items()):
        with columns[position % len(columns)]:
            before = float(getattr(usual, name))
            values[name] = fields.number(label, name, before, 0.0, high, step=step, format="%.2f")
    st.caption("Half-widths of the ranges; flip, blur and rectangle are probabilities. The preview below shows them.")
    return values


def ask_place(fields: Fields, load: MachineLoad, *, cluster: bool) -> Place:
    """Device, GPUs and the place in the queue."""
    gpus = len(load.gpus)
    devices = {"auto": "A GPU where there is one", "cpu": "CPU"} | ({"cuda": "GPU"} if gpus or cluster else {})
    left, middle, right = st.columns(3, gap="medium")
    with left:
        device = fields.one("Device", "device", "auto", devices)
    with middle:
        wanted: int | None = None
        if device != "cpu" and (gpus > 1 or cluster):
            wanted = int(fields.number("GPUs", "gpus", 1, 1, max(gpus, 8 if cluster else 1)))
        elif not gpus and not cluster:
            st.caption("This computer has no NVIDIA GPU; trainings run on its CPU.")
    with right:
        priority = fields.number(
            "Priority", "priority", 0, -100, 100, help="Higher starts earlier, then the older job."
        )
    return Place(device, wanted, int(priority))


def class_words(ids: Sequence[str], counts: Mapping[str, int]) -> str:
    """``clear (60), lobar (60)``."""
    return ", ".join(f"{id_} ({counts.get(id_, 0):,})" for id_ in ids)
