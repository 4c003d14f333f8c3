"""`cxrlab checkpoints`: what there is to use."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrlab.commands.choices import Json, named
from cxrlab.commands.terminal import say, show, show_json, show_table

if TYPE_CHECKING:
    from cxrlab.workflows.checkpoint_cards import CardFigures, OpenCard
    from cxrlab.workflows.checkpoint_facts import CheckpointFacts

commands = typer.Typer(no_args_is_help=True, help="Trained checkpoints and their cards.")


@commands.command("list")
def list_(as_json: Json = False) -> None:
    """Every checkpoint with what was measured, on what, its size and speed."""
    from cxrlab.workflows.checkpoint_facts import broken_sentences, list_facts

    facts = list_facts()
    for broken in broken_sentences():
        say(broken)
    if as_json:
        show_json([_as_json(each) for each in facts])
        return
    columns = ["name", "kind", "trained on", "macro-F1", "n", "measured on", "size", "time an image", "weights"]
    show_table(columns, [_row(each) for each in facts])
    if not facts:
        show("No checkpoints yet; train one with `cxrlab train`.")


def _as_json(facts: CheckpointFacts) -> dict[str, Any]:
    known = asdict(facts) | {"labels": list(facts.labels.ids), "members": list(facts.members)}
    return known | {"macro_f1": asdict(facts.macro_f1) if facts.macro_f1 else None}


def _row(facts: CheckpointFacts) -> list[object]:
    return [
        facts.name,
        facts.kind,
        facts.domain_text or facts.domain,
        str(facts.macro_f1) if facts.macro_f1 else "not measured",
        facts.images or "",
        facts.measured_on or "–",
        f"{facts.size_bytes / 1e6:.1f} MB",
        f"{facts.seconds_per_image * 1000:.0f} ms" if facts.seconds_per_image else "–",
        facts.sha256[:8],
    ]


@commands.command("show")
def show_(
    name: Annotated[str, typer.Argument(help="A checkpoint's name, or the path of its folder.")], as_json: Json = False
) -> None:
    """The card of one checkpoint: data, figures, preprocessing, licence, hash, limits."""
    from cxrlab.workflows.checkpoint_cards import open_card

    opened = open_card(named(name))
    if as_json:
        show_json(json.loads(opened.text))
        return
    _show_card(opened)
    if opened.figures:
        _show_figures(opened.figures)
    elif opened.figures_error:
        say(opened.figures_error)


def _show_card(opened: OpenCard) -> None:
    card = opened.card
    joined = f"{card.voting} {'combiner' if card.is_learned else 'voting'} of {', '.join(card.members)}"
    facts = {
        "name": card.name,
        "title": card.title,
        "kind": card.kind,
        "classes": ", ".join(card.labels),
        "trained on": card.domain_text or card.domain,
        "network": card.model.name if card.model else joined,
        "input": _input(opened),
        "parameters": f"{card.parameters:,}",
        "size": f"{card.size_bytes / 1e6:.1f} MB {card.dtype}".strip(),
        "weights": card.weights_sha256,
        "training data": _counted(dict(card.training_data)),
        "made": card.created,
        "licence": card.licence or "–",
        "intended use": card.intended_use or "–",
    }
    facts |= {f"limit {number + 1}": text for number, text in enumerate(card.limits)}
    facts |= {f"reference {number + 1}": text for number, text in enumerate(card.references)}
    for key, value in facts.items():
        show(f"{key + ':':<16}{value}")


def _input(opened: OpenCard) -> str:
    rules = [card.preprocessing for card in (opened.members or (opened.card,)) if card.preprocessing]
    return "; ".join(dict.fromkeys(f"{rule.size} x {rule.size} pixels, {rule.resize}" for rule in rules))


def _counted(data: dict[str, Any]) -> str:
    words = [
        f"{data['images']} images" if data.get("images") else "",
        f"of {data['patients']} patients" if data.get("patients") else "",
    ]
    return " ".join([str(data.get("dataset") or "–"), str(data.get("part") or ""), *words]).strip()


def _show_figures(figures: CardFigures) -> None:
    report = figures.report
    show("")
    where = f"{figures.dataset} {figures.part}".strip() or "a set without a name"
    show(f"Measured on {where}: {figures.images} images of {figures.patients} patients.")
    show(f"macro-F1 {report.macro_f1}, balanced accuracy {report.balanced_accuracy}, accuracy {report.accuracy}")
    show(f"(always the largest class: {report.majority_rate})")
    rows = [
        [
            entry.class_id,
            str(entry.precision),
            str(entry.recall),
            str(entry.f1),
            str(entry.auc),
            entry.positives,
            entry.n,
        ]
        for entry in report.classes
    ]
    show_table(["class", "precision", "recall", "F1", "AUC", "of the class", "n"], rows)
