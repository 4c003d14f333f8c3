"""`cxrlab study`: a paper's experiment, run by run, resumable."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cxrlab.commands.background import Background, Gpus, Priority, check_background, show_handed_in
from cxrlab.commands.choices import Device, Json, ManifestOption
from cxrlab.commands.terminal import WARNING, say, show, show_json, show_table, working

if TYPE_CHECKING:
    from cxrlab.workflows.study import StudyDone


def study(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="flannel, efficientnet-focal, lightweight, pepx, sensitivity.")
    ],
    manifest: ManifestOption,
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder, or with --resume the one to go on with.")],
    scale: Annotated[
        Literal["smoke", "lite", "full"],
        typer.Option(help="smoke: minutes, proves nothing; lite: small pictures, few epochs; full: as published."),
    ] = "lite",
    profile: Annotated[
        Literal["paper", "release"], typer.Option(help="What the papers say, or what their authors' code does.")
    ] = "paper",
    view: Annotated[str, typer.Option(help="Only images of this view, e.g. AP: trained and tested on them.")] = "",
    folds: Annotated[int, typer.Option(help="Fewer folds than the study has; 0 = all.")] = 0,
    workers: Annotated[int, typer.Option(help="Networks trained at once; 0 = one a CPU core.")] = 0,
    members: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For sensitivity: the folder of a finished flannel study.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of folds, weights, order and augmentation.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the study in DIR.")] = False,
    device: Device = "auto",
    background: Background = False,
    gpus: Gpus = None,
    priority: Priority = 0,
    as_json: Json = False,
) -> None:
    """Run a paper's experiment and write its table beside the printed one. Ctrl-C stops resumably."""
    from cxrlab.reports.study import write_study_report
    from cxrlab.workflows.data_sets import the_manifest
    from cxrlab.workflows.study import prepare

    check_background(background, gpus, priority)
    options: dict[str, Any] = {
        "scale": scale,
        "profile": profile,
        "view": view,
        "folds": folds,
        "seed": seed,
        "device": device,
        "resume": resume,
        "members": members,
        "command": " ".join(["cxrlab", *sys.argv[1:]]),
    }
    if background:
        if workers:
            raise ValueError(
                "In the background the GPUs, or CXRLAB_CPU_JOBS, say how many networks train at once; "
                "leave out --workers."
            )
        _hand_in(name, manifest, out, options | {"gpus": gpus, "priority": priority}, as_json)
        return
    with working() as work:
        source = the_manifest(manifest, work.progress, work.cancel)
        prepared = prepare(name, source, out, workers=workers or os.cpu_count() or 1, **options)
        say(prepared.cost())
        done = prepared.run(progress=work.progress, cancel=work.cancel)
        report = write_study_report(out)
    if as_json:
        show_json(
            {
                "folder": str(out),
                "report": str(report),
                "rows": [figure.to_json() for figure in done.figures],
                "comparisons": [paired.to_json() for paired in done.comparisons],
            }
        )
    else:
        _show(done, report)


def _hand_in(name: str, manifest: Path, out: Path, options: dict[str, Any], as_json: bool) -> None:
    from cxrlab.workflows.jobs import submit_study

    with working():
        jobs = submit_study(name, manifest, out, **options)
    show_handed_in(jobs, as_json)


def _show(done: StudyDone, report: Path) -> None:
    rows = [
        [
            *(figure.system, figure.variant, figure.class_id),
            f"{figure.mean:.3f} [{figure.low:.3f}, {figure.high:.3f}]",
            *("" if figure.std is None else f"{figure.std:.3f}", figure.folds, figure.n),
        ]
        for figure in done.figures
        if figure.metric in ("f1", "macro_f1") and "AP views" not in figure.dataset
    ]
    show_table(["system", "variant", "class", "F1 [95 % interval]", "std over folds", "folds", "n"], rows)
    for paired in done.comparisons:
        show(
            f"{paired.a} - {paired.b}, {paired.metric} {paired.class_id}: {paired.difference:+.3f} "
            f"[{paired.low:+.3f}, {paired.high:+.3f}], p {paired.p:.3f}"
        )
    show(f"Report: {report}")
    show(WARNING)
