"""The tables of the five papers as they were printed: 22 files, one number a row, misprints marked and not mended."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from cxrlab.papers.misprints import misprint_of

PAPERS = {
    "S1": "FLANNEL",
    "S2": "Patched FLANNEL",
    "S3": "EfficientNetB5 with focal loss",
    "S4": "Lightweight networks",
    "S5": "PEPX-ResNet",
}
MEASURES = ("f1", "macro_f1", "accuracy", "precision", "recall", "auc")  # what a study measures too
CLASS_IDS = {
    "COVID-19": "covid19",
    "Pneumonia virus": "viral",
    "Pneumonia bacteria": "bacterial",
    "Normal": "normal",
    "Non-COVID": "non_covid",
    "pneumonia": "pneumonia",
    "macro": "all",
    "all": "all",
}


@dataclass(frozen=True)
class PaperResult:
    """One printed number.

    Args:
        system, variant: of the paper, e.g. ``FLANNEL`` and ``w/o focal``; the variant may be empty.
        dataset: what it was measured on, never the data of this computer.
        class_name: as printed, e.g. ``COVID-19``; ``macro`` or ``all`` over classes.
        metric: e.g. ``f1``, ``count``, ``keras_params``.
        mean, std: as printed; None where the paper gives no spread.
        source: the paper, or the report that its authors published later. table: where in it.
        misprint: empty, or the sentence that says what is wrong with the number or to be known of it.
    """

    system: str
    variant: str
    dataset: str
    class_name: str
    metric: str
    mean: float
    std: float | None
    source: str
    table: str
    misprint: str = ""

    @property
    def paper(self) -> str:
        """``S1`` to ``S5``; the later report belongs to the authors of S2."""
        return self.source[:2] if self.source[:2] in PAPERS else "S2"

    @property
    def class_id(self) -> str:
        """The class as our runs spell it: an id of ``cxrlab.labels``, or ``all``; what is no class stays as printed."""
        return CLASS_IDS.get(self.class_name, self.class_name)


def table_files() -> tuple[str, ...]:
    """Names of the files, sorted."""
    return tuple(sorted(entry.name for entry in _folder().iterdir() if entry.name.endswith(".csv")))


@cache
def printed_results(file: str = "") -> tuple[PaperResult, ...]:
    """Every printed number in the order of the files and rows; with ``file``, those of one file.

    Raises:
        ValueError: for a file that there is not; the text lists those there are.
    """
    if file and file not in table_files():
        raise ValueError(f"There is no table {file!r}; there are {', '.join(table_files())}.")
    return tuple(result for name in ([file] if file else table_files()) for result in _rows(name))


def _folder() -> Traversable:
    return files("cxrlab.papers") / "tables"


def _rows(name: str) -> tuple[PaperResult, ...]:
    lines = (_folder() / name).read_text(encoding="utf-8").splitlines()
    return tuple(_result(row) for row in csv.DictReader(lines))


def _result(row: dict[str, str]) -> PaperResult:
    return PaperResult(
        system=row["system"],
        variant=row["variant"],
        dataset=row["dataset"],
        class_name=row["class"],
        metric=row["metric"],
        mean=float(row["mean"]),
        std=float(row["std"]) if row["std"] else None,
        source=row["source"],
        table=row["table"],
        misprint=misprint_of(row),
    )
