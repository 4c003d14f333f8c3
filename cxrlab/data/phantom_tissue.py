"""Where the organs of the phantom end, and what they attenuate without bones and vessels.

Attenuation is in arbitrary units in which a healthy lung is about 0.9 and the heart about 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from cxrlab.data.phantom_anatomy import Anatomy, Field, Mask, Pose, body_grid, rounded, soft_step


def wall(anatomy: Anatomy, y: NDArray[np.floating]) -> NDArray[np.floating]:
    """Half width inside the ribs at height ``y``."""
    part = np.clip((y - anatomy.apex) / 1.05, 0, 1)
    return 0.29 + (anatomy.chest_width - 0.29) * (1 - (1 - part) ** 2.5) ** (1 / 2.1)


def diaphragm(anatomy: Anatomy, pose: Pose, x: NDArray[np.floating]) -> NDArray[np.floating]:
    """y of the diaphragm over ``x``: two domes, the left one lower, falling steeply towards the ribs."""
    side = x > 0
    top = anatomy.dome - pose.breath + np.where(side, 0.045, 0.0)
    peak = np.where(side, 0.34, 0.31)
    outwards = np.clip((np.abs(x) - peak) / (anatomy.chest_width - peak), 0, 1.2)
    inwards = np.clip((peak - np.abs(x)) / peak, 0, 1)
    return top + 0.23 * outwards**2.4 + 0.07 * inwards**2


def mediastinum(anatomy: Anatomy, pose: Pose, y: NDArray[np.floating]) -> tuple[Field, Field]:
    """x of the right and the left border of heart and great vessels at height ``y``."""
    heart, knob = anatomy.heart * pose.heart_zoom, anatomy.knob
    lift = pose.breath * 0.7
    heights = np.array([-1.2, -0.72, -0.50, -0.36, -0.27, -0.18, -0.08, 0.06, 0.22, 0.36, 0.46, 0.60, 1.2])
    heights[6:] -= lift * np.array([0.2, 0.5, 0.8, 1, 1, 1, 1])
    right = np.array([0.10, 0.10, 0.105, 0.11, 0.115, 0.12, 0.125, 0.165, 0.20, 0.195, 0.17, 0.13, 0.13])
    left = np.array([0.10, 0.10, 0.105, 0.12, 0.115, 0.12, 0.15, 0.23, 0.345, 0.43, 0.45, 0.38, 0.38])
    left[3:5] += 0.05 * knob * np.array([1.0, 0.55])
    right[6:] *= heart
    left[6:] *= heart
    turned = pose.yaw * np.linspace(0.4, 1.6, len(heights))
    borders = PchipInterpolator(heights, np.stack([turned - right, turned + left], axis=-1))(y)
    return borders[..., 0].astype(np.float32), borders[..., 1].astype(np.float32)


@dataclass(frozen=True, eq=False)
class Thorax:
    """The organs on the pixel grid, all (H, W).

    Args:
        x, y: body coordinates. right, left: visible lungs (beside heart and above diaphragm).
        depth: distance to the lung border inside the lungs, 0 outside. wall: half width inside the ribs.
        floor: y of the diaphragm. inner: |x| of the medial lung border.
    """

    x: Field
    y: Field
    right: Mask
    left: Mask
    depth: Field
    wall: Field
    floor: Field
    inner: Field

    @property
    def lungs(self) -> Mask:
        return self.right | self.left


def lay_out(anatomy: Anatomy, pose: Pose, size: int) -> Thorax:
    """The organs of one shot on a ``size`` x ``size`` grid."""
    x, y = body_grid(anatomy, pose, size)
    # Contours depend on one coordinate each: looked up in fine tables instead of computed a pixel.
    line = np.linspace(-1.6, 1.6, 3201)
    right_border, left_border = mediastinum(anatomy, pose, line)
    half = np.interp(y, line, wall(anatomy, line)).astype(np.float32)
    floor = np.interp(x, line, diaphragm(anatomy, pose, line)).astype(np.float32)
    apex_part = np.clip((y - anatomy.apex) / 0.2, 0, 1)
    apex_inner = 0.29 - 0.25 * rounded(apex_part)
    border = np.where(x > 0, np.interp(y, line, left_border), -np.interp(y, line, right_border)).astype(np.float32)
    inner = np.maximum(border, apex_inner)
    inside = (np.abs(x) > inner) & (np.abs(x) < half) & (y < floor) & (y > anatomy.apex)
    right, left = largest_part(inside & (x < 0)), largest_part(inside & (x > 0))
    inside = right | left
    depth = (ndimage.distance_transform_edt(inside) * (2 / size / pose.zoom)).astype(np.float32)
    return Thorax(x, y, right, left, depth, half, floor, inner)


def largest_part(mask: Mask) -> Mask:
    """The largest connected part: a turned heart may cut a speck off the lung's corner."""
    parts, count = ndimage.label(mask)
    return parts == np.bincount(parts.ravel())[1:].argmax() + 1 if count > 1 else mask


def soft_tissue(anatomy: Anatomy, pose: Pose, thorax: Thorax) -> Field:
    """Attenuation (H, W) of body, lungs, heart, great vessels, abdomen, breasts and airways, without bone."""
    body = body_thickness(anatomy, pose, thorax)
    size = body.shape[0]
    heart = ~thorax.lungs & (thorax.y < thorax.floor) & (np.abs(thorax.x) < thorax.inner + 0.002)
    heart_depth = np.clip((thorax.inner - np.abs(thorax.x)) / 0.16, 0, 1) * heart
    below = np.clip((thorax.y - thorax.floor) / 0.25, 0, 1)
    air = ndimage.gaussian_filter(rounded(thorax.depth / 0.19), 1.1 * size / 512)
    # Lung bases hold more tissue and, standing, more blood than the tops.
    aeration = 1.06 - 0.12 * np.clip((thorax.y + 0.7) / 1.2, 0, 1)
    out = body * (1.80 + 0.25 * anatomy.habitus)
    out += (0.30 * rounded(heart_depth) + 0.28 * rounded(below)) * np.minimum(body * 1.2, 1)
    out -= air * aeration * (0.92 + 0.08 * anatomy.habitus)
    out += breasts(anatomy, thorax) - windpipe(anatomy, pose, thorax) - stomach_bubble(anatomy, thorax)
    return out.astype(np.float32)


def body_thickness(anatomy: Anatomy, pose: Pose, thorax: Thorax) -> Field:
    """Relative thickness (H, W) in [0, 1] of the body: neck, shoulders, trunk; arms are cut off by the film's edge."""
    across, y = np.abs(thorax.x), thorax.y
    slope = 0.30 if pose.view == "PA" else 0.22
    neck = 0.21 + 0.05 * anatomy.habitus
    shoulder = -1.35 + 0.43 * soft_step((across - neck) / 0.045) + slope * np.clip(across - neck, 0, None)
    side = 0.90 + 0.13 * anatomy.habitus + 0.05 * y + 0.5 * soft_step(-(y + 0.34) / 0.05)
    if pose.view == "AP":
        side = side + 0.08
    trunk = rounded((side - across) / 0.42)
    return (rounded((y - shoulder) / 0.42) ** 0.8 * trunk**0.7 * (1 - 0.14 * np.clip(across, 0, 1) ** 2)).astype(
        np.float32
    )


def breasts(anatomy: Anatomy, thorax: Thorax) -> Field:
    """Attenuation of breast shadows: the lower edge is sharp, the upper one fades."""
    if not anatomy.breast:
        return np.zeros_like(thorax.x)
    radius = 0.25 + 0.08 * anatomy.breast
    u, v = (np.abs(thorax.x) - 0.44) / radius, (thorax.y - 0.26) / (radius * 1.05)
    inside = rounded(1 - np.sqrt(u**2 + v**2))
    return (0.30 * anatomy.breast * inside * np.clip(0.55 + 0.6 * v, 0, 1)).astype(np.float32)


def windpipe(anatomy: Anatomy, pose: Pose, thorax: Thorax) -> Field:
    """Attenuation missing where trachea and main bronchi hold air."""
    x, y = thorax.x, thorax.y
    fork = -0.22
    middle = pose.yaw * 0.6 - 0.022 * anatomy.knob * np.exp(-(((y + 0.36) / 0.12) ** 2))
    tube = rounded(1 - np.abs(x - middle) / 0.036) * soft_step((fork - y) / 0.012)
    down = np.clip(y - fork, 0, None)
    right = rounded(1 - np.abs(x - middle + 0.75 * down) / 0.030)
    left = rounded(1 - np.abs(x - middle - 1.25 * down) / 0.032)
    bronchi = np.maximum(right, left) * (y >= fork) * np.clip(1 - down / 0.13, 0, 1)
    return (0.42 * np.maximum(tube, 0.7 * bronchi)).astype(np.float32)


def stomach_bubble(anatomy: Anatomy, thorax: Thorax) -> Field:
    """Attenuation missing where gas lies under the left dome."""
    if not anatomy.stomach:
        return np.zeros_like(thorax.x)
    radius = 0.07 + 0.06 * anatomy.stomach
    u, v = (thorax.x - 0.33) / (radius * 1.35), (thorax.y - thorax.floor - 0.05 - radius * 0.8) / radius
    return (0.55 * anatomy.stomach * rounded(1.0 - np.sqrt(u**2 + v**2))).astype(np.float32)
