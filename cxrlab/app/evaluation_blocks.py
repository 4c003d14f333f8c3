"""What an evaluation looks like: its set, overall metrics, curves, confusion matrices, classes, sources, downloads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from cxrlab.app import evaluation_tables as tables
from cxrlab.app import links
from cxrlab.app.words import duration, plain
from cxrlab.labels import PROJECTIONS
from cxrlab.plots.curves import pr_alt_text, pr_figure, roc_alt_text, roc_figure
from cxrlab.plots.metrics import (
    comparison_alt_text,
    comparison_figure,
    confusion_alt_text,
    confusion_figure,
    short_names,
)
from cxrlab.workflows.evaluate import Evaluation
from cxrlab.workflows.evaluation_curves import class_curves, model_names
from cxrlab.workflows.evaluation_files import curves_csv, evaluation_json, metrics_csv, predictions_csv

GRID = """<style>
.st-key-grid-confusion { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr));
  gap: 1rem; }
.st-key-grid-confusion > div { width: auto !important; min-width: 0; }
</style>"""
NO_TOOLBAR = {"displayModeBar": False}
DOMAIN_NOTE = (
    "A checkpoint is only measured on images of its own classes: networks trained on real X-rays have other classes "
    "than the phantoms, so the two never meet here."
)


def picture(figure: Any, *, key: str, alt: str) -> None:
    """A figure that fills its place, without the toolbar, with its words for screen readers."""
    st.plotly_chart(figure, key=key, config=NO_TOOLBAR, alt=alt)


def table(rows: Sequence[dict[str, Any]], *, alt: str, pinned: Sequence[str] = ()) -> None:
    """Rows as a table whose first columns stay in sight."""
    config = {name: st.column_config.Column(pinned=True) for name in pinned}
    st.dataframe(list(rows), hide_index=True, column_config=config, alt=alt)


def head(evaluation: Evaluation) -> None:
    """What was measured on what, where, what was left out, and how it ran."""
    run = evaluation.runs[0]
    st.subheader(plain(tables.set_words(evaluation)), anchor=False, divider="gray")
    seconds = sum(each.facts.seconds for each in evaluation.runs)
    devices = ", ".join(dict.fromkeys(each.facts.device for each in evaluation.runs))
    made = f"{duration(seconds)} of prediction on {devices}"
    if evaluation.reopened:
        again = len(evaluation.reopened)
        stored = "all" if again == len(evaluation.runs) else f"{again} of {len(evaluation.runs)}"
        st.badge(f"Reopened from store: {stored}", icon=":material/history:", color="gray")
    st.caption(
        plain(f"Classes: {', '.join(short_names(evaluation.labels))} · {made} · {tables.when(run.facts.created)}")
    )
    if run.facts.task in PROJECTIONS:
        st.caption(
            f"Task: {PROJECTIONS[run.facts.task].title}. Each checkpoint's scores of finer classes are added up, the "
            "highest sum decides, and the truth is mapped the same way."
        )
    for note in evaluation.notes:
        st.info(plain(note), icon=":material/info:")
    _dropped(evaluation)


def _dropped(evaluation: Evaluation) -> None:
    rows = tables.dropped_rows(evaluation)
    if rows:
        total = sum(row["Rows"] for row in rows)
        with st.expander(f"{total:,} rows of the set were left out", icon=":material/filter_alt_off:"):
            table(rows, alt="Rows left out, by reason")


def overall(evaluation: Evaluation) -> None:
    """Accuracy beside the majority-class rate, balanced accuracy, macro-F1: as a figure and as a table."""
    st.subheader("Overall", anchor=False)
    estimates = tables.overall_estimates(evaluation)
    if all(each.value != each.value for by in estimates.values() for each in by.values()):
        st.info("A multi-label task has no single answer an image, so only curves and their areas are defined.")
        return
    picture(comparison_figure(estimates), key="overall", alt=comparison_alt_text(estimates))
    table(tables.overall_rows(evaluation), alt="Overall metrics of every model", pinned=["Model"])
    shown = [each for by in estimates.values() for each in by.values()]
    st.caption(plain(tables.provenance(evaluation, shown, decision=True)))
    st.caption(
        "Majority-class rate: the accuracy of always answering the most frequent class. Macro-F1: mean over classes."
    )


def pick_class(evaluation: Evaluation) -> str:
    """The class that curves and sources are about; in the URL."""
    ids = list(evaluation.labels.ids)
    first = tables.default_class(evaluation.labels, evaluation.runs[0].report.classes)
    key, before = links.one("focus", ids, first)
    chosen = st.pills(
        "Class against the rest",
        ids,
        default=before,
        required=True,
        format_func=dict(zip(ids, short_names(evaluation.labels), strict=True)).__getitem__,
        key=key,
    )
    links.keep("focus", [chosen or first], [first])
    return chosen or first


def curves(evaluation: Evaluation, class_id: str) -> None:
    """ROC and precision-recall curves of all models for one class."""
    name = evaluation.labels.names[evaluation.labels.index(class_id)]
    try:
        found = class_curves(evaluation, class_id)
    except ValueError as error:
        st.info(plain(f"{name}: {error}"), icon=":material/show_chart:")
        return
    left, right = st.columns(2, gap="medium")
    with left:
        title = f"ROC, {name}"
        figure = roc_figure(found.roc, areas=found.auc, title=title)
        picture(figure, key="roc", alt=roc_alt_text(found.roc, areas=found.auc, title=name))
    with right:
        title, areas = f"Precision-recall, {name}", found.average_precision
        picture(
            pr_figure(found.pr, areas=areas, title=title), key="pr", alt=pr_alt_text(found.pr, areas=areas, title=name)
        )
    estimates = [*found.auc.values(), *found.average_precision.values()]
    st.caption(plain(tables.provenance(evaluation, estimates, decision=False)))
    with st.expander("Numbers behind the curves", icon=":material/table:"):
        columns = ("Model", "Weights", "AUC", "Average precision", "Positives", "Images")
        rows = [{key: row[key] for key in columns} for row in tables.class_rows(evaluation, class_id)]
        table(rows, alt=f"Areas under the curves, {name}", pinned=["Model"])
        st.download_button(
            "Points of the curves (CSV)",
            lambda: curves_csv(evaluation, class_id),
            f"curves-{class_id}.csv",
            "text/csv",
            key="points",
            on_click="ignore",
            icon=":material/download:",
        )


def confusion(evaluation: Evaluation) -> None:
    """Confusion matrices side by side: counts, and shares of each true class."""
    named = list(zip(model_names(evaluation), evaluation.runs, strict=True))
    matrices = [(name, run.report.confusion) for name, run in named]
    if all(matrix is None for _, matrix in matrices):
        return
    st.subheader("Confusion matrices", anchor=False)
    st.html(GRID)
    with st.container(key="grid-confusion"):
        for position, (name, matrix) in enumerate(matrices):
            if matrix is not None:
                with st.container(gap="small"):
                    alt = confusion_alt_text(matrix, evaluation.labels, title=name)
                    picture(confusion_figure(matrix, evaluation.labels, title=name), key=f"cm{position}", alt=alt)
    st.caption(plain(f"Counts, and shares of each true class (row). {tables.provenance(evaluation, decision=True)}"))
    with st.expander("Confusion matrices as tables", icon=":material/table:"):
        for position, (name, _) in enumerate(matrices):
            st.markdown(f"**{plain(name)}**")
            table(tables.confusion_rows(evaluation, position), alt=f"Confusion matrix of {name}", pinned=["Truth"])


def classes(evaluation: Evaluation) -> None:
    """Every metric of every class and model."""
    st.subheader("Metrics of each class", anchor=False)
    table(tables.class_rows(evaluation), alt="Metrics of every class and model", pinned=["Class", "Model"])
    st.caption(plain(tables.provenance(evaluation, tables.class_estimates(evaluation), decision=True)))


def sources(evaluation: Evaluation, class_id: str) -> None:
    """The class within each source, where the set names several."""
    if not tables.has_sources(evaluation):
        return
    name = evaluation.labels.names[evaluation.labels.index(class_id)]
    st.subheader(f"{plain(name)} within each source", anchor=False)
    st.caption(
        "A source with fewer than 10 images of the class has counts only; one that holds a single class can not tell "
        "the class from the source, so specificity and areas are undefined there."
    )
    table(tables.source_rows(evaluation, class_id), alt=f"Metrics of {name} in each source", pinned=["Source", "Model"])
    estimates = tables.source_estimates(evaluation, class_id)
    st.caption(plain(tables.provenance(evaluation, estimates, decision=True)))


def downloads(evaluation: Evaluation) -> None:
    """Files, built when asked for."""
    files = (
        ("Metrics (CSV)", lambda: metrics_csv(evaluation), "metrics.csv", "text/csv"),
        ("Predictions (CSV)", lambda: predictions_csv(evaluation), "predictions.csv", "text/csv"),
        ("Everything (JSON)", lambda: evaluation_json(evaluation), "evaluation.json", "application/json"),
    )
    with st.container(horizontal=True):
        for label, data, name, mime in files:
            st.download_button(label, data, name, mime, on_click="ignore", icon=":material/download:")


def how(evaluation: Evaluation) -> None:
    """Where every number comes from, in full."""
    with st.expander("How these numbers were made", icon=":material/fact_check:"):
        first = evaluation.runs[0]
        report = first.report
        st.markdown(
            f"Decision: {tables.DECISION_RULE}; ties go to the earlier class. Proportions have Wilson's interval; F1, "
            f"AUC and average precision a percentile interval from {report.draws:,} draws of whole patients "
            f"(seed {report.seed})."
        )
        st.markdown(DOMAIN_NOTE)
        st.caption(f"Images: {first.facts.dataset_digest}")
        rows = [
            {
                "Model": name,
                "Checkpoint": run.facts.checkpoint,
                "Weights (sha256)": run.facts.checkpoint_sha256,
                "Device": run.facts.device,
                "Prediction": duration(run.facts.seconds),
                "Computed": run.facts.created,
                "cxrlab": run.facts.version,
            }
            for name, run in zip(model_names(evaluation), evaluation.runs, strict=True)
        ]
        table(rows, alt="Checkpoints, hashes and devices", pinned=["Model"])
