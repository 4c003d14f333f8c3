"""Label sets: order, names, colours, refusals."""

from __future__ import annotations

import pytest

from cxrlab.labels import CXR4, PHANTOM4, PROJECTIONS, LabelSet, Projection, projection_named


def test_order_is_kept_and_known_classes_have_names() -> None:
    labels = LabelSet.from_ids(["normal", "covid19"])
    assert labels.ids == ("normal", "covid19")
    assert labels.names == ("Normal", "COVID-19")
    assert labels.index("covid19") == 1
    assert "viral" not in labels


def test_an_unknown_class_gets_a_readable_name_and_a_colour() -> None:
    labels = LabelSet.from_ids(["pleural_effusion", "normal"])
    assert labels.names[0] == "pleural effusion"
    assert labels.colours[0].startswith("#")


def test_the_papers_order_is_fixed() -> None:
    assert CXR4.ids == ("covid19", "viral", "bacterial", "normal")
    assert not set(CXR4.ids) & set(PHANTOM4.ids)


def test_colours_differ_within_a_task() -> None:
    for labels in (CXR4, PHANTOM4, LabelSet.from_ids("abcdefgh")):
        assert len(set(labels.colours)) == len(labels)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        LabelSet.from_ids(["one"])
    with pytest.raises(ValueError, match="must be unique, got a, a"):
        LabelSet.from_ids(["a", "a"])
    with pytest.raises(ValueError, match="Unknown class 'cat'; the classes are covid19"):
        CXR4.index("cat")


@pytest.mark.parametrize(
    ("name", "positions"),
    [("covid_vs_rest", (0, 1, 1, 1)), ("pneumonia_vs_normal", (1, 1, 1, 0)), ("three_class", (2, 1, 1, 0))],
)
def test_the_four_classes_have_a_place_in_every_task(name: str, positions: tuple[int, ...]) -> None:
    assert projection_named(name).positions(CXR4) == positions


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=list(PROJECTIONS))
def test_a_task_s_own_classes_are_themselves(projection: Projection) -> None:
    assert projection.positions(projection.target) == tuple(range(len(projection.target)))
    assert set(projection.target.ids) <= set(projection.sources.ids)
    assert len(set(projection.target.colours)) == len(projection.target)


@pytest.mark.parametrize(
    ("task", "classes", "possible"),
    [
        ("covid_vs_rest", ["normal", "non_covid", "covid19"], True),
        ("pneumonia_vs_normal", ["normal", "non_covid", "covid19"], True),
        ("covid_vs_rest", ["normal", "pneumonia"], False),
        ("pneumonia_vs_normal", ["covid19", "not_covid19"], False),
        ("three_class", ["covid19", "not_covid19"], False),
        ("covid_vs_rest", ["covid19", "normal"], True),
    ],
)
def test_a_coarse_task_goes_back_only_where_its_classes_allow(task: str, classes: list[str], possible: bool) -> None:
    assert projection_named(task).accepts(LabelSet.from_ids(classes)) is possible


def test_refusals_name_the_class_and_the_task() -> None:
    with pytest.raises(ValueError, match="covid_vs_rest has no place for clear, lobar"):
        projection_named("covid_vs_rest").positions(PHANTOM4)
    with pytest.raises(ValueError, match="three_class needs non_covid, which covid19, normal can not tell apart"):
        projection_named("three_class").positions(LabelSet.from_ids(["covid19", "normal"]))
    with pytest.raises(ValueError, match="Task must be one of covid_vs_rest, pneumonia_vs_normal, three_class, got"):
        projection_named("x")
