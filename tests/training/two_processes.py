"""What tests/training/test_team.py starts twice under ``torchrun``: trainings, with results by the first process."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.models.registry import create_model
from cxrlab.progress import never
from cxrlab.training.fit import fit
from cxrlab.training.squares import LabelledSquares
from cxrlab.training.team import PartnerLost, in_turn, is_first
from tests.training.networks import WithAuxiliaryHead, bright_or_dark, seeded

# 21 images in batches of 8: the last batch has 5, three for one process and two for the other.
EXACT = TrainConfig(epochs=3, batch_size=8, learning_rate=5e-3, schedule="plateau", seed=4, threads=1)
REAL = replace(EXACT, epochs=2, schedule="one_cycle", learning_rate=2e-3)


class NoBatchNorm(WithAuxiliaryHead):
    """Two heads and neither batch norm nor dropout: what it gives for an image depends on that image alone."""

    def __init__(self) -> None:
        super().__init__()
        self.features[1] = nn.Identity()
        self.classifier[0] = nn.Identity()


def real() -> nn.Module:
    """The smallest network there is, with batch norm."""
    return create_model("shufflenet_v2_x0_5", num_classes=2)


SETTINGS: dict[str, tuple[Callable[[], nn.Module], TrainConfig]] = {
    "plain": (NoBatchNorm, EXACT),
    "auxiliary": (NoBatchNorm, replace(EXACT, aux_weight=0.4, loss="focal", reduction="mean", label_smoothing=0.0)),
    "sum": (NoBatchNorm, replace(EXACT, reduction="sum", l2=0.01, learning_rate=1e-3, batch_size=20)),
    "frozen": (NoBatchNorm, replace(EXACT, unfreeze=0.0)),
    "real": (real, REAL),
}


def images() -> tuple[LabelledSquares, LabelledSquares]:
    """Training and validation images; the classes are not equally many, so that their weights differ."""
    train = bright_or_dark(28, 0)
    kept = np.flatnonzero((train.y_true == 0) | (np.arange(28) > 13))
    return LabelledSquares(train.squares[kept], train.y_true[kept]), bright_or_dark(70, 1)


def trained(name: str, folder: Path, cancel: Callable[[], bool] = never) -> dict[str, Any]:
    """Train by the settings of this name; the history and all weights."""
    build, config = SETTINGS[name]
    network = seeded(build)
    still = Augmentation.none() if name == "frozen" else Augmentation()
    history = fit(
        network, *images(), num_classes=2, config=config, preprocessing=Preprocessing(size=32), augmentation=still,
        run_folder=folder, accelerator="cpu", cancel=cancel,
    )  # fmt: skip
    weights = {key: value.flatten().tolist() for key, value in network.state_dict().items()}
    return {"history": history.to_json(), "weights": weights}


def _interrupted(folder: Path) -> dict[str, Any]:
    """The second process gets SIGTERM after its fourth step; then both go on."""
    asked = iter(range(1000))

    def cancel() -> bool:
        if next(asked) == 3 and not is_first():
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    first = trained("real", folder, cancel)
    step = torch.load(folder / "last.pt", weights_only=True)["run"]
    return {"stopped": first["history"]["stopped"], "step": step["step"], "epoch": step["epoch"]} | {
        "resumed": trained("real", folder)
    }


def main(out: Path, names: list[str]) -> None:
    """Everything that is asked for, into ``<name>.json``."""
    for name in names:
        if name == "turns":
            with in_turn(), (out / "turns").open("a") as file:
                file.write(os.environ["RANK"])
            continue
        found = _interrupted(out / name) if name == "interrupted" else _alone(name, out)
        if is_first():
            (out / f"{name}.json").write_text(json.dumps(found))


def _alone(name: str, out: Path) -> dict[str, Any]:
    if name != "killed":
        return trained(name, out / name)
    asked = iter(range(1000))
    try:
        return trained("real", out / name, lambda: next(asked) == 3 and not is_first() and _die())
    except PartnerLost as lost:
        (out / "lost").write_text(str(lost))
        raise


def _die() -> bool:
    os.kill(os.getpid(), signal.SIGKILL)
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
