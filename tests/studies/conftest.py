"""A small labelled set on disk whose classes a network can tell apart, and a plan with tiny networks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlab.config import Augmentation, ModelConfig, Preprocessing, TrainConfig
from cxrlab.studies.plan import CombinerRun, Comparison, MemberRun, StudyPlan

CLASSES = ("covid19", "viral", "bacterial", "normal")


@pytest.fixture(scope="session")
def built_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    with (root / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "patient_id", "view", "source"])
        for number in range(160):
            label = number % 4
            pixels = rng.normal(60, 15, (32, 32))
            pixels[label * 8 : label * 8 + 8] += 120
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / f"{number}.png")
            writer.writerow([f"{number}.png", CLASSES[label], f"p{number // 2}", "AP" if number % 3 else "PA", "made"])
    return root / "index.csv"


@pytest.fixture
def manifest_file(built_images: Path) -> Path:
    return built_images


def tiny_member(name: str, fold: int, *, system: str = "", seed: int = 0, epochs: int = 1) -> MemberRun:
    """ShuffleNetV2 x0.5 for an epoch at 32 px."""
    return MemberRun(
        id=f"{name}-fold{fold + 1}",
        system=system or name,
        variant="base",
        fold=fold,
        model=ModelConfig("shufflenet_v2_x0_5", 4),
        config=TrainConfig(
            epochs=epochs, batch_size=16, class_weights="none", monitor="accuracy", seed=seed + fold, threads=1
        ),
        preprocessing=Preprocessing(size=32),
        augmentation=Augmentation(),
        outputs=("train", "validation", "test"),
        maps=fold == 0,
    )


@pytest.fixture
def tiny_plan() -> StudyPlan:
    return make_plan()


def make_plan() -> StudyPlan:
    """Two learners on two folds, votes, and FLANNEL on published and on out-of-fold outputs."""
    members = [
        tiny_member(name, fold, seed=10 * position) for fold in (0, 1) for position, name in enumerate(("a", "b"))
    ]
    by_fold = (("a-fold1", "b-fold1"), ("a-fold2", "b-fold2"))
    settings = {"epochs": 3, "learning_rate": 1e-2}
    return StudyPlan(
        name="tiny",
        title="Tiny",
        task="cxr4",
        protocol="benchmark",
        members=tuple(members),
        combiners=(
            CombinerRun("voting-fold1", "Voting", "ensemble", "voting", 0, (by_fold[0],)),
            CombinerRun("voting-fold2", "Voting", "ensemble", "voting", 1, (by_fold[1],)),
            CombinerRun("flannel-fold1", "FLANNEL", "full", "flannel", 0, (by_fold[0],), "published", settings),
            CombinerRun("flannel-oof", "FLANNEL", "out-of-fold", "flannel", None, by_fold, "out_of_fold", settings),
        ),
        comparisons=(Comparison(("FLANNEL", "full"), ("a", "base"), ("f1:covid19", "macro_f1")),),
    )
