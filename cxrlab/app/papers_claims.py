"""The papers' claims on the Papers page: each with its place, its printed figures, and what our runs say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from cxrlab.app.evaluation_blocks import table
from cxrlab.app.evaluation_tables import when
from cxrlab.app.words import duration, plain
from cxrlab.workflows.papers import (
    PAPERS,
    Claim,
    Evidence,
    Judgement,
    StudyResults,
    Verdict,
    judged_claims,
    report_of,
)

COMMAND = "cxrlab study flannel --manifest xrays.csv --out ~/.local/share/cxrlab/studies/flannel --scale lite"


@dataclass(frozen=True)
class Badge:
    """A verdict in words, with an icon and a colour: three signs, so that none is needed to read it."""

    words: str
    icon: str
    colour: Literal["green", "red", "gray"]


BADGES: dict[Verdict, Badge] = {
    "holds": Badge("Holds", ":material/check_circle:", "green"),
    "does not hold": Badge("Does not hold", ":material/cancel:", "red"),
    "cannot be told": Badge("Cannot be told", ":material/help:", "gray"),
}


def no_runs() -> None:
    """Which commands make the results that the page would show."""
    st.info("No study has been run here yet, so there is nothing of ours to show.", icon=":material/science:")
    st.markdown("A study trains a paper's systems on your images; `lite` takes minutes to two hours on two cores:")
    st.code(COMMAND, wrap_lines=True)
    st.caption("The page reads docs/results in the repository and CXRLAB_HOME/studies.")


def damaged_list(sentences: Sequence[str]) -> None:
    """Results that can not be read, each with its sentence."""
    for sentence in sentences:
        st.warning(plain(sentence), icon=":material/broken_image:")


def claims(paper: str, studies: Sequence[StudyResults]) -> None:
    """All claims, those of the chosen paper first and open."""
    judged = judged_claims(studies)
    st.subheader("Do the papers' claims hold here?", anchor=False, divider="gray")
    counts = Counter(judgement.verdict for _, judgement in judged)
    with st.container(horizontal=True):
        for verdict, badge in BADGES.items():
            st.badge(f"{badge.words}: {counts[verdict]} of {len(judged)}", icon=badge.icon, color=badge.colour)
    st.caption(
        "A claim holds, or does not, when the whole 95 % interval of the difference lies on one side of 0; otherwise "
        "it can not be told at this n. Several comparisons must all hold; nothing is corrected for how many there are."
    )
    for each in (paper, *(other for other in PAPERS if other != paper)):
        own = [(claim, judgement) for claim, judgement in judged if claim.paper == each]
        if each == paper:
            _claims_of(own)
        else:
            with st.expander(f"{each} {PAPERS[each]} ({len(own)} claims)", icon=":material/menu_book:"):
                _claims_of(own)


def _claims_of(judged: Sequence[tuple[Claim, Judgement]]) -> None:
    for claim, judgement in judged:
        with st.container(border=True, gap="small"):
            badge = BADGES[judgement.verdict]
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{plain(claim.sentence)}**", width="content")
                st.badge(badge.words, icon=badge.icon, color=badge.colour)
            st.caption(plain(f"{claim.paper} {PAPERS[claim.paper]}, {claim.place}. {claim.figures}"))
            st.markdown(plain(_verdict_words(claim, judgement)))
            if judgement.evidence:
                count = len(judgement.evidence)
                with st.expander(f"{count} comparison{'s' * (count > 1)}", icon=":material/table:"):
                    rows = [_evidence_row(each) for each in judgement.evidence]
                    table(rows, alt=f"Comparisons behind: {claim.sentence}", pinned=["Comparison"])
                    for note in judgement.notes:
                        st.caption(plain(note))


def _verdict_words(claim: Claim, judgement: Judgement) -> str:
    """Why, from which run; or which study would tell."""
    if judgement.study:
        run = f"Run {judgement.folder or judgement.study}, scale {judgement.scale}, on {judgement.dataset}"
        return f"{judgement.reason} {run}."
    would = f" The study {claim.study} would." if claim.study else ""
    return f"{judgement.reason}{would}"


def _evidence_row(evidence: Evidence) -> dict[str, object]:
    has_interval = evidence.low == evidence.low  # NaN where there is none
    interval = f" [{evidence.low:+.3f}, {evidence.high:+.3f}]" if has_interval else ""
    return {
        "Comparison": evidence.sentence,
        "Speaks for the claim": f"{evidence.difference:+.3f}{interval}",
        "Verdict": BADGES[evidence.verdict].words,
        "n": evidence.n,
        "Patients": evidence.patients,
        "Interval": evidence.test,
    }


def study_list(studies: Sequence[StudyResults]) -> None:
    """Where our numbers come from: every study with its command and its report."""
    if not studies:
        return
    st.subheader("The runs", anchor=False, divider="gray")
    for study in studies:
        with st.container(border=True, gap="small"):
            st.markdown(f"**{plain(study.folder or study.study)}** · {plain(study.study)}, scale {plain(study.scale)}")
            made = f"{plain(study.dataset)} · {when(study.created)} · {duration(study.seconds)} of computing"
            st.caption(f"{made} · data {plain(study.dataset_digest[:12])}")
            for note in study.notes:
                st.caption(plain(note))
            st.code(study.command, wrap_lines=True)
            report = report_of(study)
            if report is not None:
                st.download_button(
                    "Report (HTML)",
                    report.read_bytes,
                    f"{study.folder}.html",
                    "text/html",
                    key=f"report-{study.folder}",
                    on_click="ignore",
                    icon=":material/download:",
                )
