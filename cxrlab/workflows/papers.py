"""The papers' printed tables beside our own studies, and the verdicts on their claims."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrlab.config import home, repository
from cxrlab.papers.claims import CLAIMS, Claim
from cxrlab.papers.printed import MEASURES, PAPERS, PaperResult, printed_results
from cxrlab.papers.study_results import StudyResults, StudyRow
from cxrlab.papers.verdicts import Evidence, Judgement, Verdict, judge

__all__ = [
    "PAPERS",
    "Claim",
    "Evidence",
    "Judgement",
    "OurResult",
    "PaperLine",
    "PaperResult",
    "PaperTable",
    "StudiesHere",
    "StudyResults",
    "Verdict",
    "judged_claims",
    "measure_words",
    "measured_tables",
    "other_results",
    "report_of",
    "studies_here",
]

RESULTS_FILE = "results.json"
REPORT_FILE = "report.html"
METRIC_WORDS = {
    "f1": "F1",
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall (sensitivity)",
    "auc": "AUC",
}
SCALE_ORDER = {"full": 0, "lite": 1, "smoke": 2}
QUOTED = "as quoted"  # variant of what a paper reports of others' work
ALL_POSITIVE = {("all", "auc"): "pneumonia"}  # of two classes one area is meant, and our rows name the class


@dataclass(frozen=True)
class StudiesHere:
    """Studies whose results can be read, newest first, and a sentence for every one that can not."""

    studies: tuple[StudyResults, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class OurResult:
    """A row of one of our studies."""

    study: StudyResults
    row: StudyRow


@dataclass(frozen=True)
class PaperLine:
    """A printed number and what the same system reached here, largest scale first."""

    printed: PaperResult
    ours: tuple[OurResult, ...]


@dataclass(frozen=True)
class PaperTable:
    """One measure of one printed table, e.g. the COVID-19 F1 of Table 3.

    Args:
        place: where in the paper. class_name, metric: as printed. dataset: what the paper measured on.
    """

    paper: str
    place: str
    class_name: str
    metric: str
    dataset: str
    lines: tuple[PaperLine, ...]


def studies_here(*, own: bool = True) -> StudiesHere:
    """Studies under ``docs/results`` of the repository and, with ``own``, under ``CXRLAB_HOME/studies``."""
    roots = [repository() / "docs" / "results", *([home() / "studies"] if own else [])]
    files = [file for root in roots for file in sorted(root.glob(f"*/{RESULTS_FILE}"))]
    found, damaged = [], []
    for file in files:
        try:
            found.append(_read(file))
        except ValueError as error:
            damaged.append(f"{file.parent.name}/{RESULTS_FILE} can not be used: {error}. Run the study again.")
    return StudiesHere(tuple(sorted(found, key=lambda study: study.created, reverse=True)), tuple(damaged))


def report_of(study: StudyResults) -> Path | None:
    """The study's ``report.html``; None where it was not written or belongs to another machine."""
    for root in (repository() / "docs" / "results", home() / "studies"):
        file = root / study.folder / REPORT_FILE
        if study.folder and file.is_file():
            return file
    return None


def measured_tables(paper: str, studies: Sequence[StudyResults]) -> tuple[PaperTable, ...]:
    """Every measure of a paper's tables that our studies measure too, in the order of the paper.

    Args:
        paper: ``S1`` to ``S5``.
    """
    grouped: dict[tuple[str, str, str], list[PaperResult]] = {}
    for result in printed_results():
        if result.paper == paper and _is_measure(result):
            grouped.setdefault((result.table, result.class_name, result.metric), []).append(result)
    return tuple(
        PaperTable(
            paper,
            *key,
            dataset=results[0].dataset,
            lines=tuple(PaperLine(result, tuple(_ours(result, studies))) for result in results),
        )
        for key, results in grouped.items()
    )


def other_results(paper: str) -> tuple[PaperResult, ...]:
    """What else a paper printed: counts, parameters, settings, cost, and what it quotes of others."""
    return tuple(result for result in printed_results() if result.paper == paper and not _is_measure(result))


def judged_claims(studies: Sequence[StudyResults]) -> tuple[tuple[Claim, Judgement], ...]:
    """Every claim with its verdict, in the order of the papers."""
    return tuple((claim, judge(claim, studies)) for claim in CLAIMS)


def measure_words(class_name: str, metric: str) -> str:
    """``COVID-19 F1``, ``macro-F1``, ``accuracy``."""
    words = METRIC_WORDS.get(metric, metric)
    return words if class_name in ("all", "macro") else f"{class_name} {words}"


def _is_measure(result: PaperResult) -> bool:
    return result.metric in MEASURES and result.variant != QUOTED


def _read(file: Path) -> StudyResults:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError("it is no readable JSON file") from error
    return StudyResults.from_json(data, folder=file.parent.name)


def _ours(printed: PaperResult, studies: Sequence[StudyResults]) -> Iterator[OurResult]:
    """Rows of the same system, variant, class and metric on all views; any variant where the paper names none."""
    classes = {printed.class_id, ALL_POSITIVE.get((printed.class_id, printed.metric), printed.class_id)}
    for study in sorted(studies, key=lambda each: SCALE_ORDER.get(each.scale, len(SCALE_ORDER))):
        for row in study.rows:
            if (
                (row.system, row.metric) == (printed.system, printed.metric)
                and row.class_id in classes
                and printed.variant in ("", row.variant)
                and "AP view" not in row.dataset
            ):
                yield OurResult(study, row)
