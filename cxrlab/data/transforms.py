"""From pixels to a network's input: the deterministic part (as a card describes it) and the random part (training)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from cxrlab.config import Augmentation, Preprocessing

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", np.ndarray, "torch.Tensor")

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_PADDING = {"border": "border", "reflect": "reflection", "black": "zeros"}


def resize_pixels(pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Grey picture (H, W) uint8 -> square (S, S) uint8, by the rule of the card.

    Raises:
        ValueError: when the picture is not 2-D uint8.
    """
    if preprocessing.resize_to:
        return np.ascontiguousarray(centre_crop(resize_pixels(pixels, preprocessing.whole), preprocessing.size))
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError(f"Pixels must be a 2-D uint8 array, got {pixels.ndim}-D {pixels.dtype}.")
    side = preprocessing.size
    height, width = pixels.shape
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    resample = _FILTERS[preprocessing.interpolation]
    if preprocessing.resize == "stretch":
        return np.asarray(picture.resize((side, side), resample))
    if preprocessing.resize == "crop":
        short = min(height, width)
        left, top = (width - short) / 2, (height - short) / 2
        return np.asarray(picture.resize((side, side), resample, box=(left, top, left + short, top + short)))
    scale = side / max(height, width)
    inner = picture.resize((max(1, round(width * scale)), max(1, round(height * scale))), resample)
    canvas = Image.new("L", (side, side))
    canvas.paste(inner, ((side - inner.width) // 2, (side - inner.height) // 2))
    return np.asarray(canvas)


def seen_box(height: int, width: int, preprocessing: Preprocessing) -> tuple[float, float, float, float]:
    """Where the network's square lies on a picture: left, top, right, bottom as shares of its width and height.

    (0, 0, 1, 1) is the whole picture; within [0, 1] where borders are cut off, beyond it where black borders are added.
    """
    if preprocessing.resize_to:
        left, top, right, bottom = seen_box(height, width, preprocessing.whole)
        start = (preprocessing.resize_to - preprocessing.size) // 2 / preprocessing.resize_to
        stop = start + preprocessing.size / preprocessing.resize_to
        across, down = right - left, bottom - top
        return left + start * across, top + start * down, left + stop * across, top + stop * down
    if preprocessing.resize == "stretch":
        return 0.0, 0.0, 1.0, 1.0
    side = min(height, width) if preprocessing.resize == "crop" else max(height, width)
    across, down = side / width, side / height
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2


def centre_crop(squares: Array, size: int) -> Array:
    """The centre (…, size, size) of squares (…, S, S); an odd margin is one pixel wider below and to the right.

    Raises:
        ValueError: when the squares are smaller than ``size``.
    """
    side = squares.shape[-1]
    if side < size:
        raise ValueError(f"A crop of {size} pixels needs squares at least as large, got {side}.")
    offset = (side - size) // 2
    return squares[..., offset : offset + size, offset : offset + size]


def to_batch(squares: np.ndarray | torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Squares (N, S, S) uint8 -> network input (N, 3, S, S) float32, normalised by the card's mean and std."""
    import torch

    grey = torch.from_numpy(np.array(squares)) if isinstance(squares, np.ndarray) else squares
    return normalise(grey.float(), preprocessing, white=255.0)


def normalise(grey: torch.Tensor, preprocessing: Preprocessing, *, white: float = 1.0) -> torch.Tensor:
    """Grey (N, S, S) float in [0, ``white``] -> (N, 3, S, S): (grey / white - mean) / std per channel, in one pass."""
    import torch

    mean = torch.tensor(preprocessing.mean, device=grey.device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=grey.device).view(1, 3, 1, 1)
    return torch.addcmul(-mean / std, grey[:, None], 1 / (white * std))  # (N, 1, S, S) * (1, 3, 1, 1) -> (N, 3, S, S)


def augment(
    squares: torch.Tensor, augmentation: Augmentation, *, size: int, generator: torch.Generator, crop: int = 0
) -> torch.Tensor:
    """Randomly changed training images, each image with its own draw.

    Args:
        squares: (N, S, S) uint8.
        augmentation: the ranges.
        size: side of the result in pixels; smaller than S shrinks with anti-aliasing first.
        generator: source of all randomness, on the CPU.
        crop: side of the crop that is cut out before anything else, where ``augmentation.crop`` says; 0: none.

    Returns:
        (N, size, size) float32 in [0, 1], on the device of ``squares``.
    """
    from torch.nn import functional

    if crop:
        squares = _cropped(squares, augmentation, crop, generator)
    grey = squares[:, None].float().div_(255)  # (N, S, S) -> (N, 1, S, S)
    if size != grey.shape[-1]:
        grey = functional.interpolate(grey, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    grey = _moved(grey, augmentation, generator)
    grey = _blurred(grey, augmentation, generator)
    grey = _regraded(grey, augmentation, generator)
    return _erased(grey, augmentation, generator)[:, 0]


def _uniform(count: int, low: float, high: float, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(N, 1, 1, 1) draws from [low, high)."""
    import torch

    return torch.rand(count, generator=generator).mul_(high - low).add_(low).view(-1, 1, 1, 1).to(like.device)


def _cropped(squares: torch.Tensor, augmentation: Augmentation, crop: int, generator: torch.Generator) -> torch.Tensor:
    """(N, S, S) -> (N, crop, crop), each image at its own place."""
    import torch

    if augmentation.crop == "centre" or squares.shape[-1] == crop:
        return centre_crop(squares, crop)
    margin = squares.shape[-1] - crop
    low, high = 0, margin
    if augmentation.crop == "jitter":
        low = max(0, margin // 2 - augmentation.crop_jitter)
        high = min(margin, margin // 2 + augmentation.crop_jitter)
    corners = torch.randint(low, high + 1, (len(squares), 2), generator=generator).tolist()
    cut = [square[top : top + crop, left : left + crop] for square, (top, left) in zip(squares, corners, strict=True)]
    return torch.stack(cut)


def _moved(grey: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Rotation, zoom, shift, shear and flips in one bilinear resampling."""
    import torch
    from torch.nn import functional

    n = len(grey)
    angle = _uniform(n, -augmentation.rotation_deg, augmentation.rotation_deg, grey, generator).view(n) * torch.pi / 180
    zoom = _zoom(grey, augmentation, generator)
    shift = torch.rand(n, 2, generator=generator).to(grey.device).sub_(0.5).mul_(4 * augmentation.translation)
    mirror = 1 - 2 * (torch.rand(n, generator=generator).to(grey.device) < augmentation.flip).float()
    cosine, sine = angle.cos() / zoom, angle.sin() / zoom
    columns = [cosine * mirror, -sine, shift[:, 0], sine * mirror, cosine, shift[:, 1]]
    if augmentation.vertical_flip:
        turned = 1 - 2 * (torch.rand(n, generator=generator).to(grey.device) < augmentation.vertical_flip).float()
        columns[1], columns[4] = columns[1] * turned, columns[4] * turned
    if augmentation.shear_deg:
        limit = augmentation.shear_deg * torch.pi / 180
        slant = _uniform(n, -limit, limit, grey, generator).view(n)
        for first in (0, 3):  # times [[cos, 0], [-sin, 1]], as Keras' shear_range
            columns[first] = columns[first] * slant.cos() - columns[first + 1] * slant.sin()
    grid = functional.affine_grid(torch.stack(columns, dim=1).view(n, 2, 3), list(grey.shape), align_corners=False)
    padding = _PADDING[augmentation.fill]
    return functional.grid_sample(grey, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def _zoom(grey: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """(N,) magnifications."""
    low = 0.0 if augmentation.zoom == "inwards" else -augmentation.scale
    drawn = _uniform(len(grey), low, augmentation.scale, grey, generator).view(-1)
    return drawn.exp() if augmentation.zoom == "log" else 1 + drawn


def _blurred(grey: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Some images lose detail as if they had come from a smaller picture."""
    import torch
    from torch.nn import functional

    chosen = torch.rand(len(grey), generator=generator) < augmentation.blur
    factor = 0.5 + 0.4 * torch.rand(1, generator=generator).item()
    if not chosen.any():
        return grey
    side = grey.shape[-1]
    small = functional.interpolate(
        grey[chosen], size=(int(side * factor),) * 2, mode="bilinear", antialias=True, align_corners=False
    )
    grey[chosen] = functional.interpolate(small, size=(side, side), mode="bilinear", align_corners=False)
    return grey


def _regraded(grey: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Gamma, contrast about the image's mean, brightness, noise: exposure and detector differ between hospitals."""
    import torch

    n = len(grey)
    gamma = _uniform(n, -augmentation.gamma, augmentation.gamma, grey, generator).exp()
    contrast = 1 + _uniform(n, -augmentation.contrast, augmentation.contrast, grey, generator)
    brightness = _uniform(n, -augmentation.brightness, augmentation.brightness, grey, generator)
    spread = _noise(grey, augmentation, generator)
    grey = grey.clamp(0, 1).pow(gamma)
    mean = grey.mean(dim=(1, 2, 3), keepdim=True)
    grey = (grey - mean) * contrast + mean + brightness
    if augmentation.noise:
        grey = grey + torch.randn(grey.shape, generator=generator).to(grey.device) * spread
    return grey.clamp(0, 1)


def _noise(grey: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """(N, 1, 1, 1) standard deviations."""
    if not augmentation.noise_probability:
        return _uniform(len(grey), 0, augmentation.noise, grey, generator)
    chosen = _uniform(len(grey), 0, 1, grey, generator) < augmentation.noise_probability
    return chosen.float() * augmentation.noise


def _erased(grey: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """One grey rectangle in some images, so that no single place (a marker, a corner) decides alone."""
    import torch

    n, _, side, _ = grey.shape
    chosen = torch.rand(n, generator=generator) < augmentation.erase
    area = 0.02 + 0.13 * torch.rand(n, generator=generator)
    ratio = (0.7 * (2 * torch.rand(n, generator=generator) - 1)).exp()
    height, width = (area * ratio).sqrt() * side, (area / ratio).sqrt() * side
    top, left = (
        torch.rand(n, generator=generator) * (side - height),
        torch.rand(n, generator=generator) * (side - width),
    )
    line = torch.arange(side)
    inside_rows = (line >= top[:, None]) & (line < (top + height)[:, None]) & chosen[:, None]  # (N, side)
    inside_columns = (line >= left[:, None]) & (line < (left + width)[:, None])  # (N, side)
    hole = (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None].to(grey.device)  # (N, 1, side, side)
    return torch.where(hole, grey.mean(dim=(1, 2, 3), keepdim=True), grey)
