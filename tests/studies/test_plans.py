"""The studies' plans: every run once, members before those that need them, settings that their networks take."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cxrlab.config import TrainConfig
from cxrlab.models.registry import model_spec
from cxrlab.papers.printed import printed_results
from cxrlab.studies.catalogue import STUDIES, plan_study
from cxrlab.studies.combined import combiner_config
from cxrlab.studies.plan import SCALES, MemberRun, scale_named
from cxrlab.training.recipes import recipe
from tests.studies.conftest import tiny_member


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_plan_names_every_run_once_and_combines_only_its_own_members(name: str, scale: str) -> None:
    plan = plan_study(name, scale_named(scale))
    ids = [run.id for run in plan.runs]
    assert len(ids) == len(set(ids)) > 0
    members = {run.id for run in plan.members}
    for run in plan.combiners:
        used = {id_ for fold in run.members for id_ in fold}
        assert used <= members or plan.needs_members
    for member in plan.members:
        assert member.starts_from in {"", *members}


@pytest.mark.parametrize("name", STUDIES)
def test_compared_systems_are_in_the_plan(name: str) -> None:
    plan = plan_study(name, scale_named("lite"))
    systems = {(run.system, run.variant) for run in plan.runs}
    for comparison in plan.comparisons:
        assert {comparison.a, comparison.b} <= systems


@pytest.mark.parametrize(("scale", "folds"), [("full", range(5)), ("lite", range(1))])
def test_flannel_trains_five_learners_on_five_folds_and_at_lite_scale_the_baselines_on_one(
    scale: str, folds: range
) -> None:
    plan = plan_study("flannel", scale_named(scale))
    assert len([run for run in plan.members if run.variant == "base"]) == 25
    found = [(run.system, run.fold) for run in plan.members if run.variant == "baseline"]
    assert sorted(found) == sorted((system, fold) for system in ("COVID-Net", "AI-COVID") for fold in folds)


def test_flannel_at_full_scale_trains_as_long_as_published() -> None:
    plan = plan_study("flannel", scale_named("full"))
    assert {run.config.epochs for run in plan.members if run.variant == "base"} == {200}


def test_an_unknown_study_or_scale_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="study must be one of flannel"):
        plan_study("flanel", scale_named("lite"))
    with pytest.raises(ValueError, match="scale must be one of smoke, lite, full"):
        scale_named("huge")


def test_settings_of_an_older_version_are_still_those_of_the_run() -> None:
    run = tiny_member("a", 0)
    stored = json.loads(json.dumps(run.to_json()))
    for later in ("activation", "task", "without", "starts_from"):
        del stored[later]
    del stored["config"]["reduction"]
    assert run.is_same(stored)
    other: MemberRun = replace(run, config=replace(run.config, learning_rate=1e-4))
    assert not other.is_same(stored)
    assert not run.is_same({"kind": "voting"})


def test_only_epochs_and_sides_depend_on_the_scale() -> None:
    def rest(config: TrainConfig) -> TrainConfig:
        return replace(config, epochs=1, size_schedule=(), patience=0, threads=0)

    lite = {run.id: rest(run.config) for run in plan_study("pepx", scale_named("lite")).members}
    full = {run.id: rest(run.config) for run in plan_study("pepx", scale_named("full")).members}
    assert lite.items() <= full.items()
    assert all("--" in id_ and not id_.endswith("seed0") for id_ in full.keys() - lite.keys())  # ablations' other seeds


@pytest.mark.parametrize("scale", ["smoke", "lite"])
def test_no_network_gets_smaller_pictures_than_it_takes(scale: str) -> None:
    for study in STUDIES:
        for run in plan_study(study, scale_named(scale)).members:
            smallest = min((run.preprocessing.size, *run.config.size_schedule))
            assert smallest >= model_spec(run.model.name).smallest_size, run.id


@pytest.mark.parametrize("profile", ["paper", "release"])
def test_at_full_scale_a_study_uses_the_recipes_as_they_are(profile: str) -> None:
    runs = {run.id: run for run in plan_study("flannel", scale_named("full"), profile=profile).members}
    given, run = recipe("flannel-vgg19_bn", profile), runs["vgg19_bn-fold1"]
    assert (run.preprocessing, run.augmentation, run.pretrained) == (given.preprocessing, given.augmentation, True)
    assert replace(run.config, precision="fp32") == given.config


@pytest.mark.parametrize(("profile", "gamma", "reduction"), [("paper", 3.0, "mean"), ("release", 10.0, "sum")])
def test_flannel_without_focal_loss_is_mean_cross_entropy_in_both_profiles(
    profile: str, gamma: float, reduction: str
) -> None:
    """Spec 1.4 and 1.6."""
    runs = {run.id: run for run in plan_study("flannel", scale_named("lite"), profile=profile).combiners}
    full = combiner_config(runs["flannel-fold1"])
    assert (full.loss, full.gamma, full.reduction) == ("focal", gamma, reduction)
    for name, oversample in (("flannel-no-focal-fold1", ()), ("flannel-sampling-fold1", ((0, 10),))):
        found = combiner_config(runs[name])
        assert (found.loss, found.class_weights, found.reduction) == ("cross_entropy", "none", "mean")
        assert (found.oversample, found.epochs) == (oversample, full.epochs)


@pytest.mark.parametrize(("name", "share"), [("efficientnet-focal", 0.2), ("lightweight", 0.1), ("pepx", 0.1)])
def test_a_full_study_holds_out_as_much_as_the_paper(name: str, share: float) -> None:
    """Spec 1.10: 1,043 of 5,216; 1.11 and section 2, row 38: 80/10/10."""
    assert plan_study(name, scale_named("full")).validation == share
    assert plan_study(name, scale_named("lite")).validation == 0.15


def test_stand_ins_are_not_called_by_the_names_of_the_papers_systems() -> None:
    """The Papers page sets rows beside printed ones by system and variant."""
    printed = {(row.system, row.variant) for row in printed_results("s3_table4_test.csv")}
    full, lite = (
        {(run.system, run.variant) for run in plan_study("efficientnet-focal", scale_named(scale)).members}
        for scale in ("full", "lite")
    )
    assert printed <= full
    assert not printed & lite
    assert ("EfficientNet-B0", "from scratch + focal") in lite


def test_an_unfrozen_share_starts_from_weights_that_never_saw_the_disease() -> None:
    plan = plan_study("lightweight", scale_named("lite"))
    (pretraining,) = [run for run in plan.members if run.keep_weights]
    assert pretraining.without == ("covid19",)
    shares = {run.variant: run.config.unfreeze for run in plan.members if run.starts_from == pretraining.id}
    assert shares == {"unfrozen 33 %": 1 / 3, "unfrozen 44 %": 0.44, "unfrozen 55 %": 0.55}
