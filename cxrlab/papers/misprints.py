"""Printed numbers that contradict others or need a word: which rows, and the sentence. The numbers stay as printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Misprint:
    """A sentence about rows of the printed tables.

    Args:
        where: column -> value; a row is meant when each of these columns begins with its value.
        sentence: what is wrong, or what a reader has to know to compare.
    """

    sentence: str
    where: Mapping[str, str] = field(default_factory=dict)

    def is_about(self, row: Mapping[str, str]) -> bool:
        """Does it speak of this row of a CSV file?"""
        return all(row[column].startswith(start) for column, start in self.where.items())


def _macro(source: str, table: str, system: str, variant: str, printed: str, mean: str) -> Misprint:
    return Misprint(
        f"Printed {printed}, but the mean of the four F1 values beside it is {mean}.",
        {"source": source, "table": table, "system": system, "variant": variant, "metric": "macro_f1"},
    )


MISPRINTS = (
    _macro("S1", "Table 3", "ResNeXt101", "base", ".7140", ".7131"),
    _macro("S1", "Table 3", "Resnet152", "base", ".7110", ".7118"),
    _macro("S2", "Table 3", "Densenet161", "patched base", ".8043", ".8044"),
    Misprint(
        "The F1 of the mean precision and recall would be .8203; .8168 shows that F1 was averaged fold by fold.",
        {"source": "S1", "table": "Abstract", "metric": "f1"},
    ),
    Misprint(
        "Other sources count 5,856 images in this collection; 466 normals and 1 viral image are missing here, why is "
        "not known.",
        {"source": "S1", "table": "Table 1", "variant": "KCX", "class": "total"},
    ),
    Misprint(
        "1,509 is the total of both parts; the training part has 1,170 (378 + 1,170 + 2,291 + 1,288 = 5,127).",
        {"source": "S2", "table": "Table 2", "variant": "training (as printed", "class": "Pneumonia virus"},
    ),
    Misprint(
        "The published fold files hold 6,413 images; 3 duplicates were probably dropped for the table.",
        {"source": "S2", "table": "Table 2", "variant": "all", "class": "total"},
    ),
    Misprint(
        "Copied from the first paper, so measured on its older data and not on those of this table.",
        {"source": "S2", "table": "Table 3", "variant": "OldData"},
    ),
    Misprint(
        "The original and the patched half of this table were measured on different draws of the test set.",
        {"source": "S2", "table": "Table 3", "variant": "original (new data)"},
    ),
    Misprint(
        "The original and the patched half of this table were measured on different draws of the test set.",
        {"source": "S2", "table": "Table 3", "system": "Patched FLANNEL"},
    ),
    Misprint(
        "The text says 456 x 456 pixels; 5 x 5 x 2048 behind the backbone fits 150 only.",
        {"source": "S3", "table": "Table III", "variant": "input"},
    ),
    Misprint(
        "Printed 2045; EfficientNetB5 gives 2048 features.",
        {"source": "S3", "table": "Table III", "variant": "global average pooling"},
    ),
    Misprint(
        "Counts 172,736 batch-norm statistics and 7 of the input normalisation too; 28,340,784 are parameters.",
        {"source": "S3", "table": "Table III", "variant": "efficientnetb5"},
    ),
    Misprint(
        "Counts 172,736 batch-norm statistics and 7 of the input normalisation too; 28,340,784 are parameters.",
        {"source": "S3", "table": "Table III", "variant": "non_trainable"},
    ),
    Misprint(
        "Precision .896 and recall .949 give an F1 of .9217; .900 fits neither that nor the mean over classes (.890).",
        {"source": "S3", "table": "Table IV", "system": "EfficientNetB5", "metric": "f1"},
    ),
    Misprint(
        "The text says 70/10/20; the counts are 71.5 % training, 17.9 % validation and 10.7 % test.",
        {"source": "S3", "table": "Table I", "variant": "after split"},
    ),
    Misprint(
        "Printed 748, but 692 + 86 = 778.",
        {"source": "S4", "table": "Table 2", "variant": "Totals", "class": "Non-COVID"},
    ),
    Misprint(
        "Printed 988, but 906 + 112 = 1,018.",
        {"source": "S4", "table": "Table 2", "variant": "Totals", "class": "total"},
    ),
    Misprint(
        "The column is called trainable parameters; these are all parameters of the ImageNet network.",
        {"source": "S4", "table": "Table 1", "metric": "params"},
    ),
    Misprint(
        "Contradicts the recalls beside it: .97, .79 and .97 on 100 images each give 273 of 300 = .910.",
        {"source": "S5", "table": "Table 1", "system": "ResNet18"},
    ),
    Misprint(
        "Quoted from COVID-Net's authors, so measured on another test set and at 480 pixels.",
        {"source": "S5", "system": "COVID-Net"},
    ),
    Misprint("The column is called precious; precision is meant.", {"source": "S5", "metric": "precision"}),
    Misprint("The column is called sensitive; sensitivity is meant.", {"source": "S5", "metric": "recall"}),
)


def misprint_of(row: Mapping[str, str]) -> str:
    """The sentence about a row of a CSV file (system, variant, class, metric, source, table); empty where all is well.

    A row that several sentences are about gets the first.
    """
    return next((misprint.sentence for misprint in MISPRINTS if misprint.is_about(row)), "")
