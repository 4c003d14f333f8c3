"""Load a checkpoint: against building the network, torch.load and copying the weights into it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import nn

from benchmarks.measure import Row, interleaved
from benchmarks.networks import one_thread, untrained
from cxrlab.checkpoints import ModelCard, load_checkpoint, save_checkpoint
from cxrlab.config import ModelConfig, Preprocessing
from cxrlab.labels import CXR4
from cxrlab.models.registry import create_model

GOALS = {"mobilenet_v2": 1.3, "densenet121": 1.3, "resnet18": 2.9}  # small, many tensors, large


def rows() -> list[Row]:
    """A row for each network and number type on disk; the hash is checked before, as in any second load."""
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        return [_row(Path(folder), name, dtype) for name in GOALS for dtype in ("float16", "float32")]


def _row(root: Path, name: str, dtype: str) -> Row:
    model = untrained(name)
    card = ModelCard(
        name=f"{name}-{dtype}",
        title=name,
        kind="model",
        labels=CXR4.ids,
        model=ModelConfig(name, len(CXR4)),
        preprocessing=Preprocessing(),
    )
    saved = save_checkpoint(root / card.name, model, card, dtype=dtype)
    torch.save(model.state_dict(), root / f"{name}.pt")

    def usual() -> nn.Module:
        network = create_model(name, num_classes=len(CXR4))
        network.load_state_dict(torch.load(root / f"{name}.pt", weights_only=True))
        return network.eval()

    ratios = interleaved(usual, lambda: load_checkpoint(root / card.name))
    note = f"{saved.size_bytes / 1e6:.1f} MB"
    return Row(
        "load a checkpoint", f"build + torch.load + copy / ours: {name}, {dtype}", ratios, GOALS[name], note=note
    )
