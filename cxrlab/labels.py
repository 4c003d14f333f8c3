"""The ordered classes of a task: ids, names for people, colours. Class order lives here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

# Okabe and Ito's palette (2008), safe for colour-blind eyes; yellow and black are left out for contrast.
PALETTE = ("#D55E00", "#CC79A7", "#0072B2", "#009E73", "#E69F00", "#56B4E9", "#7F7F7F", "#8B5A2B")


@dataclass(frozen=True)
class Label:
    """One class.

    Args:
        id: the word in data files, e.g. ``covid19``.
        name: the words shown to people, e.g. ``COVID-19``.
        colour: ``#RRGGBB``, the same in every figure.
    """

    id: str
    name: str
    colour: str


KNOWN_LABELS = {
    label.id: label
    for label in (
        Label("covid19", "COVID-19", "#D55E00"),
        Label("viral", "Viral pneumonia", "#CC79A7"),
        Label("bacterial", "Bacterial pneumonia", "#0072B2"),
        Label("normal", "Normal", "#009E73"),
        Label("pneumonia", "Pneumonia", "#0072B2"),
        Label("non_covid", "Pneumonia, not COVID-19", "#0072B2"),
        Label("not_covid19", "Not COVID-19", "#0072B2"),
        Label("clear", "Clear (phantom)", "#009E73"),
        Label("lobar", "Lobar consolidation (phantom)", "#0072B2"),
        Label("interstitial", "Diffuse interstitial (phantom)", "#CC79A7"),
        Label("peripheral", "Peripheral ground glass (phantom)", "#D55E00"),
    )
}


@dataclass(frozen=True)
class LabelSet:
    """Classes in the order of a model's outputs.

    Raises:
        ValueError: when there are fewer than two classes or an id occurs twice.

    Example:
        >>> LabelSet.from_ids(["covid19", "normal"]).index("normal")
        1
    """

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise ValueError(f"A label set must have at least 2 classes, got {len(self.labels)}.")
        if len(set(self.ids)) != len(self.labels):
            raise ValueError(f"Class ids must be unique, got {', '.join(self.ids)}.")

    @classmethod
    def from_ids(cls, ids: Iterable[str]) -> LabelSet:
        """Classes by id; an unknown id is its own name and takes a free colour."""
        return cls(
            tuple(
                KNOWN_LABELS.get(id_) or Label(id_, id_.replace("_", " "), PALETTE[position % len(PALETTE)])
                for position, id_ in enumerate(ids)
            )
        )

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(label.id for label in self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def colours(self) -> tuple[str, ...]:
        return tuple(label.colour for label in self.labels)

    def index(self, id_: str) -> int:
        """Position of a class. Raises ValueError naming the known classes."""
        if id_ not in self.ids:
            raise ValueError(f"Unknown class {id_!r}; the classes are {', '.join(self.ids)}.")
        return self.ids.index(id_)

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self.labels)

    def __contains__(self, id_: object) -> bool:
        return id_ in self.ids


CXR4 = LabelSet.from_ids(["covid19", "viral", "bacterial", "normal"])
PHANTOM4 = LabelSet.from_ids(["clear", "lobar", "interstitial", "peripheral"])


@dataclass(frozen=True)
class Projection:
    """A coarser task that finer classes are added up to, so that systems of different papers meet on one set.

    Args:
        name: e.g. ``covid_vs_rest``. title: for people.
        target: the classes of the task.
        mapping: id of a finer class -> id of the target class that it belongs to.
    """

    name: str
    title: str
    target: LabelSet
    mapping: Mapping[str, str]

    @property
    def sources(self) -> LabelSet:
        """Every class that the task knows a place for, the finer ones first."""
        return LabelSet.from_ids(dict.fromkeys([*self.mapping, *self.target.ids]))

    def positions(self, labels: LabelSet) -> tuple[int, ...]:
        """For each class of ``labels``, the index of the target class it belongs to; target classes are their own.

        Raises:
            ValueError: when a class has no place in the task, or a target class is left without any.
        """
        if lost := [id_ for id_ in labels.ids if id_ not in self.sources]:
            raise ValueError(f"The task {self.name} has no place for {', '.join(lost)}.")
        found = tuple(self.target.index(self.mapping.get(id_, id_)) for id_ in labels.ids)
        if missing := [id_ for position, id_ in enumerate(self.target.ids) if position not in found]:
            raise ValueError(
                f"The task {self.name} needs {', '.join(missing)}, which {', '.join(labels.ids)} can not tell apart."
            )
        return found

    def accepts(self, labels: LabelSet) -> bool:
        """Can predictions for these classes be projected?"""
        try:
            self.positions(labels)
        except ValueError:
            return False
        return True


PROJECTIONS = {
    projection.name: projection
    for projection in (
        Projection(
            "covid_vs_rest",
            "COVID-19 or not",
            LabelSet.from_ids(["covid19", "not_covid19"]),
            {"viral": "not_covid19", "bacterial": "not_covid19", "non_covid": "not_covid19", "normal": "not_covid19"},
        ),
        Projection(
            "pneumonia_vs_normal",
            "Pneumonia or normal",
            LabelSet.from_ids(["normal", "pneumonia"]),
            {"covid19": "pneumonia", "viral": "pneumonia", "bacterial": "pneumonia", "non_covid": "pneumonia"},
        ),
        Projection(
            "three_class",
            "Normal, other pneumonia or COVID-19",
            LabelSet.from_ids(["normal", "non_covid", "covid19"]),
            {"viral": "non_covid", "bacterial": "non_covid"},
        ),
    )
}


def projection_named(name: str) -> Projection:
    """A task by name. Raises ValueError that lists those there are."""
    if name not in PROJECTIONS:
        raise ValueError(f"Task must be one of {', '.join(PROJECTIONS)}, got {name!r}.")
    return PROJECTIONS[name]
