"""The papers' claims as data: what was said where, and which of our runs would test it."""

from __future__ import annotations

from dataclasses import dataclass

NO_FIGURE = "The paper shows it in a figure only, without numbers."
AP_VIEW = "AP view"  # how the data set of a study's row is marked when only AP images were measured
EPOCH_SPREAD = "epoch_spread"  # metric: standard deviation of a curve from epoch to epoch
GENERALISATION_GAP = "generalisation_gap"  # metric: accuracy on validation minus accuracy on test


@dataclass(frozen=True)
class Side:
    """A system as our runs name it.

    Args:
        system: empty: every system that has one of the variants, e.g. all members, whichever networks those are.
        variants: any of these will do, the first found counts.
    """

    system: str
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """``first`` is better than ``second``; both measured by the claim's metric on the claim's class."""

    first: Side
    second: Side


@dataclass(frozen=True)
class Claim:
    """What a paper says, and what must be so in our runs for it to hold.

    Args:
        id: for links. sentence: what is claimed, in our words. paper: ``S1`` to ``S5``. place: in the paper.
        figures: the paper's own numbers, or that it prints none.
        study: the study that would test it; empty where no study here can.
        comparisons: all must hold. metric, class_id: by which. smaller: is a smaller value better?
        subject, at_least: instead of comparisons, this system reaches this value.
        worse_on: instead of comparisons, every system is worse on data sets marked with these words.
        untestable: why nothing here can tell; empty where something can.
    """

    id: str
    sentence: str
    paper: str
    place: str
    figures: str
    study: str = ""
    comparisons: tuple[Comparison, ...] = ()
    metric: str = "f1"
    class_id: str = "covid19"
    smaller: bool = False
    subject: Side | None = None
    at_least: float | None = None
    worse_on: str = ""
    untestable: str = ""


_FULL = Side("FLANNEL", ("full",))
_NO_FOCAL = Side("FLANNEL", ("w/o focal",))
_SAMPLING = Side("FLANNEL", ("w/o focal + sampling",))
_VOTING = Side("Voting", ("ensemble",))
_MLP_1, _MLP_2 = Side("Ensemble_MLP", ("l1",)), Side("Ensemble_MLP", ("l2",))
_MEMBERS = Side("", ("base",))
_COVID_NET, _AI_COVID = Side("COVID-Net", ("baseline",)), Side("AI-COVID", ("baseline",))
_FOCAL = ("frozen backbone + focal",)
_B5 = Side("EfficientNetB5", _FOCAL)
_S3_OTHERS = tuple(Side(name, _FOCAL) for name in ("VGG19", "ResNet50", "DenseNet121"))
_FROZEN, _THIRD = Side("MobileNetV2", ("frozen backbone",)), Side("MobileNetV2", ("unfrozen 33 %",))
_PEPX, _RESNET18 = Side("PEPX-ResNet", ("focal",)), Side("ResNet18", ("focal",))
_S5_COVID_NET = Side("COVID-Net", ("cross entropy",))


def _against(first: Side, *others: Side) -> tuple[Comparison, ...]:
    return tuple(Comparison(first, other) for other in others)


CLAIMS = (
    Claim(
        "flannel-focal",
        "Focal loss raises FLANNEL's COVID-19 F1 by 6 % over cross entropy.",
        "S1",
        "Table 3",
        ".8168 against .7671: +.0497, which is 6 % of .7671.",
        "flannel",
        _against(_FULL, _NO_FOCAL),
    ),
    Claim(
        "flannel-sampling",
        "Repeating the COVID-19 images helps FLANNEL less than focal loss does.",
        "S1",
        "Table 3",
        "COVID-19 F1 .8168 with focal loss, .7837 with sampling, .7671 with neither.",
        "flannel",
        _against(_FULL, _SAMPLING),
    ),
    Claim(
        "flannel-members",
        "FLANNEL beats each of its five members on COVID-19.",
        "S1",
        "Table 3",
        "F1 .8168; the best member, Densenet161, has .6880.",
        "flannel",
        _against(_FULL, _MEMBERS),
    ),
    Claim(
        "flannel-voting",
        "FLANNEL beats voting on COVID-19.",
        "S1",
        "Table 3",
        "F1 .8168 against .7684.",
        "flannel",
        _against(_FULL, _VOTING),
    ),
    Claim(
        "flannel-macro",
        "FLANNEL has the highest macro-F1 of all systems.",
        "S1",
        "Table 3",
        ".7910; voting .7745, COVID-Net .7413, the best member .7445.",
        "flannel",
        _against(_FULL, _MEMBERS, _COVID_NET, _AI_COVID, _VOTING, _MLP_1, _MLP_2),
        metric="macro_f1",
        class_id="all",
    ),
    Claim(
        "mlp-depth",
        "A second layer in the MLP that combines the members hurts COVID-19.",
        "S1",
        "Table 3",
        "F1 .6247 with one layer, .3735 with two.",
        "flannel",
        _against(_MLP_1, _MLP_2),
    ),
    Claim(
        "covid-net-single",
        "COVID-Net is better on COVID-19 than each of the five members.",
        "S1",
        "Table 3",
        "F1 .7179; the best member, Densenet161, has .6880.",
        "flannel",
        _against(_COVID_NET, _MEMBERS),
    ),
    Claim(
        "ap-view",
        "All systems are worse on AP views than on all views.",
        "S1",
        "figure of the AP-view evaluation",
        NO_FIGURE,
        "flannel",
        worse_on=AP_VIEW,
    ),
    Claim(
        "more-data",
        "FLANNEL's COVID-19 F1 rises by 13 % with a newer and larger collection.",
        "S2",
        "Section 5 and Table 3",
        ".9239 against the .8168 of the first paper, on other images.",
        untestable="Both states of the collection would have to be at hand.",
    ),
    Claim(
        "patches",
        "Patches of the lungs make Densenet161, Resnet152, ResNeXt101 and Vgg19_bn better on COVID-19.",
        "S2",
        "Table 3",
        "F1 .8994 against .7694 for Densenet161, .8738 against .8302 for Resnet152; on different test draws.",
        "",
        tuple(
            Comparison(Side(name, ("patched base",)), Side(name, ("global base",)))
            for name in ("Densenet161", "Resnet152", "ResNeXt101", "Vgg19_bn")
        ),
    ),
    Claim(
        "b5-auc",
        "EfficientNetB5 ranks best of four frozen networks with focal loss.",
        "S3",
        "Table IV",
        "AUC .957; ResNet50 .921, VGG19 .910, DenseNet121 .879.",
        "efficientnet-focal",
        _against(_B5, *_S3_OTHERS),
        metric="auc",
        class_id="pneumonia",
    ),
    Claim(
        "b5-accuracy",
        "EfficientNetB5 is the most accurate of four frozen networks with focal loss.",
        "S3",
        "Table IV",
        ".899; VGG19 .814, DenseNet121 .809, ResNet50 .785.",
        "efficientnet-focal",
        _against(_B5, *_S3_OTHERS),
        metric="accuracy",
        class_id="all",
    ),
    Claim(
        "b5-gap",
        "EfficientNetB5 loses less accuracy from validation to test than ResNet50.",
        "S3",
        "Section IV-B and Table IV",
        "EfficientNetB5 .9414 to .899, ResNet50 .9501 to .785.",
        "efficientnet-focal",
        _against(_B5, Side("ResNet50", _FOCAL)),
        metric=GENERALISATION_GAP,
        class_id="all",
        smaller=True,
    ),
    Claim(
        "mobilenet-auc",
        "A frozen MobileNetV2 tells COVID-19 from the rest with an AUC of .93.",
        "S4",
        "Figure 5 and Section 4.3",
        "AUC .93 on 112 images; no interval is given.",
        "lightweight",
        metric="auc",
        subject=_FROZEN,
        at_least=0.93,
    ),
    Claim(
        "mobilenet-best",
        "MobileNetV2 ranks best of the four lightweight networks.",
        "S4",
        "Figure 5",
        "The figure shows four curves; only MobileNetV2's .93 is printed.",
        "lightweight",
        _against(_FROZEN, *(Side(name, ("frozen backbone",)) for name in ("InceptionV3", "ResNet50V2", "Xception"))),
        metric="auc",
    ),
    Claim(
        "unfreeze-third",
        "Unfreezing a third of MobileNetV2 makes it more accurate than the frozen network.",
        "S4",
        "Figure 6",
        NO_FIGURE,
        "lightweight",
        _against(_THIRD, _FROZEN),
        metric="accuracy",
        class_id="all",
    ),
    Claim(
        "pepx-accuracy",
        "PEPX-ResNet is more accurate than ResNet18 and COVID-Net.",
        "S5",
        "Table 1",
        ".95666; ResNet18 .94667 (its recalls give .910), COVID-Net .933 (quoted).",
        "pepx",
        _against(_PEPX, _RESNET18, _S5_COVID_NET),
        metric="accuracy",
        class_id="all",
    ),
    Claim(
        "pepx-covid",
        "PEPX-ResNet has a higher COVID-19 F1 than ResNet18.",
        "S5",
        "Table 4",
        ".979 against .9649.",
        "pepx",
        _against(_PEPX, _RESNET18),
    ),
    Claim(
        "pepx-stable",
        "PEPX-ResNet's accuracy changes less from epoch to epoch than ResNet18's.",
        "S5",
        "Figures 9 and 10",
        NO_FIGURE,
        "pepx",
        _against(_PEPX, _RESNET18),
        metric=EPOCH_SPREAD,
        class_id="all",
        smaller=True,
    ),
)
