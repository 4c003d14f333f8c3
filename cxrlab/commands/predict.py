"""`cxrlab predict`: images, folders and ZIPs through checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrlab.commands.choices import Checkpoints, Device, Json, named
from cxrlab.commands.terminal import WARNING, say, show, show_json, show_table, working

if TYPE_CHECKING:
    from cxrlab.workflows.predict import FilePrediction, Unreadable

PARTLY = 1  # exit code: some images were refused
NOTHING = 2  # exit code: all images were refused


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Images (DICOM too), folders of them, ZIPs.")],
    checkpoint: Checkpoints,
    cam: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write heatmaps over the X-rays as PNG files here.")
    ] = None,
    method: Annotated[str, typer.Option(help="Heatmap method, e.g. grad_cam, layer_cam, score_cam.")] = "grad_cam",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Probabilities of every class for every image, by every checkpoint."""
    from cxrlab.workflows.predict import CamOptions, predict_files

    options = CamOptions(method) if cam else None
    with working() as work:
        found = predict_files(
            images,
            [named(each) for each in checkpoint],
            cam=options,
            device=device,
            progress=work.progress,
            cancel=work.cancel,
        )
        answers, refused, notes = _collected(found, cam)
    for text in refused:
        say(text)
    if as_json:
        show_json(answers)
    elif answers:
        _show(answers, notes)
    if refused:
        raise typer.Exit(PARTLY if answers else NOTHING)


def _collected(
    found: Iterable[FilePrediction | Unreadable], folder: Path | None
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Answers as plain values, sentences about images that were refused, lines about the checkpoints."""
    from cxrlab.workflows.predict import Unreadable

    answers: list[dict[str, Any]] = []
    refused: list[str] = []
    notes: dict[str, None] = {}
    for each in found:
        if isinstance(each, Unreadable):
            refused.append(each.sentence)
            continue
        result = each.result
        trained = f"{result.checkpoint}: trained on {result.domain} images, weights {result.checkpoint_sha256[:8]}"
        notes |= dict.fromkeys([*result.notes, f"{trained}, on {result.device}"])
        answers.append(each.to_json() | ({"overlay": _overlay(each, folder)} if folder else {}))
    return answers, refused, list(notes)


def _overlay(answer: FilePrediction, folder: Path) -> str | None:
    """Path of the PNG; None where no place speaks for the class, or there is no map."""
    from cxrlab.reports.overlays import save_overlay

    heatmap, result = answer.result.heatmap, answer.result
    if heatmap is None or not heatmap.has_evidence:
        return None
    pixels, sha256 = answer.xray.pixels, answer.xray.sha256
    return str(save_overlay(folder, pixels, heatmap, image=answer.image, sha256=sha256, model=result.checkpoint))


def _show(answers: list[dict[str, Any]], notes: list[str]) -> None:
    """One table for each list of classes, then the lines about the checkpoints."""
    for labels in dict.fromkeys(tuple(answer["labels"]) for answer in answers):
        rows = [
            [
                answer["image"],
                answer["checkpoint"],
                answer["predicted"],
                *(f"{score:.3f}" for score in answer["probabilities"]),
                f"{answer['seconds']:.2f} s",
                *([answer["overlay"] or "no evidence"] if "overlay" in answer else []),
            ]
            for answer in answers
            if tuple(answer["labels"]) == labels
        ]
        overlay = ["heatmap"] if "overlay" in answers[0] else []
        show_table(["image", "checkpoint", "decision", *labels, "time", *overlay], rows)
    for line in [*notes, WARNING]:
        show(line)
