import numpy as np
import pytest

from cxrlab.labels import CXR4, PHANTOM4, LabelSet
from cxrlab.metrics.confusion import ConfusionMatrix, confusion_matrix
from cxrlab.plots.metrics import (
    comparison_alt_text,
    comparison_figure,
    confusion_alt_text,
    confusion_figure,
    probability_alt_text,
    probability_bars,
    short_names,
)
from cxrlab.results import Estimate

SCORES = [0.7, 0.2, 0.096, 0.004]


@pytest.fixture
def matrix() -> ConfusionMatrix:
    return confusion_matrix(np.array([0, 0, 1, 1, 1, 3]), np.array([0, 1, 1, 0, 0, 3]), CXR4)


def texts(figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_cells_show_counts_and_row_shares(matrix):
    shown = texts(confusion_figure(matrix, CXR4))
    assert shown[0] == "1<br>50%"
    assert shown[4] == "2<br>67%"
    assert shown[8:12] == ["0<br>–"] * 4  # no bacterial image


def test_truth_runs_downwards(matrix):
    figure = confusion_figure(matrix, CXR4)
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.data[0].y[1] == "Viral<br>pneumonia"


def test_text_of_dark_cells_is_white(matrix):
    colours = [annotation.font.color for annotation in confusion_figure(matrix, CXR4).layout.annotations]
    assert colours[15] == "#FFFFFF"
    assert colours[0] == "#000000"


def test_confusion_alt_text_tells_hits_and_the_worst_mistake(matrix):
    text = confusion_alt_text(matrix, CXR4, title="resnet18")
    assert text.startswith("Confusion matrix, resnet18, 6 images. Found: 1 of 2 COVID-19, 1 of 3 Viral pneumonia")
    assert text.endswith("Most frequent mistake: 2 Viral pneumonia taken for COVID-19.")


def test_confusion_without_mistakes_says_so():
    assert confusion_alt_text(confusion_matrix(np.arange(4), np.arange(4), CXR4), CXR4).endswith("No mistakes.")


@pytest.mark.parametrize("function", [confusion_figure, confusion_alt_text])
def test_matrix_of_other_classes_is_refused(matrix, function):
    with pytest.raises(ValueError, match=r"classes of the matrix must be clear, lobar, .*, got covid19"):
        function(matrix, PHANTOM4)


def test_bars_show_all_classes_in_order_and_their_colours():
    figure = probability_bars(SCORES, CXR4, predicted=["covid19"])
    assert list(figure.data[0].x) == SCORES
    assert figure.data[0].marker.color == CXR4.colours
    assert texts(figure)[::2] == ["<b>COVID-19</b>", "Viral pneumonia", "Bacterial pneumonia", "Normal"]
    assert texts(figure)[1::2] == ["<b>0.70</b>", "0.20", "0.10", "<0.01"]


def test_decision_is_in_full_colour():
    assert probability_bars(SCORES, CXR4, predicted=["covid19"]).data[0].marker.opacity == (1, 0.55, 0.55, 0.55)
    assert probability_bars(SCORES, CXR4).data[0].marker.opacity == (1, 1, 1, 1)


def test_several_findings_can_be_decided():
    labels = LabelSet.from_ids(["effusion", "oedema"])
    assert "Decision: effusion and oedema." in probability_alt_text(
        [0.8, 0.9], labels, predicted=["effusion", "oedema"]
    )


def test_bars_grow_with_the_number_of_classes():
    ten = LabelSet.from_ids([f"class_{i}" for i in range(10)])
    assert probability_bars(np.full(10, 0.1), ten).layout.height > probability_bars(SCORES, CXR4).layout.height


@pytest.mark.parametrize(("score", "shown"), [(0.0, "0.00"), (0.004, "<0.01"), (0.996, ">0.99"), (1.0, "1.00")])
def test_no_score_is_rounded_to_certainty(score, shown):
    assert probability_alt_text([score, 0.5], LabelSet.from_ids(["a", "b"])).count(f"a {shown}") == 1


def test_probability_alt_text_starts_with_the_highest():
    assert probability_alt_text([0.1, 0.2, 0.6, 0.1], CXR4).startswith("Scores: Bacterial pneumonia 0.60, Viral")


def test_wrong_number_of_scores_gives_a_sentence():
    for function in (probability_bars, probability_alt_text):
        with pytest.raises(ValueError, match=r"one number per class \(4\), got shape \(3,\)"):
            function([0.1, 0.2, 0.7], CXR4)


def test_unknown_decision_names_the_known_classes():
    with pytest.raises(ValueError, match="Unknown class 'flu'"):
        probability_bars(SCORES, CXR4, predicted=["flu"])


def test_ending_shared_by_all_names_is_left_out():
    assert short_names(PHANTOM4)[0] == "Clear"
    assert short_names(CXR4) == CXR4.names


@pytest.fixture
def estimates() -> dict[str, dict[str, Estimate]]:
    nan = float("nan")
    return {
        "resnet18": {"macro-F1": Estimate(0.8, 0.75, 0.84, 100, "made up"), "accuracy": Estimate(0.9, nan, nan, 9, "")},
        "ensemble": {"macro-F1": Estimate(0.85, 0.8, 0.9, 100, "made up")},
    }


def test_whiskers_are_the_interval(estimates):
    figure = comparison_figure(estimates)
    first = figure.data[0]
    assert first.error_x.array == pytest.approx([0.04, 0])
    assert first.error_x.arrayminus == pytest.approx([0.05, 0])
    assert figure.layout.yaxis.ticktext == ("macro-F1", "accuracy")


def test_missing_estimate_leaves_a_gap(estimates):
    assert np.isnan(comparison_figure(estimates).data[1].x[1])


def test_models_of_a_metric_do_not_cover_each_other(estimates):
    first, second = comparison_figure(estimates).data
    assert first.y[0] != second.y[0]


def test_comparison_alt_text_holds_every_estimate(estimates):
    text = comparison_alt_text(estimates, title="phantom")
    assert "phantom. macro-F1: resnet18 0.800 [0.750, 0.840], ensemble 0.850 [0.800, 0.900]; accuracy: resnet18" in text


def test_nothing_to_compare_gives_a_sentence():
    for function in (comparison_figure, comparison_alt_text):
        with pytest.raises(ValueError, match="at least one model with one metric"):
            function({"resnet18": {}})
