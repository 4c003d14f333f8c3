"""Run a paper's study: the one function behind `cxrlab study`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cxrlab import __version__
from cxrlab.progress import Cancel, Cancelled, Progress, check, never, silent
from cxrlab.studies.catalogue import STUDIES, plan_study
from cxrlab.studies.figures import Figure, Paired
from cxrlab.studies.images import StudyError, StudyImages
from cxrlab.studies.plan import SCALES, StudyPlan, scale_named
from cxrlab.studies.results import StudyTable
from cxrlab.studies.store import StudyFolder, now, write_json
from cxrlab.studies.workers import Site, run_here, run_in_processes

__all__ = ["SCALES", "STUDIES", "Figure", "Paired", "Study", "StudyDone", "StudyError", "StudyStopped", "prepare"]

RESULTS_FILE = "results.json"
TABLE_FILE = "table.csv"


class StudyStopped(Cancelled):
    """The study was stopped by the user; what is done stays."""

    def __init__(self, folder: Path) -> None:
        Exception.__init__(self, f"The study was stopped; with --resume it goes on from what {folder} holds.")


@dataclass(frozen=True)
class StudyDone:
    """The results of a study and where they lie."""

    folder: Path
    figures: tuple[Figure, ...]
    comparisons: tuple[Paired, ...]


@dataclass(frozen=True, eq=False)
class Study:
    """A study that is ready to run or to go on; made by :func:`prepare`."""

    site: Site
    images: StudyImages
    folder: StudyFolder
    workers: int
    command: str

    @property
    def plan(self) -> StudyPlan:
        return self.site.plan

    def cost(self) -> str:
        """A sentence on what is still to do and how long it will take here; a few steps are timed for it."""
        from cxrlab.studies.cost import estimate

        done = {run.id for run in self.plan.members if self.folder.record(run.id) is not None}
        threads = max(1, _cores() // self.workers)
        return estimate(self.plan, self.images, done, threads=threads).sentence(self.workers)

    def run(self, *, progress: Progress = silent, cancel: Cancel = never) -> StudyDone:
        """Do every run that is not done yet, then put the table together.

        Raises:
            StudyError, CacheError: one sentence each. StudyStopped: what is finished stays, the rest is resumable.
        """
        try:
            return self._run(progress, cancel)
        except Cancelled as error:
            raise StudyStopped(self.folder.path) from error

    def _run(self, progress: Progress, cancel: Cancel) -> StudyDone:
        check(cancel, "The study")
        self._build_caches(progress, cancel)
        left = [run for run in self.plan.members if not self.folder.is_done(run)]
        for runs in ([run for run in left if not run.starts_from], [run for run in left if run.starts_from]):
            if self.workers > 1 and len(runs) > 1:
                run_in_processes(self.site, runs, self.workers, progress, cancel)
            elif runs:
                run_here(self.site, runs, progress, cancel)
        self._combine(progress, cancel)
        return self._finished(progress)

    def _build_caches(self, progress: Progress, cancel: Cancel) -> None:
        first = self.images.manifest.rows[0].path
        for preprocessing in dict.fromkeys(run.preprocessing for run in self.plan.members):
            self.images.squares([first], preprocessing, progress=progress, cancel=cancel)

    def _combine(self, progress: Progress, cancel: Cancel) -> None:
        if not self.plan.combiners:
            return
        from cxrlab.studies.combined import run_combiner

        for number, run in enumerate(self.plan.combiners):
            check(cancel, "The study")
            progress(number, len(self.plan.combiners), f"putting together: {run.id}")
            run_combiner(run, self.folder, cancel=cancel)

    def _finished(self, progress: Progress) -> StudyDone:
        progress(0, 1, "measuring, with 2000 bootstrap draws")
        table = StudyTable(self.plan, self.folder, self.images.manifest.name)
        figures, comparisons = tuple(table.figures()), tuple(table.comparisons())
        records = [record for run in self.plan.runs if (record := self.folder.record(run.id))]
        write_json(
            self.folder.path / RESULTS_FILE,
            {
                "format": 1,
                **_facts(self.site, self.images),
                "title": self.plan.title,
                "notes": list(self.plan.notes),
                "command": self.command,
                "created": now(),
                "seconds": round(sum(record["seconds"] for record in records)),
                "rows": [figure.to_json() for figure in figures],
                "comparisons": [paired.to_json() for paired in comparisons],
            },
        )
        _write_table(self.folder.path / TABLE_FILE, figures)
        return StudyDone(self.folder.path, figures, comparisons)


def prepare(
    name: str,
    source: Path,
    out: Path,
    *,
    scale: str = "lite",
    profile: str = "paper",
    view: str = "",
    folds: int = 0,
    seed: int = 0,
    workers: int = 1,
    device: str = "auto",
    resume: bool = False,
    members: Path | None = None,
    command: str = "",
) -> Study:
    """Read the images, draw the folds, claim the folder.

    Args:
        name: one of ``STUDIES``. scale: ``smoke``, ``lite`` or ``full``. folds: fewer than the scale's; 0: those.
        profile: ``paper`` or ``release``, see the recipes. view: only images of this view, e.g. ``AP``; empty: all.
        out: a new folder, or with ``resume`` the one of the same study. workers: networks trained at once.
        members: another study's folder whose members' outputs are used (``sensitivity``).
        command: how it was called, kept with the results.

    Raises:
        ValueError: unknown name or scale. StudyError, ManifestError, SplitError: one sentence each.
    """
    chosen = scale_named(scale)
    chosen = replace(chosen, folds=folds) if folds else chosen
    plan = replace(plan_study(name, chosen, profile=profile, seed=seed), profile=profile, view=view)
    if plan.needs_members and members is None:
        raise StudyError(f"The study {name} needs the outputs of another one; give its folder with --members.")
    site = Site(plan, chosen, source, out, seed, device)
    images = site.images()
    folder = StudyFolder(out, borrowed=members)
    folder.check_borrowed(plan, _facts(site, images))
    folder.claim({**_facts(site, images), "command": command}, resume=resume)
    for number, split in enumerate(images.splits):
        split.save(out / f"split-{number + 1}.json")
    return Study(site, images, folder, max(1, workers), command)


def _facts(site: Site, images: StudyImages) -> dict[str, Any]:
    """What a study is: everything that must be the same when it goes on."""
    return {
        "study": site.plan.name,
        "scale": site.scale.name,
        "folds": len(images.splits),
        "profile": site.plan.profile,
        "view": site.plan.view,
        "seed": site.seed,
        "dataset": images.manifest.name,
        "dataset_digest": images.manifest.digest,
        "images": {part: len(paths) for part, paths in images.splits[0].parts.items()},
        "labels": list(images.labels.ids),
        "version": __version__,
    }


def _write_table(path: Path, figures: Sequence[Figure]) -> None:
    temporary = path.with_name(f".{path.name}")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        rows = [figure.to_json() for figure in figures]
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["system"])
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "values": " ".join(f"{value:.4f}" for value in row["values"])})  # type: ignore[attr-defined]
    temporary.replace(path)


def _cores() -> int:
    import os

    return os.cpu_count() or 1
