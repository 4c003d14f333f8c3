"""Does a paper's claim hold in our runs? Judged from what studies stored, by 95 % intervals of differences."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cxrlab.papers.claims import AP_VIEW, Claim, Side
from cxrlab.papers.study_results import StudyComparison, StudyResults, StudyRow

Verdict = Literal["holds", "does not hold", "cannot be told"]
SCALES = ("full", "lite")  # the best first; smoke runs only show that the code runs and judge nothing
COMBINED = "intervals of both combined as if independent"


@dataclass(frozen=True)
class Evidence:
    """One difference that a verdict rests on: positive where it speaks for the claim.

    Args:
        sentence: what was compared. difference, low, high: with its 95 % interval; NaN where there is none.
        n, patients: images and patients. test: how the interval was made.
    """

    sentence: str
    difference: float
    low: float
    high: float
    n: int
    patients: int
    test: str

    @property
    def verdict(self) -> Verdict:
        """By the interval alone."""
        if self.low > 0:
            return "holds"
        return "does not hold" if self.high < 0 else "cannot be told"


@dataclass(frozen=True)
class Judgement:
    """The verdict on a claim.

    Args:
        verdict: by the study named. reason: one sentence. evidence: what it rests on, may be empty.
        study, scale, dataset, folder, notes: of the run; empty where there is none.
    """

    verdict: Verdict
    reason: str
    evidence: tuple[Evidence, ...] = ()
    study: str = ""
    scale: str = ""
    dataset: str = ""
    folder: str = ""
    notes: tuple[str, ...] = ()


def judge(claim: Claim, studies: Sequence[StudyResults]) -> Judgement:
    """The verdict by the largest scale that measured what the claim compares; the newest of several such studies."""
    if claim.untestable:
        return Judgement("cannot be told", claim.untestable)
    judging = [study for study in studies if study.scale in SCALES]
    for study in sorted(sorted(judging, key=_created, reverse=True), key=lambda each: SCALES.index(each.scale)):
        evidence = evidence_for(claim, study)
        if evidence:
            verdict = _overall(evidence)
            return Judgement(
                verdict, _reason(verdict, evidence), evidence, *(study.study, study.scale, study.dataset),
                folder=study.folder, notes=study.notes,
            )  # fmt: skip
    return Judgement("cannot be told", "No run here has measured this.")


def evidence_for(claim: Claim, study: StudyResults) -> tuple[Evidence, ...]:
    """Every difference of one study that the claim is about; empty unless all it compares was measured."""
    rows = [row for row in study.rows if row.metric == claim.metric and row.class_id == claim.class_id]
    if claim.at_least is not None and claim.subject is not None:
        return tuple(_reached(row, claim.at_least) for row in _rows_of(claim.subject, _all_views(rows))[:1])
    if claim.worse_on:
        return _drops(claim.worse_on, rows)
    found = []
    for comparison in claim.comparisons:
        firsts, seconds = (_rows_of(side, _all_views(rows)) for side in (comparison.first, comparison.second))
        if not firsts or not seconds:
            return ()
        found += [_difference(claim, study, firsts[0], second) for second in seconds]
    return tuple(found)


def _created(study: StudyResults) -> str:
    return study.created


def _overall(evidence: Iterable[Evidence]) -> Verdict:
    """All must hold; one that does not is enough against."""
    verdicts = {each.verdict for each in evidence}
    if "does not hold" in verdicts:
        return "does not hold"
    return "cannot be told" if "cannot be told" in verdicts else "holds"


def _reason(verdict: Verdict, evidence: Sequence[Evidence]) -> str:
    meant = [each for each in evidence if each.verdict == verdict]
    at = f"at n = {evidence[0].n:,} images"
    one = len(evidence) == 1
    if verdict == "holds":
        return f"{'The' if one else 'Every'} interval lies above 0, {at}."
    if verdict == "does not hold":
        return f"{meant[0].sentence}: the interval lies below 0, {at}."
    if missing := sum(math.isnan(each.low) for each in evidence):
        return f"{'The difference has' if one else f'{missing} of {len(evidence)} differences have'} no interval, {at}."
    return f"{'The interval includes' if one else f'{len(meant)} of {len(evidence)} intervals include'} 0, {at}."


def _all_views(rows: Iterable[StudyRow]) -> list[StudyRow]:
    return [row for row in rows if AP_VIEW not in row.dataset]


def _rows_of(side: Side, rows: Sequence[StudyRow]) -> list[StudyRow]:
    """Rows of a side: of its first variant that occurs; one row a system where the side names none."""
    for variant in side.variants:
        found = [row for row in rows if row.variant == variant and side.system in ("", row.system)]
        if found:
            return found
    return []


def _difference(claim: Claim, study: StudyResults, first: StudyRow, second: StudyRow) -> Evidence:
    """The paired comparison of the study where it made one, else from the two rows' intervals."""
    sign = -1.0 if claim.smaller else 1.0
    sentence = f"{_name(first)} against {_name(second)}"
    for paired in study.comparisons:
        if (paired.metric, paired.class_id) == (claim.metric, claim.class_id):
            turned = _direction(paired, first, second)
            if turned:
                return _signed(sentence, paired, sign * turned)
    return _combined(sentence, first, second, sign)


def _direction(paired: StudyComparison, first: StudyRow, second: StudyRow) -> float:
    """1 where it is first against second, -1 the other way round, 0 where it is about others."""
    a, b, one, two = (_plain(text) for text in (paired.a, paired.b, _name(first), _name(second)))
    return 1.0 if (a, b) == (one, two) else (-1.0 if (a, b) == (two, one) else 0.0)


def _name(row: StudyRow) -> str:
    return f"{row.system} {row.variant}".strip()


def _plain(text: str) -> str:
    """Words only, so that ``FLANNEL, w/o focal`` and ``FLANNEL w/o focal`` are the same."""
    return " ".join(re.findall(r"[\w/+%.]+", text.casefold()))


def _signed(sentence: str, paired: StudyComparison, sign: float) -> Evidence:
    low, high = sorted((sign * paired.low, sign * paired.high))
    return Evidence(sentence, sign * paired.difference, low, high, paired.n, paired.patients, paired.test)


def _combined(sentence: str, first: StudyRow, second: StudyRow, sign: float) -> Evidence:
    """The difference of two estimates from their own intervals (Zou and Donner, Stat Med 2008).

    They are taken as independent. Two systems on the same images agree more than that, so the interval is too wide
    rather than too narrow.
    """
    a, b = (first, second) if sign > 0 else (second, first)
    difference = a.mean - b.mean
    (a_low, a_high), (b_low, b_high) = _limits(a), _limits(b)
    low = difference - math.hypot(a.mean - a_low, b_high - b.mean)
    high = difference + math.hypot(a_high - a.mean, b.mean - b_low)
    n, patients = min(first.n, second.n), min(first.patients, second.patients)
    return Evidence(sentence, difference, low, high, n, patients, COMBINED)


def _drops(mark: str, rows: Sequence[StudyRow]) -> tuple[Evidence, ...]:
    """Every system that was measured on both: all images minus the marked ones."""
    found = []
    for marked in (row for row in rows if mark in row.dataset):
        for whole in _all_views(rows):
            if (whole.system, whole.variant) == (marked.system, marked.variant):
                found.append(_combined(f"{_name(whole)}, all views against {mark}", whole, marked, 1.0))
    return tuple(found)


def _reached(row: StudyRow, value: float) -> Evidence:
    low, high = _limits(row)
    sentence = f"{_name(row)} against {value:g}"
    return Evidence(sentence, row.mean - value, low - value, high - value, row.n, row.patients, "interval of the value")


def _limits(row: StudyRow) -> tuple[float, float]:
    """The row's interval; NaN where it has none."""
    return (math.nan if row.low is None else row.low), (math.nan if row.high is None else row.high)
