"""The layers of a network by name or of a checkpoint's card, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cxrlab.cards import ModelCard
from cxrlab.config import ModelConfig
from cxrlab.models.summary import LayerSummary, Totals

__all__ = ["LayerSummary", "NetworkSummary", "Totals", "summarise_card", "summarise_network"]


@dataclass(frozen=True)
class NetworkSummary:
    """A network layer by layer.

    Args:
        name: of the network. input_size: side in pixels. num_classes: outputs.
        unfreeze: share of the backbone that trains, 1 when nothing is frozen.
        first_trainable: name of the first layer that trains.
        layers: in the order of a forward. totals: their sums.
        note: what a user must know of the input, empty for most.
    """

    name: str
    input_size: int
    num_classes: int
    unfreeze: float
    first_trainable: str
    layers: tuple[LayerSummary, ...]
    totals: Totals
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, with each layer's state in words."""
        rows = [asdict(layer) | {"state": layer.state} for layer in self.layers]
        keras = {"keras_total": self.totals.keras_total, "keras_frozen": self.totals.keras_frozen}
        return asdict(self) | {"layers": rows, "totals": asdict(self.totals) | keras}


def summarise_network(
    config: ModelConfig, *, input_size: int | None = None, unfreeze: float = 1.0, depth: int | None = None
) -> NetworkSummary:
    """Layers, shapes and parameters of a network; takes no memory for weights, whatever its size.

    Args:
        config: which network; ``pretrained`` does not matter.
        input_size: side in pixels; None: the network's usual one.
        unfreeze: share of the backbone that trains, in [0, 1].
        depth: see :func:`cxrlab.models.summary.layers_of`.

    Raises:
        ValueError: for an unknown network or option, a size that is too small, or a share outside [0, 1].
    """
    import torch

    from cxrlab.models.freezing import freeze
    from cxrlab.models.registry import create_model, model_spec
    from cxrlab.models.summary import layers_of, totals_of

    spec = model_spec(config.name)
    options = dict(config.options)
    side = input_size or int(options.get("input_size") or spec.input_size)
    if side < spec.smallest_size:
        raise ValueError(f"The input of {spec.name} must be at least {spec.smallest_size} px, got {side}.")
    if spec.own_size:
        options["input_size"] = side
    with torch.device("meta"):
        network = create_model(config.name, num_classes=config.num_classes, **options)
    first = freeze(network, unfreeze, input_size=side)
    layers = layers_of(network, side, depth=depth)
    return NetworkSummary(spec.name, side, config.num_classes, unfreeze, first, layers, totals_of(network), spec.note)


def summarise_card(card: ModelCard, *, depth: int | None = None) -> NetworkSummary:
    """As :func:`summarise_network`, for the network of a card as it was trained.

    Raises:
        ValueError: for an ensemble, which has no network of its own, or a card whose network can not be built.
    """
    if card.model is None or card.preprocessing is None:
        raise ValueError(f"{card.name} is an ensemble; look at the layers of its members.")
    if refused := {"pretrained", "weights_file"} & set(card.model.options):
        raise ValueError(f"The options on the card of {card.name} must not have {', '.join(sorted(refused))}.")
    settings = card.training.get("config")
    share = settings.get("unfreeze", 1.0) if isinstance(settings, Mapping) else 1.0
    unfreeze = float(share) if isinstance(share, int | float) else 1.0
    return summarise_network(card.model, input_size=card.preprocessing.size, unfreeze=unfreeze, depth=depth)
