"""Fixtures for every test: a home of its own, and tiny checkpoints with random weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cxrlab.checkpoints import ModelCard, save_checkpoint, save_ensemble
from cxrlab.config import ModelConfig, Preprocessing
from cxrlab.labels import CXR4
from cxrlab.models.registry import create_model

if TYPE_CHECKING:
    from torch import nn

# Networks small enough for every test, all with global average pooling and one linear layer behind the last map.
LIGHT_NETWORKS = (
    *("mobilenet_v2", "shufflenet_v2_x1_0", "shufflenet_v2_x0_5", "efficientnet_b0", "resnet18", "densenet121"),
    "pepx_resnet",
)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``CXRLAB_HOME`` is an empty folder of this test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("CXRLAB_HOME", str(home))
    return home


def random_network(name: str, *, num_classes: int = 4, seed: int = 0) -> nn.Module:
    """An untrained network in evaluation mode whose head is strong enough that images get different probabilities."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = create_model(name, num_classes=num_classes).eval()
        head = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
        torch.nn.init.normal_(head.weight, std=1.0)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.8, 1.6)
                torch.nn.init.normal_(module.bias, std=0.1)
                torch.nn.init.normal_(module.running_mean, std=0.1)
                torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


@pytest.fixture(scope="session")
def built_tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny networks and their soft-voting ensemble, made once; tests get copies."""
    root = tmp_path_factory.mktemp("built")
    for seed, (name, architecture) in enumerate(
        [("tiny_shufflenet", "shufflenet_v2_x0_5"), ("tiny_mobilenet", "mobilenet_v2")]
    ):
        card = ModelCard(
            name=name,
            title=name.replace("_", " ").title(),
            kind="model",
            labels=CXR4.ids,
            domain="real",
            domain_text="no images at all: random weights",
            model=ModelConfig(architecture, len(CXR4)),
            preprocessing=Preprocessing(size=64),
        )
        save_checkpoint(root / name, random_network(architecture, seed=seed), card)
    ensemble = ModelCard(
        name="tiny_ensemble",
        title="Tiny Ensemble",
        kind="ensemble",
        labels=CXR4.ids,
        domain="real",
        domain_text="no images at all: random weights",
        members=("tiny_shufflenet", "tiny_mobilenet"),
        member_weights=(0.25, 0.75),
        voting="soft",
    )
    save_ensemble(root / "tiny_ensemble", ensemble)
    return root


@pytest.fixture
def tiny_checkpoints(built_tiny_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with ``tiny_shufflenet``, ``tiny_mobilenet`` and ``tiny_ensemble``; the only one searched."""
    root = tmp_path / "checkpoints"
    shutil.copytree(built_tiny_checkpoints, root)
    monkeypatch.setenv("CXRLAB_CHECKPOINTS", str(root))
    return root
