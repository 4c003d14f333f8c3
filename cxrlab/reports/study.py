"""A study as one page that needs no server: figures with their words, tables, the paper's printed values beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from cxrlab.labels import LabelSet
from cxrlab.reports.evaluation import WARNING
from cxrlab.reports.study_figures import AP_VIEW, figures_of
from cxrlab.reports.study_maps import maps_html
from cxrlab.workflows.papers import PAPERS, measure_words, measured_tables
from cxrlab.workflows.study_maps import KeptMap, kept_maps
from cxrlab.workflows.study_runs import StudyFiles, StudyResults, open_study

REPORT_FILE = "report.html"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "pre{overflow-x:auto;background:#f4f4f4;padding:.6rem;border-radius:.3rem}.wide{overflow-x:auto;grid-column:1/-1}"
    "figure.wide>div{min-width:44rem}figure{margin:1rem 0;min-width:0}figcaption,.note{color:#555;font-size:14px}"
    ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:0 1.5rem}"
    "table{border-collapse:collapse;margin:.5rem 0 1rem;font-size:14px;font-variant-numeric:tabular-nums}"
    "th,td{border-bottom:1px solid #ddd;padding:.3rem .6rem;text-align:left;white-space:nowrap}"
    "body>details{border-top:1px solid #ddd;padding:.5rem 0}summary{cursor:pointer}"
    "body>details>summary{font-size:1.25rem;font-weight:600}"
    "@media print{details::details-content{content-visibility:visible}}"
)
WIDE_SECTIONS = ("F1 of every system", "AP views only")
OVERALL = ("all", "macro")  # class ids of figures over all classes
SUMMARISED = ("f1", "macro_f1", "accuracy", "auc")
RESIZE = (  # a figure that was drawn while it was hidden gets its width when it is shown
    "<script>document.querySelectorAll('details').forEach(d=>d.addEventListener('toggle',"
    "()=>window.dispatchEvent(new Event('resize'))))</script>"
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
    parts.append(_summary(results))
    number = 0
    for heading, drawn in figures_of(study):
        parts.append(f"<details{' open' if number == 0 else ''}><summary>{escape(heading)}</summary><div class=grid>")
        for figure, words in drawn:
            html = figure.to_html(
                full_html=False, include_plotlyjs=number == 0, div_id=f"figure{number}", config={"responsive": True}
            )
            wide = ' class="wide"' if heading in WIDE_SECTIONS else ""
            parts.append(f'<figure role="img"{wide} aria-label="{escape(words)}">{html}')
            said = f"<details><summary>In words</summary>{escape(words)}</details>"
            parts.append(f"<figcaption>{said}</figcaption></figure>")
            number += 1
        parts.append("</div></details>")
    return "\n".join([*parts, maps_html(maps), *_tables(study), RESIZE, "</body></html>", ""])


def _summary(results: StudyResults) -> str:
    """A row a system, a column a class: what one looks for first."""
    rows = [row for row in results.rows if row.metric in SUMMARISED and AP_VIEW not in row.dataset]
    columns = sorted(dict.fromkeys((row.class_id, row.metric) for row in rows), key=lambda each: each[0] not in OVERALL)
    found: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    for row in rows:
        spread = "" if row.std is None else f" ± {row.std:.3f}"
        cell = f"{row.mean:.3f}{spread} {_interval(row.low, row.high)}"
        found.setdefault((row.system, row.variant), {})[row.class_id, row.metric] = cell
    names = [measure_words(_class_name(class_id), metric) for class_id, metric in columns]
    sizes = dict.fromkeys(f"{row.dataset}, n = {row.n} images of {row.patients} patients" for row in rows)
    note = "Mean ± standard deviation over folds or seeds [95 % interval]. "
    return _table(
        "Every system",
        ("System", "Variant", *names),
        [(*system, *(cells.get(column, "") for column in columns)) for system, cells in found.items()],
        note=f"{note}{'; '.join(sizes)}.",
        shown=True,
    )


def _class_name(class_id: str) -> str:
    return class_id if class_id in OVERALL else LabelSet.from_ids([class_id, "-"]).names[0]


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


def _table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[object]], *, note: str = "", shown: bool = False
) -> str:
    """Folded up until it is asked for, unless ``shown``; nothing where there is no row."""
    if not rows:
        return ""
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "\n".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    table = f'<div class="wide"><table><tr>{cells}</tr>\n{lines}</table></div>'
    said = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<details{' open' if shown else ''}><summary>{escape(title)}</summary>\n{said}{table}</details>"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _fold(fold: int | None) -> str:
    return "all" if fold is None else str(fold + 1)
