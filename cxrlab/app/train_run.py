"""The chosen runs: curves over one another, confusions of the last validation, log, and the checkpoint they made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from cxrlab.app import frame, links, train_state
from cxrlab.app.evaluation_blocks import picture
from cxrlab.app.train_words import job_name
from cxrlab.app.words import plain
from cxrlab.plots.metrics import confusion_alt_text, confusion_figure
from cxrlab.plots.training_curves import (
    METRICS,
    RunCurves,
    learning_rates_figure,
    metric_name,
    training_alt_text,
    training_loss_figure,
    training_metric_figure,
)
from cxrlab.workflows.jobs import Job, JobError, open_jobs, read_log
from cxrlab.workflows.training_runs import TrainingRun, training_run

POLL_SECONDS = 2.0
TAIL_BYTES = 12_000
_FIGURES = "train:figures"
STYLE = """<style>
.st-key-train-curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr));
  gap: 1rem; }
.st-key-train-curves > div { width: auto !important; min-width: 0; }
</style>"""


def chosen_runs(jobs: Sequence[Job]) -> list[Job]:
    """Up to six jobs whose curves are shown, in the URL; at first the newest."""
    by_id = {str(job.id): job for job in sorted(jobs, key=lambda job: -job.id)}
    default = list(by_id)[:1]
    key, before = links.several(train_state.CHOICE, list(by_id), default)
    picked = st.multiselect(
        "Runs",
        list(by_id),
        default=before[: train_state.MOST_SHOWN],
        format_func=lambda id_: job_name(by_id[id_]) if id_ in by_id else id_,
        key=key,
        max_selections=train_state.MOST_SHOWN,
        placeholder="Choose runs to compare",
    )
    links.keep(train_state.CHOICE, picked)
    return [by_id[id_] for id_ in picked if id_ in by_id]


def runs(jobs: Sequence[Job], *, writable: bool) -> None:
    """Curves, confusions, checkpoints and logs of some jobs, polled while one of them is alive.

    Args:
        writable: logs are for those who may train; they can name files of the server.
    """
    metric = _pick_metric()
    st.html(STYLE)
    every = POLL_SECONDS if any(job.is_alive for job in jobs) else None
    st.fragment(_polled, run_every=every)(list(jobs), metric, writable)
    if writable:
        _downloads(jobs)


def _pick_metric() -> str:
    names = [name for name in METRICS if name != "objective"]
    key, before = links.one("metric", names, "macro_f1")
    metric = st.segmented_control(
        "Metric on the validation images", names, default=before, required=True, format_func=metric_name, key=key
    )
    links.keep("metric", [metric or "macro_f1"], ["macro_f1"])
    return metric or "macro_f1"


def _polled(jobs: list[Job], metric: str, writable: bool) -> None:
    found = [(job, training_run(train_state.status_of(job).job)) for job in jobs]
    for job, run in found:
        _result(job, run)
    _show_figures(*_figures(found, metric))
    for job in jobs if writable else []:
        _log(job)


def _result(job: Job, run: TrainingRun) -> None:
    if not run.checkpoint:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge("Checkpoint", icon=":material/inventory_2:", color="green")
        st.markdown(f"**{plain(run.checkpoint)}** of {plain(job_name(job))}", width="content")
        for title, words, query in (
            ("Compare", "Compare it", {"m": run.checkpoint}),
            ("Evaluate", "Evaluate it", {"models": run.checkpoint}),
            ("Checkpoints", "Its card", {"checkpoint": run.checkpoint}),
        ):
            entry = frame.page(title)
            st.page_link(entry.file, label=words, icon=entry.icon, query_params=query)


@dataclass(frozen=True)
class Drawn:
    """A figure, its key on the page and its words."""

    key: str
    figure: Any
    alt: str


def _figures(found: Sequence[tuple[Job, TrainingRun]], metric: str) -> tuple[list[Drawn], list[Drawn]]:
    """Curves and confusion matrices; drawn anew only when an epoch has ended, as drawing them costs most of a look."""
    state = (metric, *((job.id, job.title, len(run.epochs), run.confusion_epoch) for job, run in found))
    kept = st.session_state.get(_FIGURES)
    if kept is None or kept[0] != state:
        kept = (state, _drawn_curves(found, metric), _drawn_confusions(found))
        st.session_state[_FIGURES] = kept
    return kept[1], kept[2]


def _drawn_curves(found: Sequence[tuple[Job, TrainingRun]], metric: str) -> list[Drawn]:
    curves = [RunCurves.of(job_name(job), run.epochs) for job, run in found]
    if not any(run.train_loss for run in curves):
        return []
    alt, name = training_alt_text(curves, metric), metric_name(metric)
    return [
        Drawn("train-loss", training_loss_figure(curves, title="Loss"), f"Loss over the epochs. {alt}"),
        Drawn("train-metric", training_metric_figure(curves, metric, title=name), f"{name} over the epochs. {alt}"),
        Drawn("train-rate", learning_rates_figure(curves, title="Learning rate"), "Learning rate after each epoch."),
    ]


def _drawn_confusions(found: Sequence[tuple[Job, TrainingRun]]) -> list[Drawn]:
    drawn = []
    for job, run in found:
        if run.confusion is not None and run.labels is not None:
            title = f"Validation after epoch {run.confusion_epoch}, #{job.id}"
            figure = confusion_figure(run.confusion, run.labels, title=title)
            alt = confusion_alt_text(run.confusion, run.labels, title=title)
            drawn.append(Drawn(f"train-confusion-{job.id}", figure, alt))
    return drawn


def _show_figures(curves: Sequence[Drawn], confusions: Sequence[Drawn]) -> None:
    if not curves:
        st.info("The curves begin with the first finished epoch.", icon=":material/show_chart:")
        return
    with st.container(key="train-curves"):
        for each in (*curves, *confusions):
            picture(each.figure, key=each.key, alt=each.alt)
    st.caption(
        "Dotted: loss of the training batches as they were changed at random. Solid: on the validation images, which "
        "no batch had. The ring is the best epoch. These figures pick the weights, so they are no test result."
    )


def _log(job: Job) -> None:
    text, _ = read_log(job.folder, -TAIL_BYTES)
    with st.expander(f"Log of {plain(job_name(job))}", icon=":material/notes:", expanded=job.state == "failed"):
        st.code(text or "Nothing yet.", language=None, height=260, wrap_lines=True)


def _downloads(jobs: Sequence[Job]) -> None:
    """Whole logs, outside the polled part: a file asked for there would be lost at the next look."""
    with st.container(horizontal=True):
        for job in jobs:
            st.download_button(
                f"Log of #{job.id}",
                partial(_whole_log, job),
                f"job-{job.id}-log.txt",
                "text/plain",
                key=f"log-{job.id}",
                on_click="ignore",
                icon=":material/download:",
            )


def _whole_log(job: Job) -> str:
    try:
        return open_jobs().logs(job.id)[0]
    except JobError as error:
        return str(error)
