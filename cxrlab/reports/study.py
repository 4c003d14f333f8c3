"""A study as one page that needs no server: figures with their words, tables, the paper's printed values beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from cxrlab.reports.evaluation import WARNING
from cxrlab.reports.study_figures import figures_of
from cxrlab.reports.study_maps import maps_html
from cxrlab.workflows.papers import PAPERS, measure_words, measured_tables
from cxrlab.workflows.study_maps import KeptMap, kept_maps
from cxrlab.workflows.study_runs import StudyFiles, StudyResults, open_study

REPORT_FILE = "report.html"
STYLE = (
    "body{font:16px system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}"
    "figure{margin:2rem 0}figcaption,.note{color:#555}table{border-collapse:collapse;margin:1rem 0;font-size:14px}"
    "th,td{border-bottom:1px solid #ddd;padding:.3rem .6rem;text-align:left}.wide{overflow-x:auto}"
)


def write_study_report(folder: Path) -> Path:
    """Write ``report.html`` into a study's folder, whole or not at all.

    Args:
        folder: with ``results.json`` and ``runs/<id>/run.json``; outputs and histories are shown where they were kept.

    Raises:
        ValueError: when the folder holds no results. OSError: when it can not be written.
    """
    path = folder / REPORT_FILE
    temporary = path.with_name(f".{REPORT_FILE}.part")
    try:
        temporary.write_text(study_html(open_study(folder), list(kept_maps(folder))), encoding="utf-8")
        return temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def study_html(study: StudyFiles, maps: Sequence[KeptMap] = ()) -> str:
    """The page as text, with heatmaps where some were kept."""
    results = study.results
    title = f"Study {results.study}, scale {results.scale}"
    made = f"{results.created}, {results.seconds:.0f} s of computing"
    facts = f"{results.dataset}, data {results.dataset_digest[:12]}; {made}."
    parts = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>",
        f"<p>{escape(facts)} {WARNING}</p><pre>{escape(results.command)}</pre>",
        *(f'<p class="note">{escape(note)}</p>' for note in (*results.notes, *study.damaged)),
    ]
    number = 0
    for heading, drawn in figures_of(study):
        parts.append(f"<h2>{escape(heading)}</h2>")
        for figure, words in drawn:
            html = figure.to_html(full_html=False, include_plotlyjs=number == 0, div_id=f"figure{number}")
            parts.append(f'<figure role="img" aria-label="{escape(words)}">{html}')
            parts.append(f"<figcaption>{escape(words)}</figcaption></figure>")
            number += 1
    return "\n".join([*parts, maps_html(maps), *_tables(study), "</body></html>", ""])


def _tables(study: StudyFiles) -> Iterator[str]:
    results = study.results
    yield _table(
        "All figures (Std: over folds or seeds, ddof 1)",
        ("System", "Variant", "Class", "Metric", "Mean", "Std", "95 % interval", "n", "Patients", "Runs", "Set"),
        [
            (row.system, row.variant, row.class_id, row.metric, f"{row.mean:.3f}", _number(row.std),
             _interval(row.low, row.high), row.n, row.patients, row.folds, row.dataset)
            for row in results.rows
        ],
    )  # fmt: skip
    yield _table(
        "Paired comparisons",
        ("a", "b", "Class", "Metric", "a − b", "95 % interval", "p", "n", "Patients", "Test"),
        [
            (each.a, each.b, each.class_id, each.metric, f"{each.difference:+.3f}", _interval(each.low, each.high),
             _number(each.p), each.n, each.patients, each.test)
            for each in results.comparisons
        ],
    )  # fmt: skip
    yield _table(
        "Printed by the papers, on their own images, beside this study",
        ("Paper", "Where", "System", "Variant", "Measure", "Printed", "Here", "To be known of the printed value"),
        list(_printed(results)),
    )
    runs = [(run.id, run.kind, run.name, _fold(run.fold), f"{run.seconds:.0f} s") for run in study.runs]
    yield _table("Runs", ("Run", "Kind", "System", "Fold", "Time"), runs)


def _printed(results: StudyResults) -> Iterator[tuple[object, ...]]:
    for paper, name in PAPERS.items():
        for each in measured_tables(paper, [results]):
            for line in each.lines:
                for ours in line.ours:
                    measure = measure_words(each.class_name, each.metric)
                    here = f"{ours.row.mean:.3f} {_interval(ours.row.low, ours.row.high)}"
                    spread = "" if line.printed.std is None else f" ± {line.printed.std:.2f}"
                    yield (
                        *(f"{paper} {name}", each.place, line.printed.system, ours.row.variant, measure),
                        *(f"{line.printed.mean:.4f}{spread}", here, line.printed.misprint),
                    )


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Nothing where there is no row."""
    if not rows:
        return ""
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "\n".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f'<h2>{escape(title)}</h2>\n<div class="wide"><table><tr>{cells}</tr>\n{lines}</table></div>'


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _fold(fold: int | None) -> str:
    return "all" if fold is None else str(fold + 1)
