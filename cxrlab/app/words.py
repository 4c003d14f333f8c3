"""Numbers and names as the app writes them."""

from __future__ import annotations

import re

from cxrlab.results import Estimate
from cxrlab.workflows.checkpoint_facts import CheckpointFacts

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|$~:@&]|^\s*[-+]|(?<=www)\.|(?<=^\d)[.)])", re.IGNORECASE)

DOMAIN_WORDS = {"real": "real X-rays", "phantom": "phantoms"}


def plain(text: str) -> str:
    """Text that Markdown shows letter by letter: file names and titles come from outside.

    >>> plain("*scan*_1.png")
    '\\\\*scan\\\\*\\\\_1\\\\.png'
    """
    return _MARKDOWN.sub(r"\\\1", text.replace("\n", " "))


def short(class_name: str) -> str:
    """A class's name without what stands in brackets, for places where the domain is written beside it.

    >>> short("Lobar consolidation (phantom)")
    'Lobar consolidation'
    """
    return class_name.split(" (")[0]


def domain_words(domain: str) -> str:
    """A training domain in words, e.g. ``real X-rays``."""
    return DOMAIN_WORDS.get(domain, f"{domain} images")


def interval(estimate: Estimate | None) -> str:
    """``0.812 [0.780, 0.841]``; a dash where nothing was measured."""
    return "–" if estimate is None else str(estimate)


def size(size_bytes: float) -> str:
    """Bytes in MB with at most three digits, e.g. ``4.62 MB``; a dash for 0."""
    return f"{size_bytes / 1e6:.3g} MB" if size_bytes else "–"


def duration(seconds: float) -> str:
    """``84 ms``, ``2.3 s``, ``14 min`` or ``3 h 34 min``; a dash for 0."""
    if not seconds:
        return "–"
    if seconds >= 120:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def facts_line(facts: CheckpointFacts) -> str:
    """What a picker says below a checkpoint's name, one line of plain text."""
    figures = (
        f"macro-F1 {interval(facts.macro_f1)}, n = {facts.images:,}" if facts.macro_f1 else "not measured on a test set"
    )
    trained = facts.domain_text or domain_words(facts.domain)
    speed = f"{duration(facts.seconds_per_image)} an image" if facts.seconds_per_image else "speed unknown"
    kind = f"ensemble of {len(facts.members)} · " if facts.kind == "ensemble" else ""
    return f"{kind}{figures} · {trained} · {size(facts.size_bytes)} · {speed} · {facts.short_sha256}"
