"""How several checkpoints agree on one X-ray, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cxrlab.results import ModelResult


def agreement(results: Sequence[ModelResult]) -> str:
    """How the models decide, in one sentence: ``4 of 5 say Normal; resnet18 says Viral pneumonia.``

    Decisions are compared by class id. Empty for fewer than two results.
    """
    if len(results) < 2:
        return ""
    names = {result.predicted: result.labels.names[result.labels.index(result.predicted)] for result in results}
    counts = Counter(result.predicted for result in results)
    (top, votes), *others = counts.most_common()
    if not others:
        return f"All {len(results)} say {names[top]}."
    if others[0][1] == votes:
        return "No majority: " + "; ".join(_says(results, names, id_) for id_ in counts) + "."
    rest = "; ".join(_says(results, names, id_) for id_, _ in others)
    return f"{votes} of {len(results)} say {names[top]}; {rest}."


def _says(results: Sequence[ModelResult], names: dict[str, str], id_: str) -> str:
    who = [result.checkpoint for result in results if result.predicted == id_]
    together = who[0] if len(who) == 1 else f"{', '.join(who[:-1])} and {who[-1]}"
    return f"{together} {'says' if len(who) == 1 else 'say'} {names[id_]}"
