"""`cxrlab evaluate`: checkpoints measured on a labelled set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cxrlab.commands.background import Background, Gpus, Priority, check_background, show_handed_in
from cxrlab.commands.choices import Checkpoints, Device, Json, ManifestOption, named
from cxrlab.commands.terminal import WARNING, say, show, show_json, show_table, working
from cxrlab.labels import PROJECTIONS

if TYPE_CHECKING:
    from cxrlab.workflows.evaluate import Evaluation


def evaluate(
    manifest: ManifestOption,
    checkpoint: Checkpoints,
    split: Annotated[
        Literal["test", "all"], typer.Option(help="The test part of the benchmark split, or all images.")
    ] = "all",
    task: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"Add finer classes up, so that checkpoints of different tasks can be measured together: "
            f"{', '.join(PROJECTIONS)}.",
        ),
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write metrics, predictions and figures here.")
    ] = None,
    figures: Annotated[bool, typer.Option(help="With --out: figures.html too, 5 MB.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute again what is stored already.")] = False,
    device: Device = "auto",
    background: Background = False,
    gpus: Gpus = None,
    priority: Priority = 0,
    as_json: Json = False,
) -> None:
    """Measure checkpoints on labelled images: every number with its interval and what it rests on."""
    from cxrlab.workflows.data_sets import the_manifest
    from cxrlab.workflows.evaluate import evaluate_manifest

    check_background(background, gpus, priority)
    if background:
        if out is not None or fresh:
            raise ValueError(
                "In the background results are only stored; leave out --out and --fresh, and give the same command "
                "with --out and without --background when the job is done: it opens what is stored."
            )
        _hand_in(manifest, checkpoint, split, task, device, gpus, priority, as_json)
        return
    with working() as work:
        source = the_manifest(manifest, work.progress, work.cancel)
        evaluation = evaluate_manifest(
            source,
            [named(each) for each in checkpoint],
            part=split,
            task=task,
            device=device,
            reuse=not fresh,
            progress=work.progress,
            cancel=work.cancel,
        )
    for note in evaluation.notes:
        say(note)
    if out is not None:
        _write(evaluation, out, figures)
    if as_json:
        from cxrlab.workflows.evaluation_files import evaluation_to_json

        show_json(evaluation_to_json(evaluation))
    else:
        _show(evaluation)


def _hand_in(
    manifest: Path,
    checkpoints: Sequence[str],
    split: str,
    task: str,
    device: str,
    gpus: int | None,
    priority: int,
    as_json: bool,
) -> None:
    from cxrlab.workflows.jobs import submit_evaluation

    names = [named(each) for each in checkpoints]
    options: dict[str, Any] = {"gpus": gpus, "priority": priority, "device": device}
    show_handed_in([submit_evaluation(manifest, names, part=split, task=task, **options)], as_json)


def _write(evaluation: Evaluation, out: Path, figures: bool) -> None:
    from cxrlab.reports.evaluation import write_evaluation

    for path in write_evaluation(evaluation, out, figures=figures):
        say(f"Written: {path}")


def _show(evaluation: Evaluation) -> None:
    facts, report = evaluation.runs[0].facts, evaluation.runs[0].report
    dropped = "; ".join(f"{count} {reason}" for reason, count in facts.dropped.items())
    show(f"Data set {facts.dataset}, part {facts.part}, hash {facts.dataset_digest[:12]}:")
    show(f"{report.n_images} images of {report.n_patients} patients; left out: {dropped or 'none'}.")
    if facts.task:
        show(f"Task {facts.task}: scores of finer classes are added up to {', '.join(facts.labels)}.")
    show("")
    _show_overall(evaluation)
    show("")
    _show_classes(evaluation)
    show("")
    _show_methods(evaluation)
    show(WARNING)


def _show_overall(evaluation: Evaluation) -> None:
    names = {
        "accuracy": "accuracy",
        "majority_rate": "always the largest class",
        "balanced_accuracy": "balanced accuracy",
        "macro_f1": "macro-F1",
    }
    rows = [
        [
            run.facts.checkpoint,
            *(str(getattr(run.report, name)) for name in names),
            run.report.n_images,
            run.facts.checkpoint_sha256[:8],
            "stored" if run.facts.checkpoint in evaluation.reopened else f"{run.facts.seconds:.1f} s",
            run.facts.device,
        ]
        for run in evaluation.runs
    ]
    show_table(["checkpoint", *names.values(), "n", "weights", "time", "device"], rows)


def _show_classes(evaluation: Evaluation) -> None:
    metrics = ("precision", "recall", "specificity", "f1", "auc", "average_precision")
    titles = ("precision", "recall", "specificity", "F1", "AUC", "average precision")
    rows = [
        [
            *(run.facts.checkpoint, entry.class_id),
            *(str(getattr(entry, name)) for name in metrics),
            *(entry.positives, entry.n),
        ]
        for run in evaluation.runs
        for entry in run.report.classes
    ]
    show_table(["checkpoint", "class", *titles, "of the class", "n"], rows)


def _show_methods(evaluation: Evaluation) -> None:
    """How the intervals were made: all checkpoints' alike."""
    report = evaluation.runs[0].report
    methods = dict.fromkeys(
        re.sub(r", \d+ of them undefined", "", estimate.method)  # draws in which a class did not occur
        for estimate in (report.accuracy, report.macro_f1, *(entry.auc for entry in report.classes))
        if estimate.n
    )
    show(f"Brackets: {report.level:.0%} intervals ({'; '.join(methods)}). Decision: the class with the highest score.")
