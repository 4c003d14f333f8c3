"""Bones, lung vessels and cables of the phantom: shapes that are drawn as strokes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from cxrlab.data.phantom_anatomy import LEFT, RIGHT, Anatomy, Field, Pose, to_picture
from cxrlab.data.phantom_tissue import Thorax, wall

Points = NDArray[np.float64]
OVERSAMPLING = 2  # strokes are drawn at twice the size and averaged, Pillow draws without smooth edges


# Corners of the left shoulder blade in PA, from the upper inner one around, and its ridge.
BLADE = np.array(
    [
        [0.70, 0.745, 0.765, 0.81, 0.86, 0.90, 0.99, 0.97, 0.82],
        [-0.60, -0.38, -0.20, -0.03, -0.12, -0.36, -0.52, -0.62, -0.66],
    ]
).T
BLADE_RIDGE = np.array([[0.73, -0.52], [0.85, -0.60], [1.0, -0.67]])


class Sheet:
    """A drawing in body coordinates that becomes a field (H, W). A later stroke covers an earlier one."""

    def __init__(self, anatomy: Anatomy, pose: Pose, size: int) -> None:
        self._anatomy, self._pose, self._size = anatomy, pose, size
        self._image = Image.new("F", (size * OVERSAMPLING, size * OVERSAMPLING), 0.0)
        self._draw = ImageDraw.Draw(self._image)

    def pixels(self, points: Points) -> Points:
        """Drawing coordinates of body points (..., 2)."""
        return (to_picture(self._anatomy, self._pose, points) + 1) * (self._size * OVERSAMPLING / 2)

    def length(self, units: float) -> float:
        """Drawing pixels of a body length."""
        return units * self._pose.zoom * self._size * OVERSAMPLING / 2

    def area(self, outline: Points, value: float) -> None:
        """Fill a polygon (n, 2)."""
        self._draw.polygon([tuple(point) for point in self.pixels(outline)], fill=value)

    def line(self, path: Points, width: float, value: float) -> None:
        """Draw a polyline (n, 2) of a width in body units."""
        pixels = max(1, round(self.length(width)))
        self._draw.line([tuple(point) for point in self.pixels(path)], fill=value, width=pixels, joint="curve")

    def tapered(self, paths: Points, widths: Points, values: Points) -> None:
        """Draw paths (n, steps, 2) whose width and value (n, steps) change on the way."""
        places = self.pixels(paths)
        strokes = np.maximum(1, np.rint(self.length(1.0) * widths)).astype(int)
        for path, stroke, value in zip(places.tolist(), strokes.tolist(), values.tolist(), strict=True):
            for start, end, width, height in zip(path, path[1:], stroke, value, strict=False):
                self._draw.line([*start, *end], fill=height, width=width)

    def field(self, blur: float) -> Field:
        """The drawing (size, size) float32, blurred by ``blur`` pixels at 512 px."""
        out = np.asarray(self._image.reduce(OVERSAMPLING), np.float32)
        return ndimage.gaussian_filter(out, blur * self._size / 512, truncate=3)


def circle(count: int) -> Points:
    """Points (count, 2) on the closed unit circle."""
    angles = np.linspace(0, 2 * np.pi, count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def bezier(controls: Points, steps: int = 28) -> Points:
    """Points (steps, 2) on the Bézier curve of 3 or 4 control points."""
    t = np.linspace(0, 1, steps)[:, None]
    points = np.repeat(np.asarray(controls, float)[:, None], steps, axis=1)
    while len(points) > 1:
        points = (1 - t) * points[:-1] + t * points[1:]
    return points[0]


def ribbon(path: Points, half_widths: NDArray[np.floating]) -> tuple[Points, Points]:
    """The two edges (n, 2) of a band around a path."""
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) * np.asarray(half_widths)[:, None]
    return path + normal, path - normal


def bone(sheet: Sheet, path: Points, half_widths: NDArray[np.floating], *, inside: float, cortex: float) -> None:
    """A long bone: an even inside between two denser edges."""
    upper, lower = ribbon(path, half_widths)
    sheet.area(np.concatenate([upper, lower[::-1]]), inside)
    sheet.line(upper, 0.007, cortex)
    sheet.line(lower, 0.006, cortex)


def rib_paths(anatomy: Anatomy, side: int, number: int) -> tuple[Points, Points]:
    """Back and front arc (28, 2) of rib ``number`` (1 to 11) on a side."""
    start = -0.735 + anatomy.rib_spacing * (number - 1) + 0.0012 * number**2
    drop = anatomy.rib_drop * (0.45 + 0.09 * number)
    turn = start + drop
    reach = float(wall(anatomy, np.array(turn))) + 0.002
    back = bezier(
        np.array(
            [[0.06, start + 0.02], [0.30 * reach + 0.05, start - 0.055], [0.92 * reach, start - 0.03], [reach, turn]]
        )
    )
    end = np.array([0.20 + 0.018 * number, turn + 0.16 + 0.014 * number])
    front = bezier(
        np.array([[reach, turn], [reach + 0.012, turn + 0.08], [0.62 * reach, turn + 0.19 + 0.01 * number], end])
    )
    mirror = np.array([side, 1.0])
    return back * mirror, front * mirror


def ribs(anatomy: Anatomy, pose: Pose, size: int) -> Field:
    """Attenuation of the ribs: back arcs, and fainter, broader front arcs."""
    back, front = Sheet(anatomy, pose, size), Sheet(anatomy, pose, size)
    back_shift, front_shift = np.array([-0.6 * pose.yaw, 0.0]), np.array([0.8 * pose.yaw, -0.25 * pose.breath])
    for side in (RIGHT, LEFT):
        for number in range(1, 12):
            behind, ahead = rib_paths(anatomy, side, number)
            weight = 1.0 if number < 11 else 0.6
            bone(back, behind + back_shift, np.linspace(0.019, 0.024, 28), inside=0.17 * weight, cortex=0.30 * weight)
            if number < 9:
                bone(front, ahead + front_shift, np.linspace(0.022, 0.029, 28), inside=0.10, cortex=0.17)
    return back.field(1.3) + front.field(1.9)


def girdle(anatomy: Anatomy, pose: Pose, size: int) -> Field:
    """Attenuation of clavicles, shoulder blades and upper arms; in AP the blades lie over the lungs."""
    collar, blade = Sheet(anatomy, pose, size), Sheet(anatomy, pose, size)
    inwards, lift = (0.15, -0.05) if pose.view == "AP" else (0.0, 0.0)
    for side in (RIGHT, LEFT):
        mirror = np.array([side, 1.0])
        path = bezier(
            np.array([[0.055, -0.545], [0.30, -0.53], [0.48, -0.83], [0.95, -0.72]]) + np.array([0, lift]), 40
        )
        along = np.linspace(0, 1, 40)
        widths = 0.021 + 0.012 * np.exp(-along / 0.1) + 0.006 * along**3
        bone(collar, path * mirror + [pose.yaw, 0], widths, inside=0.30, cortex=0.46)
        outline = (BLADE - [inwards, lift / 2]) * mirror
        blade.area(outline, 0.12)
        blade.line(outline[:5], 0.011, 0.27)
        blade.line(outline[4:7], 0.016, 0.22)
        blade.line((BLADE_RIDGE - [inwards, lift / 2]) * mirror, 0.022, 0.20)
        head = np.array([1.06, -0.55]) + np.array([0.115, 0.12]) * circle(40) - [inwards * 0.5, 0]
        blade.area(head * mirror, 0.34)
        blade.line(head * mirror, 0.010, 0.45)
        shaft = np.array([[1.10, -0.52], [1.17, -0.30], [1.22, 0.10]]) - [inwards * 0.5, 0]
        bone(blade, shaft * mirror, np.array([0.075, 0.055, 0.055]), inside=0.30, cortex=0.45)
    return collar.field(1.2) + blade.field(2.4)


def spine(anatomy: Anatomy, pose: Pose, size: int) -> Field:
    """Attenuation of the vertebrae: bodies with end plates, pedicles and spinous processes."""
    sheet = Sheet(anatomy, pose, size)
    edges = -1.02 + np.cumsum(np.r_[0.0, np.linspace(0.088, 0.128, 20)])
    for top, bottom in pairwise(edges):
        middle, height = (top + bottom) / 2, bottom - top
        centre = anatomy.scoliosis * np.sin(2.4 * middle) - 0.8 * pose.yaw
        shift = np.array([centre, 0.0])
        half = 0.062 + 0.016 * (middle + 1) / 2
        upper, lower = top + 0.10 * height, bottom - 0.06 * height
        waist = half * 0.90
        outline = np.array(
            [[-half, upper], [half, upper], [waist, middle], [half, lower], [-half, lower], [-waist, middle]]
        )
        sheet.area(outline + shift, 0.24)
        sheet.line(outline[:2] + shift, 0.008, 0.34)
        sheet.line(outline[3:5] + shift, 0.008, 0.32)
        sheet.line(outline[1:4] + shift, 0.007, 0.30)
        sheet.line(outline[[4, 5, 0]] + shift, 0.007, 0.30)
        for side in (RIGHT, LEFT):
            pedicle = circle(20) * [0.013, 0.2 * height]
            sheet.area(pedicle + shift + (side * 0.62 * half - 0.3 * pose.yaw, middle - 0.1 * height), 0.40)
        process = circle(20) * [0.010, 0.26 * height]
        sheet.area(process + shift + (-0.6 * pose.yaw, middle + 0.25 * height), 0.30)
    return sheet.field(1.9)


def walk(
    rng: np.random.Generator,
    start: Points,
    heading: Points,
    length: Points,
    steps: int,
    *,
    bend: Points | float = 0.0,
) -> tuple[Points, Points]:
    """Winding paths (n, steps, 2) from ``start`` (n, 2), and their headings (n, steps) in radians.

    ``bend`` (n,) is the mean turn a step.
    """
    turns = rng.normal(0, 0.13, (len(start), steps)) + np.broadcast_to(bend, len(start))[:, None]
    turns = heading[:, None] + np.cumsum(turns, axis=1)
    stride = (length / (steps - 1))[:, None, None] * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    stride[:, 0] = 0
    return start[:, None] + np.cumsum(stride, axis=1), turns


def branches(rng: np.random.Generator, paths: Points, turns: Points, each: int) -> tuple[Points, Points]:
    """Starts (n * each, 2) and headings of side branches of paths (n, steps, 2)."""
    count, steps = turns.shape
    at = np.sort(rng.integers(1, steps - 1, (count, each)), axis=1)
    sign = np.where(np.arange(each) % 2, 1.0, -1.0)[None, :] * np.where(rng.random((count, 1)) < 0.5, 1, -1)
    rows = np.arange(count)[:, None]
    heading = turns[rows, at] + sign * rng.uniform(0.45, 0.95, (count, each))
    return paths[rows, at].reshape(-1, 2), heading.reshape(-1)


def vessel_tree(rng: np.random.Generator, side: int) -> list[tuple[Points, Points]]:
    """Three generations, thinnest first, of (paths (n, steps, 2), widths (n, steps)) from the hilum of a side."""
    hilum = np.array([0.150 if side == RIGHT else 0.165, -0.08 if side == RIGHT else -0.12])
    fan = np.deg2rad(np.array([-80, -68, -55, -40, -20, 6, 28, 44, 57, 68, 78, 86]))
    heading = 1.12 * fan + rng.normal(0, 0.12, len(fan))
    start = hilum + rng.normal(0, 0.018, (len(fan), 2)) + 0.085 * np.stack([np.zeros(len(fan)), np.sin(fan)], axis=1)
    length = rng.uniform(0.36, 0.56, len(fan)) * np.where(np.abs(fan) > 0.9, 1.1, 0.85)
    trunk, turns = walk(rng, start, heading, length, 12, bend=-0.055 * fan)
    widths = np.linspace(1, 0.2, 12)[None] * rng.uniform(0.012, 0.022, (len(fan), 1))
    out = [(trunk, widths)]
    for each, reach, thick in ((5, 0.20, 0.0085), (3, 0.11, 0.0050)):
        begin, towards = branches(rng, trunk, turns, each)
        trunk, turns = walk(rng, begin, towards, reach * rng.uniform(0.6, 1.3, len(begin)), 7)
        out.append((trunk, np.linspace(1, 0.4, 7)[None] * thick * rng.uniform(0.7, 1.3, (len(begin), 1))))
    mirror = np.array([side, 1.0])
    return [(paths * mirror, widths) for paths, widths in reversed(out)]


def vessels(rng: np.random.Generator, anatomy: Anatomy, pose: Pose, thorax: Thorax) -> Field:
    """Attenuation of hila and branching lung vessels; ``rng`` is the patient's, so that they stay from shot to shot."""
    size = thorax.x.shape[0]
    sheet = Sheet(anatomy, pose, size)
    for side in (RIGHT, LEFT):
        for paths, widths in vessel_tree(rng, side):
            paths = paths * [1, 1 - 0.45 * pose.breath] + [0.5 * pose.yaw, 0]
            sheet.tapered(paths, widths, 0.05 + 12.0 * widths)
    drawn = sheet.field(1.0)
    fade = np.clip(thorax.depth / 0.10, 0, 1) ** 0.7
    hila = sum(hilum_shadow(thorax, side, anatomy, pose) for side in (RIGHT, LEFT))
    return (anatomy.vascularity * (drawn * fade + hila)).astype(np.float32)


def hilum_shadow(thorax: Thorax, side: int, anatomy: Anatomy, pose: Pose) -> Field:
    """The root of a lung: a comma of vessels beside the heart, the left one higher."""
    u = side * (thorax.x - 0.5 * pose.yaw) - 0.15
    v = thorax.y + (0.07 if side == RIGHT else 0.11)
    body = np.exp(-(((u - 0.12 * v) / 0.055) ** 2) - (v / 0.11) ** 2)
    return (0.34 * body * (side * thorax.x > 0)).astype(np.float32)


def cables(rng: np.random.Generator, anatomy: Anatomy, pose: Pose, size: int) -> Field:
    """Attenuation of monitoring cables and electrodes that lie on the patient."""
    sheet = Sheet(anatomy, pose, size)
    for _ in range(pose.wires):
        end = np.array([rng.uniform(-0.6, 0.6), rng.uniform(-0.45, 0.35)])
        leave = np.array([rng.choice([-1.1, 1.1]), rng.uniform(-0.2, 1.0)])
        middle = (end + leave) / 2 + rng.normal(0, 0.18, 2)
        sheet.line(bezier(np.stack([end, middle, leave]), 40), 0.007, 0.40)
        sheet.area(end + 0.026 * circle(24), 0.18)
        sheet.area(end + 0.011 * circle(24), 0.75)
    return sheet.field(0.8)
