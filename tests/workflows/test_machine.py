"""A look at this machine."""

import pytest

from cxrlab.jobs.devices import Gpu
from cxrlab.workflows import machine


def test_a_look_is_within_bounds() -> None:
    load = machine.machine_load()
    assert load.cores >= 1
    assert 0 <= load.load <= 1
    assert 0 < load.memory_used <= load.memory_total


def test_gpus_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(0, "stand-in", 80_000_000_000, 1_000_000_000, 35)
    monkeypatch.setattr(machine, "nvml_gpus", lambda: (gpu,))
    assert machine.machine_load().gpus == (gpu,)
