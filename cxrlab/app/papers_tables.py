"""The printed tables on the Papers page: a figure and a table of printed values beside ours, and all other figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from cxrlab.app import links
from cxrlab.app.evaluation_blocks import picture, table
from cxrlab.app.words import plain
from cxrlab.plots.papers import Spread, printed_alt_text, printed_figure
from cxrlab.workflows.papers import (
    PAPERS,
    OurResult,
    PaperResult,
    PaperTable,
    StudyResults,
    measure_words,
    measured_tables,
    other_results,
)

MARKS = "†‡§¶"
WIDEST_PX, NARROW_PX, LETTER_PX = 200, 52, 6  # of columns, and of a letter of theirs
OTHER_IMAGES = (
    "Printed values come from the paper's own images, ours from those named in the table: they show what a system "
    "reached elsewhere, and no difference between the two columns is a test."
)


def pick_paper() -> str:
    """``S1`` to ``S5``; in the URL."""
    names = {paper: f"{paper} {title}" for paper, title in PAPERS.items()}
    key, before = links.one("paper", list(names), "S1")
    chosen = st.pills(
        "Paper", list(names), default=before, required=True, format_func=lambda paper: names.get(paper, paper), key=key
    )
    links.keep("paper", [chosen or "S1"], ["S1"])
    return chosen or "S1"


def printed_tables(paper: str, studies: Sequence[StudyResults]) -> None:
    """Every table of a paper that holds measures, the measure picked where there are several."""
    tables = measured_tables(paper, studies)
    for place in dict.fromkeys(each.place for each in tables):
        _one_table(paper, [each for each in tables if each.place == place])
    if tables:
        st.caption(OTHER_IMAGES)


def _one_table(paper: str, measures: Sequence[PaperTable]) -> None:
    st.subheader(f"{PAPERS[paper]}, {measures[0].place}", anchor=False)
    if all(len(each.lines) == 1 for each in measures):
        shown, name = measures, f"{measures[0].place}"
    else:
        picked = _pick_measure(paper, measures)
        shown, name = [picked], measure_words(picked.class_name, picked.metric)
        _figure(picked, name, key=f"figure-{paper}-{picked.place}-{name}")
    _table(table_rows(shown), alt=f"{measures[0].place}, {name}: printed and ours")
    has_spread = any(line.printed.std is not None for each in shown for line in each.lines)
    has_ours = any(line.ours for each in shown for line in each.lines)
    parts = [
        f"Printed on {shown[0].dataset}",
        "± is the standard deviation over folds" if has_spread else "",
        "brackets are 95 % intervals of ours" if has_ours else "no run here has measured these systems",
    ]
    st.caption(plain(" · ".join(part for part in parts if part)))
    for sentence, mark in marks(shown).items():
        st.caption(plain(f"{mark} {sentence}"))


def _figure(shown: PaperTable, name: str, *, key: str) -> None:
    systems, printed, ours = drawn(shown)
    title = f"{name[:1].upper()}{name[1:]}"
    alt = printed_alt_text(systems, printed, ours, title=f"{shown.place}, {name}")
    picture(printed_figure(systems, printed, ours, title=title), key=key, alt=alt)


def _table(rows: Sequence[dict[str, Any]], *, alt: str) -> None:
    """All rows at once, the system pinned and as wide as its names, counts narrow, so that the run is in sight."""
    longest = max(len(row["System"]) for row in rows)
    config = {
        "System": st.column_config.Column(pinned=True, width=min(WIDEST_PX, 20 + LETTER_PX * longest)),
        **{name: st.column_config.Column(width=NARROW_PX, alignment="right") for name in ("n", "Folds")},
    }
    st.dataframe(list(rows), hide_index=True, height="content", column_config=config, alt=alt)


def _pick_measure(paper: str, measures: Sequence[PaperTable]) -> PaperTable:
    by_key = {f"{each.class_name}-{each.metric}": each for each in measures}
    first = next(iter(by_key))
    if len(by_key) == 1:
        return by_key[first]
    name = f"measure-{paper}-{measures[0].place}".replace(" ", "-")
    key, before = links.one(name, list(by_key), first)
    chosen = st.pills(
        "Measure",
        list(by_key),
        default=before,
        required=True,
        format_func=lambda key: measure_words(by_key[key].class_name, by_key[key].metric) if key in by_key else key,
        key=key,
        label_visibility="collapsed",
    )
    links.keep(name, [chosen or first], [first])
    return by_key[chosen or first]


def marks(measures: Sequence[PaperTable]) -> dict[str, str]:
    """What is wrong with a printed number, or to be known of it -> the mark that stands beside the number."""
    printed = [line.printed for each in measures for line in each.lines]
    sentences = dict.fromkeys(result.misprint for result in printed if result.misprint)
    return {sentence: MARKS[position % len(MARKS)] for position, sentence in enumerate(sentences)}


def table_rows(measures: Sequence[PaperTable]) -> list[dict[str, Any]]:
    """One row a system and measure, and one more for every further run; columns that would be empty are left out."""
    rows, notes = [], marks(measures)
    for each in measures:
        decimals = max(_decimals(line.printed.mean) for line in each.lines)
        for line in each.lines:
            first = {
                "System": _system(line.printed),
                "Measure": measure_words(each.class_name, each.metric) if len(measures) > 1 else "",
                "Printed": f"{_printed(line.printed, decimals)} {notes.get(line.printed.misprint, '')}".rstrip(),
            }
            for position, ours in enumerate(line.ours or (None,)):
                given = first if position == 0 else {**first, "Printed": ""}
                rows.append({**given, **_ours_cells(ours, line.printed)})
    order = ["System", "Measure", "Printed", "Ours", "n", "Folds", "Our variant", "Data set", "Scale", "Run"]
    filled = [column for column in order if any(row[column] for row in rows)]
    if any(row["Ours"] for row in rows):
        rows = [{**row, "Ours": row["Ours"] or "no run"} for row in rows]
    return [{column: row[column] for column in filled} for row in rows]


def drawn(shown: PaperTable) -> tuple[list[str], list[Spread], dict[str, dict[int, Spread]]]:
    """What the figure shows: systems, printed values, and ours by run."""
    systems = [f"{line.printed.system}<br>{line.printed.variant}".removesuffix("<br>") for line in shown.lines]
    printed = [_printed_spread(line.printed) for line in shown.lines]
    ours: dict[str, dict[int, Spread]] = {}
    for position, line in enumerate(shown.lines):
        for our in line.ours:
            ours.setdefault(_run_words(our, line.printed), {}).setdefault(position, _our_spread(our))
    return systems, printed, ours


def other_figures(paper: str) -> None:
    """Counts, parameters, settings and costs, as printed."""
    results = other_results(paper)
    if not results:
        return
    with st.expander(f"Everything else that is printed: {len(results)} numbers", icon=":material/table:"):
        st.caption("Counts, parameters, settings, cost, and what the paper quotes of others. Nothing here is measured.")
        rows = [
            {
                "Where": result.table,
                "System": _system(result),
                "Of": result.class_name,
                "What": result.metric.replace("_", " "),
                "Printed": f"{result.mean:,.10g}",
                "Data set": result.dataset,
                "Note": result.misprint,
            }
            for result in results
        ]
        table(rows, alt=f"All other numbers printed in {PAPERS[paper]}", pinned=["Where"])


def _system(result: PaperResult) -> str:
    return f"{result.system}, {result.variant}" if result.variant else result.system


def _decimals(value: float) -> int:
    """As many as were printed, at least three; zeros at the end are lost in a number."""
    return max(3, len(f"{value:.5f}".rstrip("0").split(".")[1]))


def _printed(result: PaperResult, decimals: int) -> str:
    spread = "" if result.std is None else f" ± {result.std:.2f}"
    return f"{result.mean:.{decimals}f}{spread}"


def _printed_spread(result: PaperResult) -> Spread:
    if result.std is None:
        return Spread(result.mean, math.nan, math.nan)
    return Spread(result.mean, result.mean - result.std, result.mean + result.std)


def _our_spread(ours: OurResult) -> Spread:
    low, high = (math.nan if limit is None else limit for limit in (ours.row.low, ours.row.high))
    return Spread(ours.row.mean, low, high)


def _run_words(ours: OurResult, printed: PaperResult) -> str:
    """A run in the legend: its folder and scale, and the variant where the paper names none."""
    variant = f", {ours.row.variant}" if ours.row.variant != printed.variant else ""
    return f"{ours.study.folder or ours.study.study} ({ours.study.scale}){variant}"


def _ours_cells(ours: OurResult | None, printed: PaperResult) -> dict[str, str]:
    if ours is None:
        return dict.fromkeys(("Ours", "n", "Folds", "Our variant", "Data set", "Scale", "Run"), "")
    row, study = ours.row, ours.study
    return {
        "Ours": str(_our_spread(ours)),
        "n": f"{row.n:,}",
        "Folds": str(row.folds),
        "Our variant": row.variant if row.variant != printed.variant else "",
        "Data set": row.dataset,
        "Scale": study.scale,
        "Run": f"{study.folder or study.study}{f'/{row.run}' if row.run else ''}",
    }
