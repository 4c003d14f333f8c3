"""One synthetic chest radiograph with everything known about it: lungs, lesion, class, patient, view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxrlab.config import in_range, one_of
from cxrlab.data.phantom_anatomy import Anatomy, Field, Mask, Pose, draw_anatomy, draw_pose, smooth_noise
from cxrlab.data.phantom_lesions import PATTERNS, Lesion, Scene
from cxrlab.data.phantom_structures import cables, girdle, ribs, spine, vessels
from cxrlab.data.phantom_tissue import Thorax, lay_out, soft_tissue
from cxrlab.labels import PHANTOM4

VIEWS = ("PA", "AP")
DIFFICULTY = 0.6  # the shipped small networks reach a mean one-against-rest AUC of 0.90 to 0.94


@dataclass(frozen=True, eq=False)
class PhantomImage:
    """A synthetic radiograph and its truth.

    Args:
        pixels: (H, W) uint8, air dark and bone bright.
        right_mask, left_mask: (H, W) bool, the patient's visible right lung (on the picture's left) and left lung.
        lesion_mask: (H, W) bool, empty for ``clear``.
        label: a class of ``PHANTOM4``. patient_id: e.g. ``phantom-0-0017``. view: ``PA`` or ``AP``.
        marker: whether a letter stands in the corner. strength: of the disease, in [0, 1]; 0 for ``clear``.
        seed, patient, shot: what it was made from.
    """

    pixels: NDArray[np.uint8]
    right_mask: Mask
    left_mask: Mask
    lesion_mask: Mask
    label: str
    patient_id: str
    view: str
    marker: bool
    strength: float
    seed: int
    patient: int
    shot: int

    @property
    def lung_mask(self) -> Mask:
        """(H, W) bool: both lungs."""
        return self.right_mask | self.left_mask


def stream(seed: int, patient: int, *key: int) -> np.random.Generator:
    """A generator of its own for each purpose, so that a change in one draws nothing from another."""
    return np.random.default_rng([seed, patient, *key])


def patient_label(patient: int) -> str:
    """The class of a patient: the four in turn, so that any run of patients is balanced."""
    return PHANTOM4.ids[patient % len(PHANTOM4)]


def make_phantom(
    seed: int,
    patient: int,
    shot: int,
    *,
    size: int = 512,
    label: str | None = None,
    view: str | None = None,
    difficulty: float = DIFFICULTY,
    strength: float | None = None,
    marker_class: str | None = None,
    marker_probability: float = 1.0,
) -> PhantomImage:
    """One radiograph, the same for the same arguments on every machine of equal library versions.

    Body, vessels and class belong to the patient; pose, exposure and the lesion's place change with the shot. With the
    same numbers and ``label="clear"`` one gets the same picture without the lesion.

    Args:
        seed, patient, shot: whole numbers from 0; together they decide everything that is not given below.
        size: side in pixels, 128 to 2048.
        label: a class of ``PHANTOM4``; None: the patient's own.
        view: ``PA`` or ``AP``; None: drawn for the shot.
        difficulty: in [0, 1]; how faint the faintest lesions are and how much else distracts.
        strength: of the lesion in [0, 1]; None: drawn from a range that ``difficulty`` sets.
        marker_class: pictures of this class carry a corner letter, others do not; None: no picture does.
        marker_probability: share of that class's pictures with the letter.

    Raises:
        ValueError: when an argument is out of its range; the sentence says which.

    Example:
        >>> make_phantom(0, 1, 0, size=128).label
        'lobar'
    """
    check_request(seed, patient, shot, size, label, view, difficulty, strength, marker_class, marker_probability)
    label = label or patient_label(patient)
    draw = stream(seed, patient, 1, shot)
    view = str(draw.choice(VIEWS, p=[0.55, 0.45])) if view is None else view
    draw = stream(seed, patient, 2, shot)
    anatomy, pose = draw_anatomy(stream(seed, patient)), draw_pose(draw, view)
    thorax = lay_out(anatomy, pose, size)
    if strength is None:
        strength = draw_strength(stream(seed, patient, 3, shot), difficulty)
    scene = Scene(thorax, anatomy, pose, stream(seed, patient, 4, shot), strength)
    lesion = PATTERNS[label](scene)
    attenuation = compose(seed, patient, shot, scene, lesion, difficulty)
    pixels = expose(attenuation, pose, stream(seed, patient, 6, shot))
    marker = label == marker_class and bool(stream(seed, patient, 7, shot).random() < marker_probability)
    if marker:
        stamp(pixels)
    return PhantomImage(
        pixels=pixels,
        right_mask=thorax.right,
        left_mask=thorax.left,
        lesion_mask=lesion.mask,
        label=label,
        patient_id=f"phantom-{seed}-{patient:04d}",
        view=view,
        marker=marker,
        strength=0.0 if label == "clear" else strength,
        seed=seed,
        patient=patient,
        shot=shot,
    )


def check_request(
    seed: int,
    patient: int,
    shot: int,
    size: int,
    label: str | None,
    view: str | None,
    difficulty: float,
    strength: float | None,
    marker_class: str | None,
    marker_probability: float,
) -> None:
    """Raise ValueError with the sentence for the first argument out of range."""
    for name, value in (("seed", seed), ("patient", patient), ("shot", shot)):
        in_range(name, value, 0, 2**63 - 1)
    in_range("size", size, 128, 2048)
    for name, given in (("label", label), ("marker_class", marker_class)):
        if given is not None:
            one_of(name, given, PHANTOM4.ids)
    if view is not None:
        one_of("view", view, VIEWS)
    in_range("difficulty", difficulty, 0, 1)
    in_range("strength", 0 if strength is None else strength, 0, 1)
    in_range("marker_probability", marker_probability, 0, 1)


def draw_strength(rng: np.random.Generator, difficulty: float) -> float:
    """A lesion's strength: at difficulty 0 in [0.6, 1], at 1 in [0, 0.6]."""
    low, high = (
        np.interp(difficulty, [0, 0.5, 1], [0.6, 0.1, 0.0]),
        np.interp(difficulty, [0, 0.5, 1], [1.0, 1.0, 0.6]),
    )
    return float(rng.uniform(low, high))


def compose(seed: int, patient: int, shot: int, scene: Scene, lesion: Lesion, difficulty: float) -> Field:
    """Attenuation (H, W) of the whole patient with lesion, bones, cables and harmless distractions."""
    anatomy, pose, thorax, size = scene.anatomy, scene.pose, scene.thorax, scene.size
    out = soft_tissue(anatomy, pose, thorax)
    out += vessels(stream(seed, patient, 5), anatomy, pose, thorax) * (1 - lesion.veil)
    out += lesion.added
    bones = ribs(anatomy, pose, size) + girdle(anatomy, pose, size) + spine(anatomy, pose, size)
    out += bones * np.clip(out, 0, 1)  # no bone where there is no body
    extra = stream(seed, patient, 8, shot)
    out += distractions(extra, thorax, anatomy, difficulty)
    if pose.wires:
        out += cables(extra, anatomy, pose, size)
    return out


def distractions(rng: np.random.Generator, thorax: Thorax, anatomy: Anatomy, difficulty: float) -> Field:
    """Attenuation of what the healthy show too: lung grain, uneven air, a collapsed plate, nipples, a skin fold."""
    size = thorax.x.shape[0]
    lungs = np.clip(thorax.depth / 0.03, 0, 1)
    out = lungs * (0.022 * smooth_noise(rng, size, 60) + (0.02 + 0.03 * difficulty) * smooth_noise(rng, size, 4))
    place = rng.uniform(0, 1, 6)
    if rng.random() < 0.5 * difficulty:  # a thin plate of collapsed lung over a dome
        side = 1 if place[0] < 0.5 else -1
        line = thorax.y - (thorax.floor - 0.10 - 0.12 * place[1]) - 0.35 * (place[2] - 0.5) * thorax.x
        along = np.exp(-(((side * thorax.x - 0.42) / 0.12) ** 2))
        out += lungs * 0.16 * along * np.exp(-((line / 0.010) ** 2))
    if anatomy.breast == 0 and rng.random() < 0.5 * difficulty:
        for side in (-1, 1):
            far = (side * thorax.x - 0.40 - 0.05 * place[3]) ** 2 + (thorax.y - 0.26) ** 2
            out += 0.16 * np.exp(-far / 0.018**2)
    if rng.random() < 0.4 * difficulty:
        edge = np.abs(thorax.x) - (0.50 + 0.15 * place[4]) - 0.18 * (place[5] - 0.5) * thorax.y
        side_only = (thorax.x > 0) == (place[0] < 0.5)
        out += 0.13 * np.exp(-np.clip(edge, 0, None) / 0.12) * (edge > 0) * side_only * (np.abs(thorax.y) < 0.6)
    return out.astype(np.float32)


def expose(attenuation: Field, pose: Pose, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The film (H, W) uint8: blur, scatter, tone curve, edge enhancement as digital systems do it, and noise."""
    size = attenuation.shape[0]
    scale = size / 512
    sharp = ndimage.gaussian_filter(attenuation, pose.blur * scale, truncate=3)
    wide = broad_blur(sharp)
    sharp = sharp + 0.22 * (sharp - wide)
    grey = 1 / (1 + np.exp(-(sharp - pose.centre) / pose.width))
    noise = rng.standard_normal((size, size), dtype=np.float32)
    noise = noise + 0.8 * ndimage.gaussian_filter(noise, 1.2 * scale, truncate=2) / 0.24
    grey = 0.02 + 0.93 * grey + pose.noise * 0.75 * noise * (0.6 + 0.45 * grey)
    return (np.clip(grey, 0, 1) * 255 + 0.5).astype(np.uint8)


def broad_blur(field: Field) -> Field:
    """A Gaussian blur of about 9 % of the side, computed on an eighth of the pixels a side."""
    size = field.shape[0]
    small = ndimage.zoom(field, 64 / size, order=1)
    return ndimage.zoom(ndimage.gaussian_filter(small, 3.0, mode="nearest"), size / 64, order=1)[:size, :size]


def stamp(pixels: NDArray[np.uint8]) -> None:
    """Write a bright L into the upper right corner, where a radiographer marks the patient's left."""
    unit = pixels.shape[0] / 512
    top, right, height, width, stroke = (round(value * unit) for value in (26, 482, 34, 22, 7))
    pixels[top : top + height, right - width : right - width + stroke] = 245
    pixels[top + height - stroke : top + height, right - width : right] = 245
