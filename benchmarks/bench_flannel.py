"""Stage 2 of FLANNEL on members' kept outputs, against running the members in every epoch as its algorithm reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.measure import Row, interleaved
from benchmarks.networks import noise, one_thread, untrained
from cxrlab.ensembles.combiner import CombinerConfig, fit_combiner
from cxrlab.inference import forward

MEMBERS = ("densenet121", "efficientnet_b0", "mobilenet_v2", "resnet18", "shufflenet_v2_x1_0")  # the shipped five
ROWS, CLASSES = 880, 4
FULL_ROWS, FULL_EPOCHS = 4400, 200  # the paper's; every row and epoch costs the same


def rows() -> list[Row]:
    """One row: an epoch of both, the members' from one forward of each on one image, scaled to the rows."""
    with one_thread():
        return [_row()]


def _row() -> Row:
    networks, image = [untrained(name) for name in MEMBERS], noise(1)
    probabilities, y = made_up(ROWS)
    config = replace(CombinerConfig.of("flannel"), epochs=1)

    def members() -> None:
        for network in networks:
            forward(network, image)

    def stage2() -> None:
        fit_combiner(probabilities, y, config)

    # A literal epoch runs the members once for every row and then does what ours does.
    ratios = tuple(1 + ratio for ratio in interleaved(members, stage2, rounds=5, scale=ROWS))
    part = f"FLANNEL stage 2, an epoch of {ROWS} rows"
    note = f"members' forwards extrapolated from one image at 224 px; the same ratio for {FULL_EPOCHS} epochs"
    return Row(part, "members run in every epoch", ratios, goal=100, note=f"{note} of {FULL_ROWS} rows")


def made_up(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (count, 5, 4) of members that are often right, and the classes (count,)."""
    rng = np.random.default_rng(0)
    y = rng.choice(CLASSES, size=count, p=[0.05, 0.22, 0.42, 0.31])
    logits = rng.normal(size=(count, len(MEMBERS), CLASSES))
    logits[np.arange(count), :, y] += 2
    scores = np.exp(logits)
    return scores / scores.sum(axis=2, keepdims=True), y
