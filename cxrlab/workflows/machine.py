"""How busy this machine is: processor, memory, GPUs."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from cxrlab.jobs.devices import Gpu, cpu_jobs, nvml_gpus
from cxrlab.jobs.processes import host_name

__all__ = ["Gpu", "MachineLoad", "machine_load"]


@dataclass(frozen=True)
class MachineLoad:
    """A look at this machine.

    Args:
        host: its name. cores: logical processors. load: of them, in [0, 1], since the last look.
        memory_used, memory_total: bytes. cpu_jobs: jobs without a GPU that run at once. gpus: those there are.
    """

    host: str
    cores: int
    load: float
    memory_used: int
    memory_total: int
    cpu_jobs: int
    gpus: tuple[Gpu, ...]


def machine_load() -> MachineLoad:
    """Look once; cheap enough for every poll."""
    memory = psutil.virtual_memory()
    return MachineLoad(
        host=host_name(),
        cores=os.cpu_count() or 1,
        load=psutil.cpu_percent(interval=None) / 100,
        memory_used=memory.total - memory.available,
        memory_total=memory.total,
        cpu_jobs=cpu_jobs(),
        gpus=nvml_gpus(),
    )
