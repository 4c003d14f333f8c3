"""`cxrlab ensemble`: several checkpoints joined by a combiner that is fitted on their outputs."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cxrlab.commands.choices import Device, Json, ManifestOption
from cxrlab.commands.terminal import WARNING, show, show_json, show_table, working
from cxrlab.config import home, repository

if TYPE_CHECKING:
    from cxrlab.workflows.ensemble_fit import FittedEnsemble

OUT_HELP = "Folder of the new checkpoint, named as it; default CXRLAB_HOME/checkpoints/ensemble_KIND."

commands = typer.Typer(no_args_is_help=True, help="Ensembles with a learned combiner.")


@commands.callback()
def _group() -> None:
    """Ensembles with a learned combiner."""


@commands.command()
def fit(
    manifest: ManifestOption,
    member: Annotated[list[str], typer.Option(metavar="NAME", help="A single-model checkpoint; repeatable.")],
    kind: Annotated[Literal["flannel", "mlp_l1", "mlp_l2"], typer.Option(help="The combiner.")] = "flannel",
    split_file: Annotated[
        Path | None, typer.Option(metavar="SPLIT.json", help="The members' split; default: the shipped checkpoints'.")
    ] = None,
    part: Annotated[str, typer.Option(metavar="PART", help="Part of the split that no member was trained on.")] = (
        "validation"
    ),
    out: Annotated[Path | None, typer.Option(metavar="DIR", help=OUT_HELP)] = None,
    profile: Annotated[
        Literal["paper", "release"], typer.Option(help="Settings of FLANNEL's text or of its code.")
    ] = "paper",
    focal: Annotated[bool, typer.Option(help="FLANNEL only: focal loss, or plain cross entropy.")] = True,
    oversample: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS:FACTOR", help="Repeat rows of a class, e.g. covid19:10; repeatable."),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(metavar="RATE", help="Instead of the profile's.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Instead of the profile's.")] = None,
    gamma: Annotated[
        float | None, typer.Option(metavar="G", help="Of the focal loss, instead of the profile's.")
    ] = None,
    class_weights: Annotated[
        Literal["none", "balanced", "inverse_frequency", "release"] | None,
        typer.Option(help="Of the loss, instead of the profile's."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of start values and shuffling.")] = 0,
    folds: Annotated[int, typer.Option(metavar="K", help="Of the cross-fitting, by patient.")] = 5,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Measure on the benchmark's test part, for the card.")
    ] = False,
    title: Annotated[str, typer.Option(metavar="TEXT", help="Name for people.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a checkpoint of this name.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Fit a combiner on the members' outputs for images that none of them was trained on."""
    from cxrlab.workflows.data_sets import the_manifest
    from cxrlab.workflows.ensemble_fit import CombinerConfig, EnsembleRequest, class_index, fit_ensemble

    config = CombinerConfig.of(kind, profile)
    config = config if focal else config.without_focal()
    given: dict[str, Any] = {
        "learning_rate": learning_rate,
        "epochs": epochs,
        "gamma": gamma,
        "class_weights": class_weights,
    }
    config = replace(config, seed=seed, **{name: value for name, value in given.items() if value is not None})
    for text in oversample or ():
        config = config.with_sampling(*class_index(member[0], text))
    target = (out or home() / "checkpoints" / f"ensemble_{kind}").resolve()
    with working() as work:
        request = EnsembleRequest(
            source=the_manifest(manifest, work.progress, work.cancel),
            split=split_file or repository() / "checkpoints" / "split-real.json",
            members=tuple(member),
            config=config,
            name=target.name,
            title=title,
            part=part,
            profile=profile,
            folds=folds,
            benchmark=benchmark,
        )
        fitted = fit_ensemble(
            request,
            checkpoints=target.parent,
            device=device,
            overwrite=overwrite,
            progress=work.progress,
            cancel=work.cancel,
        )
    if as_json:
        against = [{"other": name, **asdict(difference)} for name, difference in fitted.against]
        show_json({"checkpoint": str(fitted.folder), "card": fitted.card.to_json(), "against": against})
    else:
        _show(fitted)


def _show(fitted: FittedEnsemble) -> None:
    card, report = fitted.card, fitted.report
    folds = card.training["cross_fitting"]["folds"]
    show(f"Fitted {card.name}: {card.voting} of {', '.join(card.members)}.")
    show(f"Out of fold ({folds} folds by patient), {report.n_images} images of {report.n_patients} patients:")
    show(f"macro-F1 {report.macro_f1}, accuracy {report.accuracy}")
    show_table(
        ["class", "precision", "recall", "F1", "AUC", "of the class"],
        [[e.class_id, str(e.precision), str(e.recall), str(e.f1), str(e.auc), e.positives] for e in report.classes],
    )
    show("")
    show("Difference to the others on the same images:")
    show_table(
        ["other", "metric", "difference", "how"],
        [[name, each.metric, str(each), each.method] for name, each in fitted.against],
    )
    show(f"Weights {card.weights_sha256[:8]} in {fitted.folder}")
    show(WARNING)
