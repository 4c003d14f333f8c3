"""The devices of this machine: how busy they are and which job runs where."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxrlab.app.train_words import AT_WORK, job_name
from cxrlab.app.words import plain
from cxrlab.workflows.jobs import Job
from cxrlab.workflows.machine import MachineLoad, machine_load


def device_rows(load: MachineLoad, jobs: Sequence[Job]) -> list[dict[str, str | float]]:
    """One row for the processor and one for each GPU: load and memory as shares in [0, 1], and what runs there.

    Jobs of other machines get a row a host.
    """
    here = [job for job in jobs if job.state in AT_WORK and job.host in ("", load.host)]
    rows: list[dict[str, str | float]] = [
        {
            "name": f"CPU, {load.cores} cores",
            "load": load.load,
            "memory": load.memory_used / max(1, load.memory_total),
            "memory_words": f"{_gb(load.memory_used)} of {_gb(load.memory_total)} GB",
            "jobs": _names([job for job in here if not job.devices]),
        }
    ]
    for gpu in load.gpus:
        rows.append(
            {
                "name": f"GPU {gpu.index}, {gpu.name}",
                "load": gpu.load / 100,
                "memory": gpu.memory_used / max(1, gpu.memory_total),
                "memory_words": f"{_gb(gpu.memory_used)} of {_gb(gpu.memory_total)} GB",
                "jobs": _names([job for job in here if gpu.index in job.devices]),
            }
        )
    return rows


def elsewhere(load: MachineLoad, jobs: Sequence[Job]) -> str:
    """Jobs that run on other machines, in a line; empty without any."""
    others = [job for job in jobs if job.state in AT_WORK and job.host not in ("", load.host)]
    return "; ".join(f"{job_name(job)} on {job.host}" for job in others)


def device_panel(jobs: Sequence[Job]) -> None:
    """Load, memory and jobs of every device."""
    load = machine_load()
    with st.container(key="train-devices"):
        for row in device_rows(load, jobs):
            with st.container(gap="small", border=True):
                st.markdown(f"**{plain(str(row['name']))}**")
                st.progress(min(1.0, float(row["load"])), text=f"Load {float(row['load']):.0%}")
                st.progress(min(1.0, float(row["memory"])), text=f"Memory {row['memory_words']}")
                st.caption(plain(str(row["jobs"])) or "No job here")
    if others := elsewhere(load, jobs):
        st.caption(plain(f"Elsewhere: {others}"))
    slots = "1 job" if load.cpu_jobs == 1 else f"{load.cpu_jobs} jobs"
    gpus = "a GPU runs one job at a time" if load.gpus else "no NVIDIA GPU was found"
    st.caption(f"The CPU runs {slots} at a time (CXRLAB\\_CPU\\_JOBS); {gpus}.")


def _names(jobs: Sequence[Job]) -> str:
    return ", ".join(map(job_name, jobs))


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.3g}"
