"""Networks layer by layer: the papers' own tables in our counts, shapes, what trains."""

from __future__ import annotations

import pytest
import torch

from cxrlab.models.freezing import freeze
from cxrlab.models.registry import create_model
from cxrlab.models.summary import LayerSummary, layers_of, totals_of


def test_table_3_of_efficientnetb5_binary() -> None:
    """Spec 1.10 at 150 px: 5 x 5 x 2048 -> 2048 -> 512 -> 64 -> 32 -> 1; Keras prints 29,597,560, of which 7 are the
    values of a normalisation layer that we do before the network."""
    with torch.device("meta"):
        network = create_model("efficientnet_b5", num_classes=1, head="mlp_512_64_32")
    assert freeze(network, 0, input_size=150) == "classifier.1"
    rows = layers_of(network, 150, depth=1)
    shown = [(row.output_shape, row.parameters, row.state) for row in rows if row.kind not in ("Dropout", "ReLU")]
    assert shown == [
        ((2048, 5, 5), 28_340_784, "frozen"),
        ((2048, 1, 1), 0, ""),
        ((512,), 1_049_088, "trainable"),
        ((64,), 32_832, "trainable"),
        ((32,), 2_080, "trainable"),
        ((1,), 33, "trainable"),
    ]
    totals = totals_of(network)
    assert (totals.parameters, totals.trainable, totals.frozen) == (29_424_817, 1_084_033, 28_340_784)
    assert totals.keras_total == 29_597_560 - 7
    assert totals.keras_frozen == 28_513_527 - 7


def test_figure_10_of_the_lightweight_networks() -> None:
    """Spec 1.11: head 81,984 + 4,160 + 4,160 + 2,080 + 1,056 + 66; in Keras 401,728 of 2,351,490 do not train."""
    with torch.device("meta"):
        network = create_model("mobilenet_v2", num_classes=2, head="mlp_64_64_64_32_32")
    freeze(network, 1 / 3)
    rows = layers_of(network, 224, depth=1)
    assert (rows[0].output_shape, rows[0].parameters, rows[0].state) == ((1280, 7, 7), 2_223_872, "partly")
    assert [row.parameters for row in rows if row.kind == "Linear"] == [81_984, 4_160, 4_160, 2_080, 1_056, 66]
    totals = totals_of(network)
    assert (totals.keras_total, totals.keras_frozen, totals.trainable) == (2_351_490, 401_728, 1_949_762)


@pytest.mark.parametrize("depth", [None, 1, 2])
@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "resnet18", "pepx_resnet", "inception_v3"])
def test_rows_sum_up_to_the_network(name: str, depth: int | None) -> None:
    options = {"aux": True} if name == "inception_v3" else {}
    with torch.device("meta"):
        network = create_model(name, num_classes=3, **options)
    rows = layers_of(network, depth=depth)
    assert sum(row.parameters for row in rows) == totals_of(network).parameters
    assert len({row.name for row in rows}) == len(rows)


def test_shapes_are_those_of_a_real_forward() -> None:
    network = create_model("shufflenet_v2_x0_5", num_classes=3).eval()
    shapes = {row.name: row.output_shape for row in layers_of(network, 64)}
    seen: dict[str, tuple[int, ...]] = {}
    for name in shapes:
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: tuple(output.shape[1:])})
        )
    network(torch.zeros(1, 3, 64, 64))
    assert seen == shapes


def test_the_auxiliary_head_comes_last_without_a_shape() -> None:
    with torch.device("meta"):
        network = create_model("inception_v3", num_classes=4, aux=True)
    row = layers_of(network, 299, depth=1)[-1]
    assert (row.name, row.output_shape, row.parameters) == ("AuxLogits", (), 24_354_536 - 21_793_764)


@pytest.mark.parametrize(
    ("parameters", "trainable", "state"), [(0, 0, ""), (5, 5, "trainable"), (5, 0, "frozen"), (5, 2, "partly")]
)
def test_state_in_words(parameters: int, trainable: int, state: str) -> None:
    assert LayerSummary("x", "Conv2d", (), parameters, trainable).state == state
