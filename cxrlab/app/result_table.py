"""Every result as a row: on the page, and as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

import streamlit as st

from cxrlab.app.verdicts import Verdict
from cxrlab.app.words import duration
from cxrlab.labels import LabelSet
from cxrlab.workflows.compare import ModelResult
from cxrlab.workflows.memory import Picture


def result_rows(
    answers: Iterable[tuple[Picture, ModelResult, Verdict, str]], labels: Sequence[str]
) -> list[dict[str, Any]]:
    """The table behind the cards: one row per X-ray and checkpoint, a column per class.

    Args:
        answers: picture, result, verdict, and the true class where it is shown.
        labels: ids of all classes that occur, in order; a class that a model does not know stays empty.
    """
    rows = []
    for picture, result, said, truth in answers:
        known = dict(zip(result.labels.ids, (float(score) for score in result.scores), strict=True))
        rows.append(
            {
                "image": picture.name,
                "image_sha256": picture.sha256,
                "checkpoint": result.checkpoint,
                "checkpoint_sha256": result.checkpoint_sha256,
                "trained_on": result.domain,
                "decision": result.predicted,
                **{label: known.get(label) for label in labels},
                "true_class": truth,
                "verdict": said if said != "unknown" else "",
                "seconds": round(result.seconds, 4),
                "device": result.device,
            }
        )
    return rows


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV. A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    file = StringIO()
    if rows:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def results_table(rows: Sequence[dict[str, Any]], labels: LabelSet) -> None:
    """The table, and the same as a CSV file."""
    names = dict(zip(labels.ids, labels.names, strict=True))
    shown = [
        {
            "Image": row["image"],
            "Checkpoint": row["checkpoint"],
            "Hash": row["checkpoint_sha256"][:8],
            "Decision": names[row["decision"]],
            **{names[id_]: row[id_] for id_ in labels.ids},
            "True class": names.get(row["true_class"], row["true_class"]),
            "Verdict": row["verdict"],
            "Time": duration(row["seconds"]),
            "Device": row["device"],
        }
        for row in rows
    ]
    formats = {name: st.column_config.NumberColumn(format="%.3f") for name in labels.names}
    st.dataframe(shown, hide_index=True, column_config=formats, alt="Every result as numbers")
    st.download_button(
        "Download as CSV",
        data=lambda: as_csv(rows),
        file_name="comparison.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
    )
