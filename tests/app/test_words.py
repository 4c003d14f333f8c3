"""Numbers and names as they are written."""

import pytest

from cxrlab.app import words
from cxrlab.results import Estimate


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("**bold**", "\\*\\*bold\\*\\*"),
        ("[link](http://x)", "\\[link\\](http\\://x)"),
        ("$x$ :red[x]", "\\$x\\$ \\:red\\[x\\]"),
        ("<b>&lt;", "\\<b\\>\\&lt;"),
        ("www.evil.org", "www\\.evil.org"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("a_b.png", "a\\_b.png"),
        ("ShuffleNetV2 1.0x (phantom) - small", "ShuffleNetV2 1.0x (phantom) - small"),
    ],
)
def test_markdown_in_a_name_is_escaped_and_nothing_else(text: str, escaped: str) -> None:
    assert words.plain(text) == escaped


def test_a_name_stays_on_one_line() -> None:
    assert words.plain("a\n# heading") == "a \\# heading"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "–"), (0.0844, "84 ms"), (2.34, "2.3 s"), (840, "14 min"), (12816, "3 h 34 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("bytes_", "text"), [(0, "–"), (4_560_000, "4.56 MB")])
def test_sizes(bytes_: int, text: str) -> None:
    assert words.size(bytes_) == text


def test_a_number_comes_with_its_interval() -> None:
    assert words.interval(None) == "–"
    assert words.interval(Estimate(0.8, 0.75, 0.85, 804, "wilson")) == "0.800 [0.750, 0.850]"


def test_the_domain_in_brackets_is_left_out_of_a_short_name() -> None:
    assert words.short("Clear (phantom)") == "Clear"
    assert words.short("COVID-19") == "COVID-19"


def test_a_domain_is_told_in_words() -> None:
    assert words.domain_words("real") == "real X-rays"
    assert words.domain_words("ct") == "ct images"
