"""GPUs of this machine through NVML, and who gets which."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cxrlab.jobs.job import Job

CPU_JOBS_VARIABLE = "CXRLAB_CPU_JOBS"


@dataclass(frozen=True)
class Gpu:
    """A GPU: ``index`` as CUDA counts them, memory in bytes, ``load`` in percent."""

    index: int
    name: str
    memory_total: int
    memory_used: int
    load: int


FindGpus = Callable[[], tuple[Gpu, ...]]


def nvml_gpus() -> tuple[Gpu, ...]:
    """The GPUs that NVML sees and CUDA_VISIBLE_DEVICES allows; none without a driver or without `nvidia-ml-py`."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()) if _is_allowed(index))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _gpu(pynvml: object, index: int) -> Gpu:
    nvml: object = pynvml
    handle = nvml.nvmlDeviceGetHandleByIndex(index)  # type: ignore[attr-defined]
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)  # type: ignore[attr-defined]
    name = nvml.nvmlDeviceGetName(handle)  # type: ignore[attr-defined]
    load = nvml.nvmlDeviceGetUtilizationRates(handle).gpu  # type: ignore[attr-defined]
    return Gpu(index, name if isinstance(name, str) else name.decode(), memory.total, memory.used, load)


def _is_allowed(index: int) -> bool:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return given is None or str(index) in [part.strip() for part in given.split(",")]


def cpu_jobs() -> int:
    """Jobs without a GPU that run at once: CXRLAB_CPU_JOBS, by default 1."""
    given = os.environ.get(CPU_JOBS_VARIABLE, "1")
    return max(1, int(given)) if given.isdecimal() else 1


@dataclass(frozen=True)
class Placement:
    """A job that can start now, on these GPUs."""

    job: Job
    devices: tuple[int, ...]


def placements(waiting: Sequence[Job], at_work: Iterable[Job], gpus: Sequence[Gpu], cpu_slots: int) -> list[Placement]:
    """Which waiting jobs start now, in their order.

    A job that does not fit keeps its place: nobody behind it that wants the same kind of device overtakes it.

    Args:
        waiting: in the order of the queue, those whose turn it is.
    """
    working = list(at_work)
    taken = {device for job in working for device in job.devices}
    free_gpus = [gpu.index for gpu in gpus if gpu.index not in taken]
    free_slots = cpu_slots - sum(not job.gpus for job in working)
    chosen = []
    gpus_blocked = False
    for job in waiting:
        if not job.gpus and free_slots > 0:
            free_slots -= 1
            chosen.append(Placement(job, ()))
        elif job.gpus and not gpus_blocked:
            gpus_blocked = job.gpus > len(free_gpus)
            if not gpus_blocked:
                chosen.append(Placement(job, tuple(free_gpus[: job.gpus])))
                free_gpus = free_gpus[job.gpus :]
    return chosen
