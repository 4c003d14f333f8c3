"""The queue on the page: a row a job with its state, progress and buttons; it looks again while a job is alive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from cxrlab.app import train_state
from cxrlab.app.train_devices import device_panel
from cxrlab.app.train_words import AT_WORK, STATES, facts_words, in_order, job_name, progress_words, summary
from cxrlab.app.words import plain
from cxrlab.workflows.jobs import ALIVE, Job, State

POLL_SECONDS = 1.5
ROWS = 6
STYLE = """<style>
.st-key-train-devices { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr));
  gap: .75rem; }
.st-key-train-devices > div { width: auto !important; min-width: 0; }
</style>"""


def queue(jobs: Sequence[Job], *, writable: bool) -> None:
    """The queue and the devices, polled while a job is alive.

    Args:
        jobs: as listed for this run of the page. writable: may this session change jobs? Without, no button does.
    """
    every = POLL_SECONDS if any(job.is_alive for job in jobs) else None
    st.html(STYLE)
    st.fragment(_polled, run_every=every)(_states(jobs), writable)


def _polled(before: tuple[tuple[int, State], ...], writable: bool) -> None:
    jobs = train_state.listed()
    if _states(jobs) != before:
        st.rerun()  # a job came, went or ended: polling, choices and results below change with it
    train_state.said()
    if jobs:
        _rows(jobs, writable)
    else:
        st.info("Nothing was handed in yet. Jobs outlive this page.", icon=":material/inbox:")
    device_panel(jobs)


def _rows(jobs: Sequence[Job], writable: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(summary(jobs))
        if writable:
            _prune(jobs)
    ordered = in_order(jobs)
    pages = -(-len(ordered) // ROWS)
    page = (st.pagination(pages, key="queue-page") or 1) if pages > 1 else 1
    for job in ordered[(page - 1) * ROWS : page * ROWS]:
        _row(job, writable)


def _states(jobs: Sequence[Job]) -> tuple[tuple[int, State], ...]:
    return tuple((job.id, job.state) for job in jobs)


def _row(job: Job, writable: bool) -> None:
    status, look = train_state.status_of(job), STATES[job.state]
    with st.container(border=True, gap="small", key=f"job-{job.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
                st.markdown(f"**{plain(job_name(job))}**", width="content")
                st.badge(look.word, icon=look.icon, color=look.colour)
            with st.container(horizontal=True, gap="small", width="content"):
                _looks(job)
                if writable:
                    _actions(job)
        if job.state in AT_WORK:
            st.progress(status.run.share if status.run else 0.0, text=plain(progress_words(status)))
        st.caption(plain(facts_words(job, time.time(), _zone())))
        if job.reason:
            _reason(job)


def _reason(job: Job) -> None:
    if job.state in ("failed", "lost"):
        st.error(plain(job.reason), icon=":material/error:")
    else:
        st.caption(plain(job.reason))


def _looks(job: Job) -> None:
    if st.button("Show", key=f"show-{job.id}", icon=":material/show_chart:", type="tertiary"):
        train_state.show(job.id)
        st.rerun()
    if st.button("Overlay", key=f"overlay-{job.id}", icon=":material/stacked_line_chart:", type="tertiary"):
        train_state.overlay(job.id)
        st.rerun()


def _actions(job: Job) -> None:
    if job.state in ALIVE:
        st.button("Cancel", key=f"cancel-{job.id}", icon=":material/stop_circle:", on_click=train_state.cancel,
                  args=(job.id,), disabled=job.state == "stopping", type="tertiary")  # fmt: skip
        return
    if job.state != "done":
        st.button("Resume", key=f"resume-{job.id}", icon=":material/resume:", on_click=train_state.resume,
                  args=(job.id,), type="tertiary", help="Goes on from its last state.")  # fmt: skip
        st.button("Retry", key=f"retry-{job.id}", icon=":material/replay:", on_click=train_state.again,
                  args=(job.id,), type="tertiary", help="A new job that begins anew.")  # fmt: skip
    with st.popover("Delete", icon=":material/delete:", key=f"ask-{job.id}", type="tertiary"):
        st.markdown("Delete the job with its log and curves? A finished checkpoint stays.")
        st.button("Delete for good", key=f"delete-{job.id}", on_click=train_state.delete, args=([job.id],),
                  type="primary")  # fmt: skip


def _prune(jobs: Sequence[Job]) -> None:
    useless, over = train_state.ended(jobs, also_done=False), train_state.ended(jobs, also_done=True)
    if len(over) < 2:
        return
    with st.popover("Prune", icon=":material/delete_sweep:", key="prune", type="tertiary"):
        st.markdown("Delete ended jobs with their logs and curves. Finished checkpoints stay.")
        st.button(f"Without a result ({len(useless)})", key="prune-useless", on_click=train_state.delete,
                  args=(useless,), disabled=not useless)  # fmt: skip
        st.button(f"All that have ended ({len(over)})", key="prune-all", on_click=train_state.delete, args=(over,),
                  type="primary")  # fmt: skip


def _zone() -> tzinfo | None:
    """The reader's time zone; the server's where the browser does not say."""
    try:
        return ZoneInfo(st.context.timezone) if st.context.timezone else None
    except (ZoneInfoNotFoundError, ValueError):
        return None
