"""A made-up patient: what is fixed, what changes from shot to shot, and the body's own coordinates.

Coordinates are (x, y) in half sides of the picture: x grows to the picture's right (the patient's left), y downwards,
both in [-1, 1] before pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]
RIGHT, LEFT = -1, 1  # the patient's sides; the patient's right is on the picture's left


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What stays the same in all pictures of a patient. Lengths in half sides, y downwards.

    Args:
        chest_width: half width inside the ribs. apex: y of the lung tops.
        dome: y of the right diaphragm on deep breath. heart: relative size. knob: bulge of the aortic arch.
        habitus: soft tissue in [0, 1]. breast: shadow in [0, 1]. vascularity: relative strength of lung vessels.
        rib_spacing, rib_drop: of the rib arcs. scoliosis: bend of the spine. stomach: gas in [0, 1].
        warp: (2, 3, 4) frequencies in x and y, phase and amplitude of the bends that make every body asymmetric.
    """

    chest_width: float
    apex: float
    dome: float
    heart: float
    knob: float
    habitus: float
    breast: float
    vascularity: float
    rib_spacing: float
    rib_drop: float
    scoliosis: float
    stomach: float
    warp: NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """What changes from shot to shot.

    Args:
        view: ``AP`` or ``PA``. angle: radians. shift: of the picture. zoom: relative.
        yaw: turn about the long axis, as the shift of the front against the back.
        breath: how far the diaphragm is up from deep breath. heart_zoom: magnification of the heart by the view.
        centre, width: of the tone curve in attenuation units.
        noise: standard deviation of the film noise in the [0, 1] grey range. blur: pixels at 512 px.
        wires: number of cables on the patient.
    """

    view: str
    angle: float
    shift: tuple[float, float]
    zoom: float
    yaw: float
    breath: float
    heart_zoom: float
    centre: float
    width: float
    noise: float
    blur: float
    wires: int


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """A patient from ``rng``."""
    warp = np.stack(
        [
            rng.uniform(-2.4, 2.4, (2, 3)),
            rng.uniform(-2.4, 2.4, (2, 3)),
            rng.uniform(0, 2 * np.pi, (2, 3)),
            rng.uniform(0.004, 0.016, (2, 3)),
        ],
        axis=-1,
    )
    return Anatomy(
        chest_width=float(np.clip(rng.normal(0.70, 0.028), 0.63, 0.77)),
        apex=float(rng.normal(-0.75, 0.025)),
        dome=float(np.clip(rng.normal(0.43, 0.04), 0.34, 0.52)),
        heart=float(np.clip(rng.normal(1.0, 0.09), 0.82, 1.25)),
        knob=float(rng.uniform(0.5, 1.4)),
        habitus=float(rng.beta(2.0, 2.5)),
        breast=float(rng.uniform(0.25, 1.0) if rng.random() < 0.45 else 0.0),
        vascularity=float(rng.uniform(0.65, 1.45)),
        rib_spacing=float(rng.normal(0.113, 0.003)),
        rib_drop=float(rng.normal(0.17, 0.025)),
        scoliosis=float(rng.normal(0.0, 0.012)),
        stomach=float(rng.random() if rng.random() < 0.6 else 0.0),
        warp=warp,
    )


def draw_pose(rng: np.random.Generator, view: str) -> Pose:
    """A shot from ``rng``: AP means a larger heart, a higher diaphragm, less exposure and sometimes cables."""
    ap = view == "AP"
    wires = int(rng.integers(1, 4)) if ap and rng.random() < 0.5 else 0
    return Pose(
        view=view,
        angle=float(np.deg2rad(rng.normal(0, 2.2 if ap else 1.3))),
        shift=(float(rng.normal(0, 0.025)), float(rng.normal(0.06, 0.025))),
        zoom=float(rng.normal(1.13, 0.035)),
        yaw=float(rng.normal(0, 0.022 if ap else 0.012)),
        breath=float(rng.uniform(0.05, 0.20) if ap else rng.uniform(0.0, 0.09)),
        heart_zoom=float(rng.uniform(1.10, 1.28) if ap else rng.uniform(0.94, 1.04)),
        centre=float(rng.normal(1.46 if ap else 1.55, 0.07)),
        width=float(rng.uniform(0.40, 0.54) if ap else rng.uniform(0.35, 0.48)),
        noise=float(rng.uniform(0.012, 0.026) if ap else rng.uniform(0.006, 0.018)),
        blur=float(rng.uniform(0.8, 1.7) if ap else rng.uniform(0.6, 1.2)),
        wires=wires,
    )


def bends(anatomy: Anatomy, x: NDArray[np.floating], y: NDArray[np.floating]) -> tuple[Field, Field]:
    """Displacement (dx, dy) that turns the ideal body into this patient's; same shape as ``x``."""
    out = []
    for terms in anatomy.warp:
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
        for fx, fy, phase, amplitude in terms:
            total += np.float32(amplitude) * np.sin(np.float32(fx) * x + np.float32(fy) * y + np.float32(phase))
        out.append(total)
    return out[0], out[1]


def body_grid(anatomy: Anatomy, pose: Pose, size: int) -> tuple[Field, Field]:
    """Body coordinates (x, y), each (size, size) float32, of every pixel centre."""
    line = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    px, py = line[None, :] - np.float32(pose.shift[0]), line[:, None] - np.float32(pose.shift[1])
    cos, sin = np.float32(np.cos(pose.angle) / pose.zoom), np.float32(np.sin(pose.angle) / pose.zoom)
    x, y = cos * px + sin * py, cos * py - sin * px
    dx, dy = bends(anatomy, x, y)
    return x + dx, y + dy


def to_picture(anatomy: Anatomy, pose: Pose, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Picture coordinates of body points (..., 2): the inverse of :func:`body_grid`, by fixed-point iteration."""
    terms = anatomy.warp.reshape(6, 4)
    ideal = inner = np.asarray(points, np.float64)
    for _ in range(4):  # the bends change by less than 0.1 a unit, so each round gains a decimal
        waves = terms[:, 3] * np.sin(inner @ terms[:, :2].T + terms[:, 2])  # (..., 6): three for x, three for y
        inner = ideal - waves.reshape(*waves.shape[:-1], 2, 3).sum(axis=-1)
    cos, sin = np.cos(pose.angle) * pose.zoom, np.sin(pose.angle) * pose.zoom
    return inner @ np.array([[cos, sin], [-sin, cos]]) + pose.shift


def rounded(depth: NDArray[np.floating]) -> Field:
    """Thickness of a round edge: 0 outside, rising like a circle to 1 at ``depth`` 1."""
    return np.sqrt(1 - (1 - np.clip(depth, 0, 1)) ** 2).astype(np.float32, copy=False)


def soft_step(value: NDArray[np.floating]) -> Field:
    """The logistic function, from 0 to 1, safe for any argument."""
    return (0.5 + 0.5 * np.tanh(0.5 * value)).astype(np.float32)


def smooth_noise(rng: np.random.Generator, size: int, cells: float) -> Field:
    """Noise (size, size) of mean 0 and variance about 1 with ``cells`` bumps along a side, the same at every size."""
    grid = int(np.ceil(cells)) + 4
    coarse = Image.fromarray(rng.standard_normal((grid, grid)).astype(np.float32))
    box = (2.0, 2.0, 2.0 + cells, 2.0 + cells)
    field = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC, box=box))
    return (field / max(float(field.std()), 1e-6)).astype(np.float32)
