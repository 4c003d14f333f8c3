"""Disease patterns of the phantom: what each adds to the attenuation, and the exact mask of where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxrlab.data.phantom_anatomy import LEFT, RIGHT, Anatomy, Field, Mask, Pose, smooth_noise, soft_step
from cxrlab.data.phantom_structures import Sheet, walk
from cxrlab.data.phantom_tissue import Thorax

MASK_LEVEL = 0.3  # a pixel belongs to the lesion where it has at least this share of the full pattern


@dataclass(frozen=True, eq=False)
class Lesion:
    """A pattern on the pixel grid.

    Args:
        added: attenuation (H, W) that it adds. mask: (H, W) where it is.
        veil: (H, W) in [0, 1], how far it hides vessels.
    """

    added: Field
    mask: Mask
    veil: Field


@dataclass(frozen=True, eq=False)
class Scene:
    """What a pattern needs to know: the place, its own generator, and how strong it is, in [0, 1]."""

    thorax: Thorax
    anatomy: Anatomy
    pose: Pose
    rng: np.random.Generator
    strength: float

    @property
    def size(self) -> int:
        return int(self.thorax.x.shape[0])

    def lung(self, side: int) -> Mask:
        return self.thorax.right if side == RIGHT else self.thorax.left


def step(value: NDArray[np.floating], width: float) -> Field:
    """A soft step from 0 to 1 at 0, logistic with the given width."""
    return soft_step(value / width)


def clear(scene: Scene) -> Lesion:
    """No disease: nothing is added."""
    nothing = np.zeros((scene.size, scene.size), np.float32)
    return Lesion(nothing, nothing.astype(bool), nothing)


def lobe(scene: Scene, side: int, name: str) -> Field:
    """Membership (H, W) in [0, 1] of a lobe: sharp at the fissure, soft elsewhere. Names: upper, middle, lower."""
    thorax = scene.thorax
    across = np.abs(thorax.x)
    fissure = -0.06 - 0.5 * scene.pose.breath + 0.10 * (across - 0.2) + (0.05 if side == LEFT else 0.0)
    above = step(fissure - thorax.y, 0.010)
    if name == "upper":
        return above
    oblique = thorax.inner + 0.62 * (thorax.wall - thorax.inner)
    front = step(oblique - across, 0.045)
    return (1 - above) * (front if name == "middle" else step(thorax.y - fissure - 0.08, 0.035) * (1 - 0.5 * front))


def lobar(scene: Scene) -> Lesion:
    """One consolidation bounded by a lobe, with a ragged soft edge; dense ones show air in the bronchi."""
    rng, thorax = scene.rng, scene.thorax
    side = RIGHT if rng.random() < 0.58 else LEFT
    name = str(rng.choice(["upper", "middle", "lower"], p=[0.32, 0.26, 0.42]))
    inside = lobe(scene, side, name) * scene.lung(side)
    seat = pick(rng, inside * np.clip(thorax.depth / 0.06, 0, 1))
    radius = rng.uniform(0.16, 0.36)
    u, v = (thorax.x - thorax.x[seat]) / radius, (thorax.y - thorax.y[seat]) / (radius * rng.uniform(0.85, 1.25))
    ragged = 0.30 * smooth_noise(rng, scene.size, 9) + 0.16 * smooth_noise(rng, scene.size, 24)
    weight = inside * step(1 - np.sqrt(u**2 + v**2) + ragged, 0.13)
    uneven = 1 + 0.13 * smooth_noise(rng, scene.size, 16)
    height = 0.26 + 0.62 * scene.strength
    added = height * weight * uneven
    if height > 0.45 and rng.random() < 0.7:
        added -= 0.22 * height * weight * bronchi(scene, side)
    return Lesion(added.astype(np.float32), weight > MASK_LEVEL, 0.75 * weight)


def bronchi(scene: Scene, side: int) -> Field:
    """Air-filled bronchi (H, W) in about [0, 1] that fan out from the hilum of a side."""
    count = 9
    fan = np.linspace(-1.25, 1.4, count) + scene.rng.normal(0, 0.08, count)
    paths, _ = walk(scene.rng, np.tile([0.15, -0.08], (count, 1)), fan, np.full(count, 0.5), 9)
    sheet = Sheet(scene.anatomy, scene.pose, scene.size)
    widths = np.linspace(0.022, 0.008, 9)[None].repeat(count, axis=0)
    sheet.tapered(paths * [side, 1], widths, np.ones_like(widths))
    return sheet.field(1.6)


def interstitial(scene: Scene) -> Lesion:
    """A net of fine lines with small knots through both lungs, denser towards the bases, under a thin veil."""
    rng, thorax = scene.rng, scene.thorax
    height = 0.12 + 0.26 * scene.strength
    base = rng.uniform(0.0, 0.5)
    down = np.clip((thorax.y - scene.anatomy.apex) / 1.15, 0, 1)
    where = (1 - base + base * down) * np.clip(0.85 + 0.28 * smooth_noise(rng, scene.size, 5), 0.25, 1.25)
    less = np.where(thorax.x > 0, rng.uniform(0.65, 1.0), rng.uniform(0.65, 1.0)).astype(np.float32)
    weight = np.clip(where * less, 0, 1).astype(np.float32) * thorax.lungs * np.clip(thorax.depth / 0.02, 0, 1)
    texture = net(rng, scene.size, rng.uniform(34, 56)) + rng.uniform(0.15, 0.45)
    added = height * weight * texture
    return Lesion(added.astype(np.float32), weight > MASK_LEVEL, 0.35 * weight)


def net(rng: np.random.Generator, size: int, cells: float) -> Field:
    """Fine lines where smooth noise crosses zero, at two scales, with grain and knots; mean about 0.3."""
    out = np.zeros((size, size), np.float32)
    for scale, share in ((1.0, 0.55), (1.55, 0.5)):
        line = np.exp(-((smooth_noise(rng, size, cells * scale) / 0.30) ** 2))
        out += share * line * np.clip(0.75 + 0.55 * smooth_noise(rng, size, 14), 0, 1.6)
    grain = smooth_noise(rng, size, cells * 1.2)
    knots = np.clip(smooth_noise(rng, size, 52) - 1.6, 0, 0.8)
    return (out + 0.13 * grain + 0.7 * knots).astype(np.float32)


def peripheral(scene: Scene) -> Lesion:
    """Patches of ground glass along the outer wall of both lungs, mostly in the middle and lower zones."""
    rng, thorax = scene.rng, scene.thorax
    height = 0.12 + 0.42 * scene.strength
    total = np.zeros_like(thorax.x)
    ragged = 0.32 * smooth_noise(rng, scene.size, 11) + 0.20 * smooth_noise(rng, scene.size, 26)
    for side in (RIGHT, LEFT):
        share = rng.uniform(0.5, 1.0)
        for _ in range(int(rng.integers(2, 5))):
            level = rng.uniform(-0.32, scene.anatomy.dome - scene.pose.breath + 0.02)
            out = scene.anatomy.chest_width - rng.uniform(0.05, 0.17)
            wide, tall = rng.uniform(0.08, 0.17), rng.uniform(0.09, 0.21)
            u, v = (side * thorax.x - out) / wide, (thorax.y - level) / tall
            patch = share * step(1 - np.sqrt(u**2 + v**2) + ragged, 0.20)
            total = np.maximum(total, patch * scene.lung(side))
    weight = ndimage.gaussian_filter(total, 2.0 * scene.size / 512) * thorax.lungs
    grain = 1 + 0.16 * smooth_noise(rng, scene.size, 38)
    return Lesion((height * weight * grain).astype(np.float32), weight > MASK_LEVEL, 0.25 * weight)


def pick(rng: np.random.Generator, weight: Field) -> tuple[int, int]:
    """A pixel (row, column) drawn with probability proportional to ``weight``; the same place at every size, nearly."""
    total = np.cumsum(weight, dtype=np.float64).ravel()
    place = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    row, column = divmod(min(place, weight.size - 1), weight.shape[1])
    return row, column


PATTERNS: dict[str, Callable[[Scene], Lesion]] = {
    "clear": clear,
    "lobar": lobar,
    "interstitial": interstitial,
    "peripheral": peripheral,
}
