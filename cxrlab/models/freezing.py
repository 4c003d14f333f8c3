"""Transfer learning with a part of the backbone frozen, counted from its input."""

from __future__ import annotations

from torch import nn
from torchvision.models import MobileNetV2
from torchvision.models.mobilenetv2 import InvertedResidual

from cxrlab.config import in_range
from cxrlab.models.forward_order import forward_order


def freeze(model: nn.Module, unfreeze: float, *, input_size: int | None = None) -> str:
    """Freeze the first ``int(L (1 - unfreeze))`` of the backbone's L layers; all others, and the head, train.

    What counts as a layer: of torchvision's MobileNetV2 the 154 layers that Keras lists for it, batch norms,
    activations, paddings and additions included, as in the paper; of every other network the modules with parameters
    of their own, in the order of the forward. The head is what comes behind the last feature map; an auxiliary head
    trains too.

    Args:
        model: changed in place, by ``requires_grad`` only; see :func:`keep_frozen_in_inference_mode`.
        unfreeze: share of the backbone that trains, in [0, 1]; 0 freezes all of it, 1 nothing.
        input_size: side of the input in pixels, for networks that take one size only.

    Returns:
        Dotted name of the first module that trains.

    Raises:
        ValueError: when ``unfreeze`` is outside [0, 1].

    Reference:
        The lightweight-networks paper, Fig. 10: 401,728 values of MobileNetV2 do not train in Keras at one third, which
        are the 367,616 parameters of its first 102 layers and all 34,112 batch-norm statistics.
    """
    in_range("unfreeze", unfreeze, 0, 1)
    visits = [visit for visit in forward_order(model, input_size) if visit.own_parameters]
    head = [visit.module for visit in visits if visit.after_pooling]
    backbone: list[nn.Module | None] = [visit.module for visit in visits if not visit.after_pooling]
    if isinstance(model, MobileNetV2):
        backbone = keras_layers(model)
    frozen = int(len(backbone) * (1 - unfreeze) + 1e-9)  # 1 - .9 is a little less than .1
    model.requires_grad_(True)
    for module in backbone[:frozen]:
        if module is not None:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
    trained = [module for module in (*backbone[frozen:], *head) if module and [*module.parameters(recurse=False)]]
    return next((name for name, module in model.named_modules() if trained and module is trained[0]), "")


def keep_frozen_in_inference_mode(model: nn.Module) -> None:
    """Put every part whose parameters are all frozen in evaluation mode; call it after ``model.train()``.

    A frozen batch norm then uses and keeps its stored statistics, as in Keras, and dropped paths inside frozen blocks
    stay off, so that a frozen backbone gives the same features every time.
    """
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def keras_layers(model: MobileNetV2) -> list[nn.Module | None]:
    """The 154 layers of Keras' MobileNetV2 without its top, None where torchvision has no module for one.

    Keras lists the input, a padding before each convolution with stride 2 but the first, and each addition.
    """
    layers: list[nn.Module | None] = [None]  # the input
    for part in model.features:
        leaves: list[nn.Module | None] = [module for module in part.modules() if not [*module.children()]]
        if isinstance(part, InvertedResidual):
            if part.stride == 2:
                leaves.insert(3, None)  # after the expansion's convolution, norm and activation
            leaves += [None] if part.use_res_connect else []
        layers += leaves
    return layers
