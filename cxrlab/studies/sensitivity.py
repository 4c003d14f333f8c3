"""How FLANNEL's second stage depends on the focal loss: gamma x class weights, from outputs that are kept."""

from __future__ import annotations

from cxrlab.studies.flannel import FULL, LIGHT, METRICS
from cxrlab.studies.plan import CombinerRun, Comparison, Scale, StudyPlan

GAMMAS = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0)
SCHEMES = ("none", "balanced", "inverse_frequency", "release")


def sensitivity_study(scale: Scale, *, profile: str = "paper", seed: int = 0) -> StudyPlan:
    """Every gamma with every rule for the class weights, on the out-of-fold outputs of the flannel study's members."""
    learners = LIGHT if scale.light else FULL
    by_fold = tuple(tuple(f"{name}-fold{fold + 1}" for name in learners) for fold in range(scale.folds))
    shared = {"profile": profile, "reduction": "mean", "seed": seed}
    return StudyPlan(
        name="sensitivity",
        title="FLANNEL's second stage: focal loss and class weights",
        task="cxr4",
        protocol="benchmark",
        members=(),
        needs_members=True,
        combiners=tuple(
            CombinerRun(
                f"gamma{gamma:g}-{scheme}",
                "FLANNEL",
                variant(gamma, scheme),
                "flannel",
                None,
                by_fold,
                settings={**shared, "gamma": gamma, "class_weights": scheme},
            )
            for gamma in GAMMAS
            for scheme in SCHEMES
        ),
        comparisons=tuple(
            Comparison(("FLANNEL", variant(3.0, "inverse_frequency")), ("FLANNEL", variant(gamma, scheme)), METRICS)
            for gamma, scheme in ((0.0, "none"), (0.0, "inverse_frequency"), (3.0, "none"), (10.0, "release"))
        ),
        notes=("One module on all out-of-fold outputs; members' fold mean at test; gamma 0 is cross entropy.",),
    )


def variant(gamma: float, scheme: str) -> str:
    """The row's name."""
    return f"gamma {gamma:g}, weights {scheme}"
