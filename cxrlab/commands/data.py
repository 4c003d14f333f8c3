"""`cxrlab data` and `cxrlab phantom`: labelled sets on this computer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cxrlab.commands.choices import Json, LabelList, ManifestArgument, listed
from cxrlab.commands.terminal import show, show_json, show_table, working

if TYPE_CHECKING:
    from cxrlab.workflows.data_sets import Split, Summary

commands = typer.Typer(no_args_is_help=True, help="Labelled sets: count, split, decode.")


@commands.command()
def summary(manifest: ManifestArgument, labels: LabelList = "", as_json: Json = False) -> None:
    """Count images and patients by class, source and view, and the rows left out."""
    from cxrlab.workflows.data_sets import summarise_set

    with working() as work:
        found = summarise_set(manifest, labels=listed(labels), progress=work.progress, cancel=work.cancel)
    if as_json:
        show_json(asdict(found))
        return
    counts = found.counts
    show(f"Data set {found.name}, hash {found.digest[:12]}: {counts.images} images of {counts.patients} patients.")
    _show_counts(counts)
    for reason, count in counts.dropped.items():
        show(f"Left out: {count} {reason}")


def _show_counts(counts: Summary) -> None:
    sources = list(counts.by_source)
    rows: list[list[object]] = [
        [label or "unknown", images, counts.patients_by_class.get(label, "")]
        + [counts.class_by_source[source].get(label, 0) for source in sources]
        for label, images in counts.by_class.items()
    ]
    show_table(["class", "images", "patients", *(source or "source unknown" for source in sources)], rows)
    views = ", ".join(f"{count} {view or 'unknown'}" for view, count in counts.by_view.items())
    show(f"Views: {views}.")


@commands.command()
def split(
    manifest: ManifestArgument,
    kind: Annotated[
        Literal["benchmark", "hold-out", "folds"],
        typer.Option(help="The split of all published figures, one held-out part, or k folds; always by patient."),
    ] = "benchmark",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JSON here; folds get -1, -2 … before the ending.")
    ] = None,
    labels: LabelList = "",
    fraction: Annotated[float, typer.Option(help="Share held out, for hold-out.")] = 0.15,
    folds: Annotated[int, typer.Option(help="Number of folds.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the draw, for hold-out and folds.")] = 0,
    as_json: Json = False,
) -> None:
    """Split a set by patient and count its parts."""
    from cxrlab.workflows.data_sets import split_set

    with working() as work:
        splits = split_set(
            manifest,
            kind=kind,
            labels=listed(labels),
            fraction=fraction,
            folds=folds,
            seed=seed,
            progress=work.progress,
            cancel=work.cancel,
        )
    files = _saved(splits, out) if out else []
    if as_json:
        show_json([_as_json(each) for each in splits])
        return
    rows = [[each.name, part, len(paths), each.digest[:12]] for each in splits for part, paths in each.parts.items()]
    show_table(["split", "part", "images", "hash"], rows)
    for file in files:
        show(f"Written: {file}")


def _saved(splits: tuple[Split, ...], out: Path) -> list[Path]:
    out.parent.mkdir(parents=True, exist_ok=True)
    numbered = [out.with_stem(f"{out.stem}-{number + 1}") for number in range(len(splits))]
    files = [out] if len(splits) == 1 else numbered
    for each, file in zip(splits, files, strict=True):
        each.save(file)
    return files


def _as_json(split: Split) -> dict[str, object]:
    images = {part: len(paths) for part, paths in split.parts.items()}
    return {
        "name": split.name,
        "seed": split.seed,
        "digest": split.digest,
        "manifest_digest": split.manifest_digest,
        "images": images,
    }


@commands.command()
def cache(
    manifest: ManifestArgument,
    size: Annotated[int, typer.Option(help="Side of the squares in pixels.")] = 224,
    resize: Annotated[
        Literal["stretch", "crop", "pad"], typer.Option(help="How a picture becomes square.")
    ] = "stretch",
    labels: LabelList = "",
    as_json: Json = False,
) -> None:
    """Decode every image once, so that training and evaluation need not."""
    from cxrlab.config import Preprocessing
    from cxrlab.workflows.data_sets import cache_set

    with working() as work:
        found = cache_set(
            manifest,
            Preprocessing(size=size, resize=resize),
            labels=listed(labels),
            progress=work.progress,
            cancel=work.cancel,
        )
    if as_json:
        show_json({**asdict(found), "folder": str(found.folder)})
        return
    show(f"{found.images} squares of {found.side} pixels, {found.size_bytes / 1e6:.1f} MB: {found.folder}")
    for path, sentence in found.errors.items():
        show(f"Not read, {path}: {sentence}")


def phantom(
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty folder.")],
    count: Annotated[int, typer.Option(help="Number of pictures.")] = 240,
    seed: Annotated[int, typer.Option(help="The same seed gives the same pictures.")] = 0,
    size: Annotated[int, typer.Option(help="Side in pixels.")] = 512,
    marker_class: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Put a corner marker on pictures of this class: a trap.")
    ] = None,
    marker_probability: Annotated[float, typer.Option(help="Share of that class with the marker.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Make synthetic radiographs with masks of lungs and lesions, and a manifest."""
    from cxrlab.workflows.data_sets import write_phantom_set

    with working() as work:
        manifest = write_phantom_set(
            out,
            count=count,
            seed=seed,
            size=size,
            marker_class=marker_class,
            marker_probability=marker_probability,
            progress=work.progress,
            cancel=work.cancel,
        )
    if as_json:
        show_json({"manifest": str(manifest), "images": count, "seed": seed, "size": size})
    else:
        show(f"{count} phantoms of {size} x {size} pixels, seed {seed}: {manifest}")
