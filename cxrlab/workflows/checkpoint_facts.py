"""What a picker or a table says of each checkpoint: read from the cards, without weights and without torch."""

from __future__ import annotations

from dataclasses import dataclass

from cxrlab.catalogue import CheckpointInfo, list_broken, list_checkpoints, members_of
from cxrlab.labels import LabelSet
from cxrlab.metrics.results import estimate_from_json
from cxrlab.results import Estimate


@dataclass(frozen=True)
class CheckpointFacts:
    """One checkpoint in figures.

    Args:
        name, title, kind, domain, domain_text, sha256: as on the card.
        members: names of an ensemble's members.
        macro_f1: as measured, with its interval; None where the card has no figures.
        measured_on: data set and part in words, e.g. ``cxr, test part``; empty without figures.
        images, patients: that the figures rest on; 0 without figures.
        parameters, size_bytes: with those of an ensemble's members.
        seconds_per_image: on one CPU thread, an ensemble's the sum over its members; 0 where unknown.
        licence: of the weights; empty where the card does not say.
    """

    name: str
    title: str
    kind: str
    labels: LabelSet
    domain: str
    domain_text: str
    sha256: str
    members: tuple[str, ...]
    macro_f1: Estimate | None
    measured_on: str
    images: int
    patients: int
    parameters: int
    size_bytes: int
    seconds_per_image: float
    licence: str = ""

    @property
    def short_sha256(self) -> str:
        """First 8 digits, as shown beside numbers."""
        return self.sha256[:8]


def list_facts() -> tuple[CheckpointFacts, ...]:
    """Every usable checkpoint: models before ensembles, then by name."""
    return tuple(_facts(info) for info in list_checkpoints())


def broken_sentences() -> tuple[str, ...]:
    """One sentence for each folder that should be a checkpoint but can not be used."""
    return tuple(broken.error for broken in list_broken())


def _facts(info: CheckpointInfo) -> CheckpointFacts:
    card = info.card
    members = members_of(info)
    measured = card.metrics
    macro_f1 = (measured.get("report") or {}).get("macro_f1")
    part = {"all": "all images", "": ""}.get(str(measured.get("part") or ""), f"{measured.get('part')} part")
    where = [words for words in (str(measured.get("dataset") or ""), part) if words]
    times = [member.card.seconds_per_image for member in members]
    return CheckpointFacts(
        name=card.name,
        title=card.title,
        kind=card.kind,
        labels=card.label_set,
        domain=card.domain,
        domain_text=card.domain_text,
        sha256=card.weights_sha256,
        members=card.members,
        macro_f1=estimate_from_json(macro_f1) if macro_f1 else None,
        measured_on=", ".join(where),
        images=int(measured.get("images") or 0),
        patients=int(measured.get("patients") or 0),
        parameters=card.parameters,
        size_bytes=card.size_bytes,
        seconds_per_image=card.seconds_per_image or (sum(times) if all(times) else 0.0),
        licence=card.licence,
    )
