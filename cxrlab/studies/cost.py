"""What a study will cost on this machine: a few steps of every network are timed before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from cxrlab.data.transforms import normalise
from cxrlab.models.registry import create_model
from cxrlab.studies.images import StudyImages
from cxrlab.studies.plan import MemberRun, StudyPlan

OTHER_WORK = 1.25  # validation every epoch and the outputs at the end, in trainings (measured on the light members)
STEPS = 2


@dataclass(frozen=True)
class Cost:
    """Estimated seconds of computing, one after the other; ``runs`` that are still to do."""

    runs: int
    seconds: float

    def sentence(self, workers: int) -> str:
        """For the user, before the start."""
        if not self.runs:
            return "No network is left to train."
        networks = "1 network" if self.runs == 1 else f"{self.runs} networks"
        time_left = _words(self.seconds / max(1, workers))
        return f"{networks} to train, about {time_left} on this machine with {workers} at once."


def _words(seconds: float) -> str:
    """``40 s``, ``7 min``, ``3 h 20 min``."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def estimate(plan: StudyPlan, images: StudyImages, done: set[str], *, threads: int) -> Cost:
    """Time a few training steps of every kind of run that is not done yet.

    Args:
        done: ids of finished runs. threads: of the CPU for each run.
    """
    runs = [run for run in plan.members if run.id not in done]
    known: dict[str, float] = {}
    total, before = 0.0, torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for run in runs:
            key = f"{run.model}{run.preprocessing.size}{run.config.batch_size}{run.config.precision}"
            if key not in known:
                known[key] = _seconds_per_image(run)
            total += known[key] * _work(run, len(images.splits[run.fold].part("train")))
    finally:
        torch.set_num_threads(before)
    return Cost(len(runs), total)


def _work(run: MemberRun, images: int) -> float:
    """Trainings of one image at the full side that the run is worth."""
    sides = run.config.size_schedule or (run.preprocessing.size,)
    relative = float(np.mean([(side / run.preprocessing.size) ** 2 for side in sides]))
    return images * run.config.epochs * relative * OTHER_WORK


def _seconds_per_image(run: MemberRun) -> float:
    model = create_model(run.model.name, num_classes=run.model.num_classes, **run.model.options)
    model = model.train().to(memory_format=torch.channels_last)
    count, size = min(8, run.config.batch_size), run.preprocessing.size
    batch = normalise(torch.rand(count, size, size), run.preprocessing).contiguous(memory_format=torch.channels_last)
    seconds = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=run.config.precision == "bf16"):
            outputs = model(batch)
        getattr(outputs, "logits", outputs).float().square().mean().backward()
        seconds.append((time.perf_counter() - started) / count)
    return min(seconds[1:])
