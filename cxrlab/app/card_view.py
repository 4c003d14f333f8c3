"""The card of a checkpoint on the screen: what it is, how good, trained on what and how, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from cxrlab.app import evaluation_tables as tables
from cxrlab.app.card_layers import card_layers
from cxrlab.app.evaluation_blocks import picture, table
from cxrlab.app.words import domain_words, duration, plain, size
from cxrlab.labels import LabelSet
from cxrlab.plots.metrics import (
    comparison_alt_text,
    comparison_figure,
    confusion_alt_text,
    confusion_figure,
    short_names,
)
from cxrlab.workflows.checkpoint_cards import CardFigures, ModelCard, OpenCard
from cxrlab.workflows.ensemble_scores import voting_words

Facts = Mapping[str, Any]
FACTS_STYLE = """<style>
.cx-facts { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; padding: 0;
  margin: 0 !important;
  font-size: .875rem; }
.cx-facts dt, .cx-facts dd { margin: 0; padding: .4rem 1rem .4rem 0; overflow-wrap: anywhere;
  border-bottom: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
.cx-facts dt { opacity: .75; }
</style>"""


def card_view(opened: OpenCard) -> None:
    """Everything a card says, the most asked for first. Parts that the card does not have are passed over."""
    card = opened.card
    _head(card)
    _actions(opened)
    _cautions(card)
    _figures(opened)
    left, right = st.columns(2, gap="large")
    with left:
        _training_data(card.training_data, card.label_set)
    with right:
        _use(card)
    _members(opened)
    left, right = st.columns(2, gap="large")
    with left:
        _network(card)
    with right:
        _training(card.training)
    card_layers(card)
    _origin(card)


def _head(card: ModelCard) -> None:
    st.subheader(plain(card.title), anchor=False, divider="gray")
    trained = card.domain_text or domain_words(card.domain)
    count = len(card.members)
    voting = {"soft": "soft voting ensemble", "hard": "hard voting ensemble", "flannel": "FLANNEL ensemble"}
    kind = f"{voting.get(card.voting, 'stacked ensemble')} of {count}" if card.kind == "ensemble" else "single network"
    with st.container(horizontal=True, gap="small"):
        st.badge(kind[0].upper() + kind[1:], icon=":material/hub:", color="blue")
        st.badge(plain(f"Trained on {trained}"), icon=":material/radiology:", color="gray")
    st.caption(plain(f"Tells apart: {', '.join(short_names(card.label_set))}"))


def _actions(opened: OpenCard) -> None:
    card = opened.card
    source = "phantom" if card.domain == "phantom" else "path"
    with st.container(horizontal=True):
        if st.button("Compare with this", icon=":material/compare:", type="primary"):
            st.switch_page("pages/1_Compare.py", query_params={"m": card.name})
        if st.button("Evaluate this", icon=":material/monitoring:"):
            st.switch_page("pages/2_Evaluate.py", query_params={"models": card.name, "set": source})
        st.download_button(
            "card.json",
            opened.text,
            f"{card.name}-card.json",
            "application/json",
            on_click="ignore",
            icon=":material/download:",
        )


def _cautions(card: ModelCard) -> None:
    if card.limits:
        limits = "\n".join(f"- {plain(limit)}" for limit in card.limits)
        st.warning(f"**Limits**\n\n{limits}", icon=":material/warning:")


def _figures(opened: OpenCard) -> None:
    st.markdown("#### How good it is")
    figures = opened.figures
    if figures is None:
        st.info(
            opened.figures_error or "This checkpoint has not been measured on a test set yet: choose Evaluate this."
        )
        return
    report, labels = figures.report, opened.card.label_set
    where = f"{figures.dataset or 'unnamed set'}, {tables.PARTS.get(figures.part, figures.part) or 'part not named'}"
    basis = f"{where}: {figures.images:,} images of {figures.patients:,} patients"
    st.caption(plain(f"{basis}. In brackets: {report.level:.0%} intervals.".replace("%", " %")))
    names = {metric: title for title, metric in tables.OVERALL_COLUMNS.items()}
    with st.container(horizontal=True, gap="medium"):
        for metric in ("macro_f1", "accuracy", "majority_rate", "balanced_accuracy"):
            estimate = getattr(report, metric)
            if estimate.value == estimate.value:
                limits = f"[{estimate.low:.3f}, {estimate.high:.3f}]" if estimate.low == estimate.low else "no interval"
                with st.container(gap=None, width=150):
                    st.metric(names[metric], f"{estimate.value:.3f}")
                    st.caption(plain(limits))
    _figures_pictures(figures, labels)
    rows = tables.report_rows(report, labels)
    table(rows, alt="Metrics of every class", pinned=["Class"])
    methods = tables.interval_words(tables.report_estimates(report))
    st.caption(plain(f"{basis} · decision by {tables.DECISION_RULE} · {methods} · weights {_short(opened.card)}"))
    if figures.sources:
        with st.expander("Within each source", icon=":material/account_tree:"):
            table(tables.card_source_rows(figures.sources, labels), alt="Metrics within each source", pinned=["Source"])
            st.caption(plain(f"Fewer than 10 images of a class in a source: counts only. {basis}."))


def _figures_pictures(figures: CardFigures, labels: LabelSet) -> None:
    report = figures.report
    chosen = ("Recall (sensitivity)", "Precision", "F1", "AUC")
    by_class = {
        title: {
            name: getattr(report.of_class(id_), tables.CLASS_COLUMNS[title])
            for id_, name in zip(labels.ids, labels.names, strict=True)
        }
        for title in chosen
    }
    left, right = st.columns(2, gap="large")
    with left:
        picture(comparison_figure(by_class, title="By class"), key="card-classes", alt=comparison_alt_text(by_class))
    with right:
        if report.confusion is not None:
            alt = confusion_alt_text(report.confusion, labels)
            picture(confusion_figure(report.confusion, labels, title="Confusion"), key="card-confusion", alt=alt)


def _training_data(data: Facts, labels: LabelSet) -> None:
    st.markdown("#### Trained on")
    if not data:
        st.caption("The card says nothing about the training data.")
        return
    names = dict(zip(labels.ids, labels.names, strict=True))
    parts = [str(data.get("dataset") or "")]
    parts.append(tables.PARTS.get(str(data.get("part") or ""), str(data.get("part") or "")))
    counts = [f"{data[key]:,} {key}" for key in ("images", "patients") if isinstance(data.get(key), int)]
    st.markdown(plain(f"{', '.join(part for part in parts if part)}: {' of '.join(counts)}"))
    by_class, by_source = _mapping(data.get("by_class")), _mapping(data.get("by_source"))
    if by_class:
        rows = [
            {"Class": names.get(id_, id_), "Images": count}
            | {source: _mapping(counts).get(id_, 0) for source, counts in by_source.items() if _mapping(counts)}
            for id_, count in sorted(by_class.items(), key=lambda item: _place(labels, item[0]))
        ]
        table(rows, alt="Training images by class and source", pinned=["Class"])
    validation = _mapping(data.get("validation")).get("images")
    facts = [
        f"split: {data['split']}" if data.get("split") else "",
        f"{validation:,} images held out by patient to pick the best epoch" if isinstance(validation, int) else "",
        f"split hash {str(data['split_digest'])[:8]}" if data.get("split_digest") else "",
    ]
    st.caption(plain(" · ".join(fact for fact in facts if fact)))


def _use(card: ModelCard) -> None:
    st.markdown("#### Intended use")
    st.markdown(plain(card.intended_use or "Not stated on the card. Research and teaching only, never a diagnosis."))
    st.markdown(f"**Licence of the weights:** {plain(card.licence or 'not stated')}")
    if card.references:
        st.markdown("**References**\n" + "\n".join(f"- {plain(reference)}" for reference in card.references))


def _members(opened: OpenCard) -> None:
    if not opened.members:
        return
    st.markdown("#### Members")
    learned = {"flannel": "for each image", "mlp_l1": "none", "mlp_l2": "none"}
    rows = [
        {
            "Member": member.title,
            "Weight": learned.get(opened.card.voting, f"{weight:.3f}"),
            "Network": member.model.name if member.model else "",
            "Input": f"{member.preprocessing.size} px" if member.preprocessing else "",
            "Parameters": f"{member.parameters:,}",
            "Weights": member.weights_sha256[:8],
        }
        for member, weight in zip(opened.members, opened.card.weights, strict=True)
    ]
    table(rows, alt="Members of the ensemble", pinned=["Member"])
    st.caption(voting_words(opened.card))


def _network(card: ModelCard) -> None:
    facts = {
        "Parameters": f"{card.parameters:,}" if card.parameters else "",
        "On disk": f"{size(card.size_bytes)}, {card.dtype}".removesuffix(", ") if card.size_bytes else "",
        "One image": f"{duration(card.seconds_per_image)} on one CPU thread" if card.seconds_per_image else "",
        "Activation": card.activation.replace("_", " "),
        "Temperature": f"{card.temperature:g}" if card.temperature != 1 else "",
        "Thresholds": ", ".join(f"{label} {value:.3f}" for label, value in card.thresholds.items()),
    }
    if card.model and card.preprocessing:
        rule = card.preprocessing
        facts |= {
            "Network": card.model.name,
            "Input": f"{rule.size} x {rule.size} px, {rule.resize}, {rule.interpolation}",
            "Mean": ", ".join(f"{value:g}" for value in rule.mean),
            "Standard deviation": ", ".join(f"{value:g}" for value in rule.std),
            "Heatmap layer": card.cam_layer,
        }
    if card.is_learned:
        facts["Combiner"] = f"{card.voting.replace('_', ' ')}, weights {card.combiner_sha256[:8]}"
    st.markdown("#### Network and input" if card.model else "#### Output")
    st.html(facts_html(facts))


def _training(training: Facts) -> None:
    config, history = _mapping(training.get("config")), _mapping(training.get("history"))
    if not config and not history:
        return
    st.markdown("#### Training")
    seconds = history.get("seconds") or training.get("seconds")
    shown = ("optimiser", "learning_rate", "weight_decay", "schedule", "loss", "class_weights", "batch_size", "seed")
    facts = {name.replace("_", " ").capitalize(): str(config[name]) for name in shown if config.get(name) is not None}
    epochs, best = history.get("epochs") or config.get("epochs"), history.get("best_epoch")
    facts["Epochs"] = f"{epochs}, best {best}" if best else str(epochs or "")
    facts["Time"] = f"{seconds / 60:.0f} minutes" if isinstance(seconds, int | float) else ""
    st.html(facts_html(facts))
    with st.expander("All settings and augmentation", icon=":material/tune:"):
        st.json(dict(training), expanded=1)


def _origin(card: ModelCard) -> None:
    st.markdown("#### Identity")
    st.code(card.weights_sha256, language=None, wrap_lines=True)
    versions = " · ".join(f"{name} {version}" for name, version in card.versions.items())
    made = f"sha256 of {'the members and their weights' if card.kind == 'ensemble' else 'model.safetensors'}"
    st.caption(
        plain(" · ".join(part for part in (made, f"made {card.created}" if card.created else "", versions) if part))
    )


def facts_html(facts: Mapping[str, str]) -> str:
    """Names and values as a definition list; empty values are passed over."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    return f'{FACTS_STYLE}<dl class="cx-facts">{rows}</dl>'


def _mapping(value: Any) -> Facts:
    return value if isinstance(value, Mapping) else {}


def _place(labels: LabelSet, id_: str) -> int:
    return labels.index(id_) if id_ in labels else len(labels)


def _short(card: ModelCard) -> str:
    return card.weights_sha256[:8]
