"""`cxrlab predict`: the numbers of the workflow, pure JSON, overlays, refusals."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from cxrlab.data.images import read_xray
from cxrlab.workflows import predict as workflow
from cxrlab.workflows.compare import compare
from tests.commands.conftest import Run

KEYS = ["image", "sha256", "checkpoint", "labels", "probabilities", "predicted", "seconds"]
BOTH = ("-c", "tiny_shufflenet", "-c", "tiny_ensemble")

pytestmark = pytest.mark.usefixtures("tiny_checkpoints")


@pytest.fixture
def pictures(labelled: Path, tmp_path: Path) -> Path:
    """A folder with three X-rays, one of them in a folder below."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for number, place in enumerate((folder / "a.png", folder / "b.png", folder / "below" / "a.png")):
        place.write_bytes((labelled.parent / f"{number:02d}.png").read_bytes())
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_json_is_one_object_for_each_image_and_checkpoint(run: Run, pictures: Path) -> None:
    ran = run("predict", pictures / "a.png", pictures / "b.png", *BOTH, "--json")
    answers = json.loads(ran.stdout)
    assert ran.exit_code == 0
    assert [list(answer) for answer in answers] == [KEYS, [*KEYS, "members"]] * 2
    assert [(answer["image"], answer["checkpoint"]) for answer in answers] == [
        (str(pictures / image), checkpoint)
        for image in ("a.png", "b.png")
        for checkpoint in ("tiny_shufflenet", "tiny_ensemble")
    ]


def test_the_numbers_are_those_of_the_workflow(run: Run, pictures: Path) -> None:
    answers = json.loads(run("predict", pictures / "a.png", *BOTH, "--json").stdout)
    xray = read_xray(pictures / "a.png")
    for answer, result in zip(answers, compare(xray, ["tiny_shufflenet", "tiny_ensemble"]), strict=True):
        assert answer["sha256"] == xray.sha256
        assert answer["labels"] == list(result.labels.ids)
        assert answer["probabilities"] == pytest.approx(result.scores.tolist(), abs=1e-6)
        assert sum(answer["probabilities"]) == pytest.approx(1)
        assert answer["predicted"] == answer["labels"][int(np.argmax(answer["probabilities"]))]


def test_a_folder_stands_for_its_images_and_a_zip_for_its_entries(run: Run, pictures: Path, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.write(pictures / "a.png", "first.png")
        archive.write(pictures / "b.png", "deep/second.png")
    ran = run("predict", pictures, tmp_path / "both.zip", "-c", "tiny_shufflenet", "--json")
    found = [answer["image"] for answer in json.loads(ran.stdout)]
    inside = [str(pictures / name) for name in ("a.png", "b.png", "below/a.png")]
    assert found[:3] == inside
    assert [image.startswith(f"{tmp_path}/both.zip/") for image in found[3:]] == [True, True]


def test_dicom_without_an_ending_is_found_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM" + bytes(8))
    (tmp_path / "README").write_text("read me")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert workflow.image_files([tmp_path]) == (tmp_path / "IM0001",)


def test_whatever_a_library_prints_is_not_in_the_json(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chatty(*args: object, **options: object) -> object:
        sys.stdout.write("loading weights …\n")
        return compare(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(workflow, "compare", chatty)
    ran = run("predict", pictures / "a.png", "-c", "tiny_shufflenet", "--json")
    assert len(json.loads(ran.stdout)) == 1
    assert "loading weights" in ran.stderr


def test_heatmaps_are_pictures_of_the_size_of_the_xray(run: Run, pictures: Path, tmp_path: Path) -> None:
    ran = run("predict", pictures, "-c", "tiny_shufflenet", "--cam", tmp_path / "maps", "--json")
    answers = json.loads(ran.stdout)
    written = sorted(path for path in (tmp_path / "maps").iterdir())
    assert sorted(answer["overlay"] for answer in answers if answer["overlay"]) == [str(path) for path in written]
    assert written
    for path in written:
        with Image.open(path) as picture:
            assert (picture.size, picture.mode) == ((40, 48), "RGB")


def test_the_table_names_weights_domain_and_the_warning(run: Run, pictures: Path) -> None:
    ran = run("predict", pictures / "a.png", *BOTH)
    assert ran.exit_code == 0
    assert "decision" in ran.stdout
    assert "tiny_ensemble: trained on real images, weights " in ran.stdout
    assert ran.stdout.rstrip().endswith("Research and teaching only, never a diagnosis.")


def test_a_bad_file_is_told_and_the_others_are_answered(run: Run, pictures: Path) -> None:
    (pictures / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    ran = run("predict", pictures, "-c", "tiny_shufflenet", "--json")
    assert ran.exit_code == 1
    assert len(json.loads(ran.stdout)) == 3
    assert "bad.png" in ran.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.png", "-c", "tiny_shufflenet"), "nowhere.png does not exist; check the path."),
        (("{empty}", "-c", "tiny_shufflenet"), "empty has no X-rays in it; they end in .bmp"),
        (("{a}", "-c", "tiny"), "no checkpoint named 'tiny'; there are: tiny_ensemble, tiny_mobilenet"),
        (("{a}", "-c", "tiny_shufflenet", "--cam", "{out}", "--method", "gradcam"), "Unknown CAM method 'gradcam'"),
        (("{a}", "-c", "tiny_shufflenet", "--cam", "{a}"), "a.png can not be read or written (File exists)"),
        (("{a}", "-c", "tiny_shufflenet", "--device", "cuda"), "The device cuda needs a GPU"),
        (("{a}",), "--checkpoint"),
        ((), "IMAGE"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "a": pictures / "a.png", "out": tmp_path / "out"}
    ran = run("predict", *(word.format(**places) for word in words))
    assert ran.exit_code == 2
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""
