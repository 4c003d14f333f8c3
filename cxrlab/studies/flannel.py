"""The study of FLANNEL (Qiao et al., JAMIA 2021): five learners, their votes, stacked networks and weight modules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cxrlab.config import Augmentation, ModelConfig, Preprocessing, TrainConfig
from cxrlab.models.registry import model_spec
from cxrlab.studies.plan import CombinerRun, Comparison, MemberRun, Scale, StudyPlan, of_recipe, of_size, scaled
from cxrlab.training.recipes import recipe

LIGHT = ("densenet121", "efficientnet_b0", "mobilenet_v2", "resnet18", "shufflenet_v2_x1_0")
FULL = ("densenet161", "inception_v3", "resnet152", "resnext101_32x8d", "vgg19_bn")
PAPER_NAMES = {  # as Table 3 prints them
    "densenet161": "Densenet161",
    "inception_v3": "InceptionV3",
    "resnet152": "Resnet152",
    "resnext101_32x8d": "ResNeXt101",
    "vgg19_bn": "Vgg19_bn",
}
BASELINES = {"COVID-Net": "covid-net", "AI-COVID": "ai-covid"}
"""System -> recipe; at a small scale trained on one fold."""

SCRATCH = TrainConfig(
    batch_size=32, class_weights="none", monitor="accuracy", precision="bf16", learning_rate=2e-3, threads=1
)
"""Stage 1 at a small scale: cross entropy and selection by validation accuracy as published; AdamW with one cycle
instead of 200 epochs of Adam, as there are few epochs and no ImageNet weights."""

METRICS = ("f1:covid19", "macro_f1")


def flannel_study(scale: Scale, *, profile: str = "paper", seed: int = 0) -> StudyPlan:
    """Table 3: five learners, COVID-Net and AI-COVID x folds, votes, two MLPs, FLANNEL and its variants."""
    learners = LIGHT if scale.light else FULL
    members = [_learner(name, fold, scale, profile, seed) for fold in range(scale.folds) for name in learners]
    by_fold = tuple(tuple(f"{name}-fold{fold + 1}" for name in learners) for fold in range(scale.folds))
    baselines = [
        _baseline(system, fold, scale, profile, seed)
        for fold in range(1 if scale.light else scale.folds)
        for system in BASELINES
    ]
    systems = [("Voting", "ensemble")] + [(run.system, run.variant) for run in members[: len(learners)]]
    return StudyPlan(
        name="flannel",
        title="FLANNEL: five learners and their ensembles",
        task="cxr4",
        protocol="benchmark",
        members=(*members, *baselines),
        combiners=_combiners(by_fold, scale, profile, seed),
        comparisons=(
            *(Comparison(("FLANNEL", "full"), other, METRICS) for other in systems),
            *(_out_of_fold(other) for other in systems if scale.folds > 1),
            Comparison(("FLANNEL", "full"), ("FLANNEL", "w/o focal"), METRICS),
            Comparison(("FLANNEL", "full"), ("Ensemble_MLP", "l1"), METRICS),
            Comparison(("Ensemble_MLP", "l1"), ("Ensemble_MLP", "l2"), METRICS),
        ),
        notes=("Five light learners instead of the paper's five." if scale.light else "The paper's five learners.",),
    )


def _out_of_fold(other: tuple[str, str]) -> Comparison:
    return Comparison(("FLANNEL", "full, out-of-fold"), (other[0], f"{other[1]}, fold mean"), METRICS)


def _learner(name: str, fold: int, scale: Scale, profile: str, seed: int) -> MemberRun:
    system, parts = PAPER_NAMES.get(name, model_spec(name).title), ("train", "validation", "test")
    if scale.light:
        return _small(name, system, "base", fold, ModelConfig(name, 4), scale, seed, parts)
    given = recipe(f"flannel-{name}", profile)
    return replace(
        of_recipe(given, f"{name}-fold{fold + 1}", "base", seed=seed + fold), system=system, fold=fold, outputs=parts
    )


def _baseline(system: str, fold: int, scale: Scale, profile: str, seed: int) -> MemberRun:
    given, parts = recipe(BASELINES[system], profile), ("validation", "test")
    if scale.light:
        options = {"preset": "compact"} if system == "COVID-Net" else {}
        model = replace(given.model, pretrained=False, options=options)
        return _small(system.lower(), system, "baseline", fold, model, scale, seed, parts)
    run = of_recipe(given, f"{given.name}-fold{fold + 1}", "baseline", seed=seed + fold)
    return replace(run, fold=fold, outputs=parts)


def _small(
    name: str, system: str, variant: str, fold: int, model: ModelConfig, scale: Scale, seed: int, parts: tuple[str, ...]
) -> MemberRun:
    model, config = of_size(model, replace(scaled(SCRATCH, scale), seed=seed + fold), scale.size)
    return MemberRun(
        id=f"{name}-fold{fold + 1}",
        system=system,
        variant=variant,
        fold=fold,
        model=model,
        config=config,
        preprocessing=Preprocessing(size=scale.size),
        augmentation=Augmentation(),
        outputs=parts,
    )


def _combiners(by_fold: tuple[tuple[str, ...], ...], scale: Scale, profile: str, seed: int) -> tuple[CombinerRun, ...]:
    """Votes fold by fold; every module on out-of-fold outputs (our default) and on the published features."""
    found = [
        CombinerRun(f"{kind}-fold{fold + 1}", system, variant, kind, fold, (by_fold[fold],))
        for kind, system, variant in (("voting", "Voting", "ensemble"), ("soft", "Voting", "soft"))
        for fold in range(scale.folds)
    ]
    if scale.folds > 1:
        found += [
            CombinerRun(f"{name}-fold-mean", system, f"{variant}, fold mean", kind, None, members)
            for name, system, variant, kind, members in _fold_means(by_fold, scale)
        ]
    for name, (system, variant, kind, changes) in VARIANTS.items():
        settings = {**changes, "profile": profile, "seed": seed}
        found += [
            CombinerRun(f"{name}-fold{fold + 1}", system, variant, kind, fold, (by_fold[fold],), "published", settings)
            for fold in range(scale.folds)
        ]
        if scale.folds > 1:
            found.append(
                CombinerRun(
                    f"{name}-out-of-fold",
                    system,
                    f"{variant}, out-of-fold",
                    kind,
                    None,
                    by_fold,
                    "out_of_fold",
                    settings,
                )
            )
    return tuple(found)


def _fold_means(
    by_fold: tuple[tuple[str, ...], ...], scale: Scale
) -> Iterator[tuple[str, str, str, str, tuple[tuple[str, ...], ...]]]:
    """What an out-of-fold module is to be compared with: every learner's mean over the folds, and their votes."""
    for position, name in enumerate(LIGHT if scale.light else FULL):
        members = tuple((ids[position],) for ids in by_fold)
        yield name, PAPER_NAMES.get(name, model_spec(name).title), "base", "mean", members
    yield "voting", "Voting", "ensemble", "voting", by_fold
    yield "soft", "Voting", "soft", "soft", by_fold


VARIANTS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "flannel": ("FLANNEL", "full", "flannel", {}),
    "flannel-no-focal": ("FLANNEL", "w/o focal", "flannel", {"loss": "cross_entropy", "class_weights": "none"}),
    "flannel-sampling": (
        "FLANNEL",
        "w/o focal + sampling",
        "flannel",
        {"loss": "cross_entropy", "class_weights": "none", "oversample": [[0, 10]]},
    ),
    "mlp-l1": ("Ensemble_MLP", "l1", "mlp_l1", {}),
    "mlp-l2": ("Ensemble_MLP", "l2", "mlp_l2", {}),
}
"""Id -> system, variant (as Table 3 prints them), kind of module, what differs from its profile."""
