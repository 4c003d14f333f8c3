"""The studies by name."""

from __future__ import annotations

from collections.abc import Callable

from cxrlab.config import one_of
from cxrlab.studies.efficientnet import efficientnet_study
from cxrlab.studies.flannel import flannel_study
from cxrlab.studies.lightweight import lightweight_study
from cxrlab.studies.pepx import pepx_study
from cxrlab.studies.plan import Scale, StudyPlan
from cxrlab.studies.sensitivity import sensitivity_study
from cxrlab.training.recipe import PROFILES

STUDIES: dict[str, Callable[..., StudyPlan]] = {
    "flannel": flannel_study,
    "efficientnet-focal": efficientnet_study,
    "lightweight": lightweight_study,
    "pepx": pepx_study,
    "sensitivity": sensitivity_study,
}


def plan_study(name: str, scale: Scale, *, profile: str = "paper", seed: int = 0) -> StudyPlan:
    """The runs of a study at a scale. Raises ValueError for an unknown name or profile."""
    one_of("study", name, tuple(STUDIES))
    one_of("profile", profile, PROFILES)
    return STUDIES[name](scale, profile=profile, seed=seed)
