"""Properties of the synthetic radiographs, and that sets of them are written whole or not at all."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from cxrlab.config import repository
from cxrlab.data import phantom as sets
from cxrlab.data.phantom import (
    BUNDLED_SEED,
    SAMPLE_SEED,
    SAMPLES,
    TRAINING_SEED,
    PhantomImage,
    bundled_phantom_set,
    make_phantom,
    make_sample,
    phantom_shots,
    write_phantom_set,
    write_samples,
)
from cxrlab.data.phantom_anatomy import body_grid, draw_anatomy, draw_pose, to_picture
from cxrlab.data.phantom_render import patient_label
from cxrlab.labels import PHANTOM4
from cxrlab.progress import Cancelled

SIZE = 128
DISEASES = ("lobar", "interstitial", "peripheral")


def rows_of(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def crowd() -> list[PhantomImage]:
    return [make_phantom(11, patient, 0, size=SIZE, view=("PA", "AP")[patient // 4 % 2]) for patient in range(8)]


def test_same_numbers_give_same_picture() -> None:
    first, second = make_phantom(5, 3, 1, size=SIZE), make_phantom(5, 3, 1, size=SIZE)
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.lesion_mask, second.lesion_mask)


def test_global_random_state_is_neither_used_nor_changed() -> None:
    np.random.seed(1)
    first = make_phantom(5, 3, 1, size=SIZE).pixels
    after = np.random.get_state()[1].copy()
    np.random.seed(1)
    assert np.array_equal(np.random.get_state()[1], after)
    np.random.seed(2)
    assert np.array_equal(first, make_phantom(5, 3, 1, size=SIZE).pixels)


@pytest.mark.parametrize("other", [(6, 3, 1), (5, 7, 1), (5, 3, 2), (5, 3, 0)])
def test_every_number_changes_the_picture(other: tuple[int, int, int]) -> None:
    first, second = make_phantom(5, 3, 1, size=SIZE, view="PA"), make_phantom(*other, size=SIZE, view="PA")
    assert np.abs(first.pixels.astype(int) - second.pixels).mean() > 4


def test_picture_is_eight_bit_and_uses_the_grey_range(crowd: list[PhantomImage]) -> None:
    for phantom in crowd:
        assert phantom.pixels.shape == (SIZE, SIZE)
        assert phantom.pixels.dtype == np.uint8
        assert np.percentile(phantom.pixels, 2) < 80
        assert np.percentile(phantom.pixels, 98) > 180
        assert (phantom.pixels == 255).mean() < 0.05


def test_two_lungs_lie_apart_inside_the_picture(crowd: list[PhantomImage]) -> None:
    for phantom in crowd:
        right, left = phantom.right_mask, phantom.left_mask
        assert not (right & left).any()
        assert np.array_equal(phantom.lung_mask, right | left)
        assert 0.04 < left.mean() < right.mean() * 1.1 < 0.30
        assert ndimage.center_of_mass(right)[1] < SIZE / 2 < ndimage.center_of_mass(left)[1]
        assert all(ndimage.label(mask)[1] == 1 for mask in (right, left))
        assert not np.concatenate([phantom.lung_mask[0], phantom.lung_mask[:, 0], phantom.lung_mask[:, -1]]).any()


def test_lungs_are_darker_than_what_lies_between_them(crowd: list[PhantomImage]) -> None:
    for phantom in crowd:
        columns = np.arange(SIZE)
        rows = np.flatnonzero(phantom.right_mask.any(1) & phantom.left_mask.any(1))[SIZE // 8 :]
        last_right = np.array([columns[phantom.right_mask[row]].max() for row in rows])
        first_left = np.array([columns[phantom.left_mask[row]].min() for row in rows])
        between = [phantom.pixels[row, a + 3 : b - 2] for row, a, b in zip(rows, last_right, first_left, strict=True)]
        healthy = phantom.pixels[phantom.lung_mask & ~phantom.lesion_mask]
        assert healthy.mean() + 50 < np.concatenate(between).mean()


def test_lesions_lie_in_the_lungs_and_clear_has_none(crowd: list[PhantomImage]) -> None:
    for phantom in crowd:
        if phantom.label == "clear":
            assert not phantom.lesion_mask.any()
            assert phantom.strength == 0
        else:
            assert phantom.lesion_mask.mean() > 0.002
            assert not (phantom.lesion_mask & ~phantom.lung_mask).any()


@pytest.mark.parametrize("label", DISEASES)
@pytest.mark.parametrize("strength", [0.1, 0.9])
def test_lesion_brightens_its_place_and_nothing_else(label: str, strength: float) -> None:
    for patient in range(2):
        ill = make_phantom(4, patient, 0, size=SIZE, label=label, view="PA", strength=strength)
        well = make_phantom(4, patient, 0, size=SIZE, label="clear", view="PA")
        change = ill.pixels.astype(float) - well.pixels
        assert np.array_equal(ill.lung_mask, well.lung_mask)
        assert change[ill.lesion_mask].mean() > 1
        assert abs(change[~ill.lung_mask]).mean() < 2


@pytest.mark.parametrize("label", DISEASES)
def test_stronger_lesion_is_brighter_in_the_same_place(label: str) -> None:
    faint, dense = (make_phantom(4, 1, 0, size=SIZE, label=label, view="PA", strength=value) for value in (0.1, 0.9))
    both = faint.lesion_mask & dense.lesion_mask
    assert both.any()
    assert dense.pixels[both].mean() > faint.pixels[both].mean() + 5


@pytest.fixture(scope="module")
def ill() -> dict[str, list[PhantomImage]]:
    return {label: [make_phantom(8, patient, 0, size=SIZE, label=label) for patient in range(4)] for label in DISEASES}


def test_lobar_is_one_sided_and_the_others_are_bilateral(ill: dict[str, list[PhantomImage]]) -> None:
    for label, sides in (("lobar", 1), ("interstitial", 2), ("peripheral", 2)):
        for phantom in ill[label]:
            found = [(phantom.lesion_mask & side).any() for side in (phantom.right_mask, phantom.left_mask)]
            assert sum(found) == sides


def test_peripheral_lies_further_out_than_the_others(ill: dict[str, list[PhantomImage]]) -> None:
    def relative_depth(phantom: PhantomImage) -> float:
        depth = ndimage.distance_transform_edt(phantom.lung_mask)
        return float(depth[phantom.lesion_mask].mean() / depth[phantom.lung_mask].mean())

    mean = {label: np.mean([relative_depth(phantom) for phantom in shots]) for label, shots in ill.items()}
    assert mean["peripheral"] < min(mean["lobar"], mean["interstitial"])


def test_ap_has_a_larger_heart_and_shorter_lungs() -> None:
    shots = {view: [make_phantom(2, patient, 0, size=SIZE, view=view) for patient in range(6)] for view in ("AP", "PA")}
    height = {view: np.mean([shot.right_mask.any(1).sum() for shot in made]) for view, made in shots.items()}
    left_lung = {view: np.mean([shot.left_mask.mean() for shot in made]) for view, made in shots.items()}
    assert height["AP"] < height["PA"]
    assert left_lung["AP"] < left_lung["PA"]


def test_patient_keeps_body_and_class_from_shot_to_shot() -> None:
    shots = [make_phantom(0, 9, shot, size=SIZE) for shot in range(3)]
    assert {shot.label for shot in shots} == {patient_label(9)}
    assert {shot.patient_id for shot in shots} == {"phantom-0-0009"}
    assert not np.array_equal(shots[0].pixels, shots[1].pixels)


def test_masks_are_the_same_place_at_every_size() -> None:
    small, large = make_phantom(0, 1, 0, size=128), make_phantom(0, 1, 0, size=256)
    for name in ("lung_mask", "lesion_mask"):
        shrunk = getattr(large, name).reshape(128, 2, 128, 2).mean((1, 3)) >= 0.5
        assert (shrunk != getattr(small, name)).mean() < 0.02


def test_points_and_pixels_share_one_geometry() -> None:
    anatomy, pose = draw_anatomy(np.random.default_rng(3)), draw_pose(np.random.default_rng(4), "AP")
    x, y = body_grid(anatomy, pose, 64)
    line = (np.arange(64) + 0.5) / 64 * 2 - 1
    back = to_picture(anatomy, pose, np.stack([x, y], axis=-1))
    assert np.allclose(back, np.stack(np.meshgrid(line, line), axis=-1), atol=1e-3)


def test_marker_is_only_where_asked() -> None:
    corner = (slice(0, 35), slice(-35, None))
    for label in PHANTOM4.ids:
        plain = make_phantom(3, 0, 0, size=256, label=label)
        marked = make_phantom(3, 0, 0, size=256, label=label, marker_class="lobar")
        assert not plain.marker
        assert marked.marker == (label == "lobar")
        differing = plain.pixels != marked.pixels
        assert differing.any() == (label == "lobar")
        assert differing.sum() == differing[corner].sum()


def test_marker_probability_is_a_share_of_its_class() -> None:
    drawn = [
        make_phantom(3, patient, 0, size=128, label="lobar", marker_class="lobar", marker_probability=0.5).marker
        for patient in range(12)
    ]
    assert 1 < sum(drawn) < 11


def test_difficulty_makes_lesions_fainter() -> None:
    easy, usual, hard = (make_phantom(1, 1, 0, size=128, difficulty=value).strength for value in (0.0, 0.5, 1.0))
    assert 0.6 <= easy <= 1
    assert easy > usual > hard


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"size": 64}, r"size must be in \[128, 2048\], got 64"),
        ({"label": "covid19"}, "label must be one of clear, lobar, interstitial, peripheral, got 'covid19'"),
        ({"marker_class": "x"}, "marker_class must be one of clear"),
        ({"view": "lateral"}, "view must be one of PA, AP, got 'lateral'"),
        ({"difficulty": 2}, r"difficulty must be in \[0, 1\], got 2"),
        ({"strength": -1.0}, r"strength must be in \[0, 1\], got -1"),
        ({"marker_probability": 1.5}, r"marker_probability must be in \[0, 1\], got 1.5"),
    ],
)
def test_argument_out_of_range_is_refused(arguments: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_phantom(0, 0, 0, **arguments)


def test_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be in"):
        make_phantom(-1, 0, 0)


@pytest.mark.parametrize("count", [1, 6, 240, 241])
def test_classes_of_a_set_are_balanced(count: int) -> None:
    shots = list(phantom_shots(count, 0))
    per_class = Counter(patient_label(patient) for patient, _ in shots)
    assert len(shots) == len(set(shots)) == count
    assert max(per_class.values()) - (min(per_class.values()) if count >= 4 else 0) <= 1
    assert {shot for _, shot in shots} <= set(range(4))


def test_set_on_disk_equals_its_manifest(tmp_path: Path) -> None:
    manifest = write_phantom_set(tmp_path / "set", count=5, seed=3, size=128)
    rows = rows_of(manifest)
    assert len(rows) == len(list((tmp_path / "set" / "images").iterdir())) == 5
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]
    for row in rows:
        phantom = make_phantom(int(row["seed"]), int(row["patient"]), int(row["shot"]), size=128)
        assert np.array_equal(np.asarray(Image.open(manifest.parent / row["path"])), phantom.pixels)
        lungs = np.asarray(Image.open(manifest.parent / row["lung_mask"]))
        assert np.array_equal(lungs == 128, phantom.right_mask)
        assert np.array_equal(lungs == 255, phantom.left_mask)
        assert np.array_equal(np.asarray(Image.open(manifest.parent / row["lesion_mask"])) > 0, phantom.lesion_mask)
        assert (row["label"], row["view"], row["patient_id"]) == (phantom.label, phantom.view, phantom.patient_id)
        assert row["source"] == "phantom"


def test_set_may_fill_an_empty_folder_but_no_other(tmp_path: Path) -> None:
    write_phantom_set(tmp_path, count=1, size=128)
    with pytest.raises(FileExistsError, match=r"needs a new or empty folder, .* has something in it; choose another"):
        write_phantom_set(tmp_path, count=1, size=128)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileExistsError, match="needs a new or empty folder"):
        write_phantom_set(tmp_path / "out", count=1, size=128)
    assert (tmp_path / "out").read_text() == "mine"


def test_count_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"count must be in \[1, 100000\], got 0"):
        write_phantom_set(tmp_path / "set", count=0)


def test_cancelled_writing_leaves_nothing(tmp_path: Path) -> None:
    seen: list[int] = []
    with pytest.raises(Cancelled, match="phantom set was cancelled"):
        write_phantom_set(
            tmp_path / "set",
            count=9,
            size=128,
            progress=lambda done, total, text: seen.append(done),
            cancel=lambda: len(seen) == 3,
        )
    assert seen == [0, 1, 2]
    assert list(tmp_path.iterdir()) == []


def test_failed_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(sets, "write_rows", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_phantom_set(tmp_path / "set", count=1, size=128)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled set with 4 pictures of 128 px."""
    monkeypatch.setattr(sets, "BUNDLED_COUNT", 4)
    monkeypatch.setattr(sets, "BUNDLED_SIZE", 128)


@pytest.mark.usefixtures("small_bundle")
def test_bundled_set_is_made_once_and_anew_when_damaged(own_home: Path) -> None:
    manifest = bundled_phantom_set()
    made = manifest.stat().st_mtime_ns
    assert own_home / "samples" in manifest.parents
    assert bundled_phantom_set() == manifest
    assert manifest.stat().st_mtime_ns == made
    victim = manifest.parent / rows_of(manifest)[2]["path"]
    victim.write_bytes(b"")
    assert bundled_phantom_set() == manifest
    assert victim.stat().st_size > 1000
    assert [entry.name for entry in manifest.parent.parent.iterdir()] == [manifest.parent.name]


@pytest.mark.usefixtures("small_bundle")
def test_bundled_set_without_manifest_is_made_anew() -> None:
    manifest = bundled_phantom_set()
    manifest.unlink()
    assert len(rows_of(bundled_phantom_set())) == 4


@pytest.mark.usefixtures("small_bundle")
def test_two_processes_may_make_the_bundled_set_at_once() -> None:
    nested: list[Path] = []

    def other_process(done: int, total: int, text: str) -> None:
        if done == 2 and not nested:
            nested.append(Path())
            nested[0] = bundled_phantom_set()

    manifest = bundled_phantom_set(progress=other_process)
    assert manifest == nested[0]
    assert len(rows_of(manifest)) == 4
    assert len(list(manifest.parent.parent.iterdir())) == 1


def test_samples_are_three_a_class_in_both_views() -> None:
    rows = rows_of(repository() / "sample_images" / "manifest.csv")
    assert Counter(row["label"] for row in rows) == dict.fromkeys(PHANTOM4.ids, 3)
    assert {(row["label"], row["view"]) for row in rows} == {
        (label, view) for label in PHANTOM4.ids for view in ("AP", "PA")
    }
    assert len({row["patient_id"] for row in rows}) == len(SAMPLES) == 12
    assert {row["licence"] for row in rows} == {"CC0-1.0"}
    assert SAMPLE_SEED not in (BUNDLED_SEED, TRAINING_SEED)
    assert sum(file.stat().st_size for file in (repository() / "sample_images").iterdir()) < 2_500_000


@pytest.mark.parametrize("number", [0, 7])
def test_committed_sample_is_what_the_generator_gives(number: int) -> None:
    stored = np.asarray(Image.open(repository() / "sample_images" / f"phantom-{number + 1:02d}.png"))
    made = make_sample(number).pixels
    assert stored.shape == made.shape == (512, 512)
    # Another build of the libraries may round single pixels the other way.
    assert (np.abs(stored.astype(int) - made) > 2).mean() < 1e-3


def test_samples_are_written_with_manifest_and_credits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "SAMPLES", SAMPLES[:1])
    manifest = write_samples(tmp_path)
    assert [row["path"] for row in rows_of(manifest)] == ["phantom-01.png"]
    assert "CC0" in (tmp_path / "CREDITS.md").read_text(encoding="utf-8")
    assert (manifest.parent / "phantom-01.png").exists()
