"""Label sets: order, names, colours, refusals."""

from __future__ import annotations

import pytest

from cxrlab.labels import CXR4, PHANTOM4, LabelSet


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
