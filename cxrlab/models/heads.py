"""Classification heads by name: what stands between the pooled features of a backbone and the logits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from cxrlab.config import one_of


@dataclass(frozen=True)
class DenseHead:
    """A stack of fully connected layers with ReLU, and where dropout stands.

    Args:
        widths: of the hidden layers, in order.
        dropout_before: indices of the linear layers that dropout precedes, the last one is ``len(widths)``.
        dropout: probability that a value is dropped.
    """

    widths: tuple[int, ...]
    dropout_before: tuple[int, ...]
    dropout: float


HEADS: dict[str, DenseHead | None] = {
    "linear": None,  # the backbone's own head with its last layer of the right size
    "mlp_512_64_32": DenseHead((512, 64, 32), dropout_before=(0, 1, 2), dropout=0.2),
    # The paper does not give the dropout rate; its Fig. 10 puts the first one before the stack, the text after it.
    "mlp_64_64_64_32_32": DenseHead((64, 64, 64, 32, 32), dropout_before=(0, 5), dropout=0.5),
}


def dense_head(name: str, in_features: int, num_classes: int) -> nn.Sequential:
    """A head of :data:`HEADS` for pooled features (N, in_features); gives logits (N, num_classes).

    Start values are those of Keras, in which both papers worked: Glorot uniform weights and zero biases.

    Args:
        name: ``mlp_512_64_32`` (EfficientNetB5 binary; one class gives its single sigmoid node) or
            ``mlp_64_64_64_32_32`` (lightweight networks).

    Raises:
        ValueError: for another name.

    Reference:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.
    """
    one_of("head", name, tuple(key for key, value in HEADS.items() if value is not None))
    head = HEADS[name]
    assert head is not None
    layers: list[nn.Module] = []
    sizes = (in_features, *head.widths, num_classes)
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers += [nn.Dropout(head.dropout)] if index in head.dropout_before else []
        layers += [_linear(inputs, outputs)]
        layers += [nn.ReLU(inplace=True)] if index < len(head.widths) else []
    return nn.Sequential(*layers)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
