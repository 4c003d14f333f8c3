import numpy as np
import pytest

from cxrlab.metrics.curves import pr_curve, roc_curve
from cxrlab.plots.curves import MAX_POINTS, pr_alt_text, pr_figure, roc_alt_text, roc_figure
from cxrlab.results import Estimate

TRUTH = np.array([0, 0, 1, 1, 0, 1])
GOOD = np.array([0.1, 0.2, 0.9, 0.8, 0.3, 0.7])
POOR = np.array([0.9, 0.2, 0.9, 0.1, 0.5, 0.5])


@pytest.fixture
def rocs():
    return {"resnet18": roc_curve(TRUTH, GOOD), "densenet121": roc_curve(TRUTH, POOR)}


@pytest.fixture
def prs():
    return {"resnet18": pr_curve(TRUTH, GOOD), "densenet121": pr_curve(TRUTH, POOR)}


def test_each_model_is_one_line_named_with_its_area(rocs):
    figure = roc_figure(rocs, areas={"resnet18": Estimate(1, 0.9, 1, 6, "made up")})
    chance, first, second = figure.data
    assert list(chance.x) == [0, 1]
    assert first.name == "resnet18 · AUC 1.000 [0.900, 1.000]"
    assert second.name == f"densenet121 · AUC {rocs['densenet121'].auc:.3f}"


def test_models_differ_in_colour_and_dash(rocs):
    first, second = roc_figure(rocs).data[1:]
    assert first.line.color != second.line.color
    assert first.line.dash != second.line.dash


def test_drawn_roc_line_has_the_same_area(rocs):
    line = roc_figure(rocs).data[2]
    assert np.trapezoid(line.y, line.x) == pytest.approx(rocs["densenet121"].auc, abs=1e-12)


def test_drawn_steps_have_the_area_of_the_average_precision(prs):
    line = pr_figure(prs).data[2]
    assert line.line.shape == "vh"
    area = float(np.sum(np.diff(line.x) * np.asarray(line.y)[1:]))
    assert area == pytest.approx(prs["densenet121"].average_precision, abs=1e-12)


def test_prevalence_is_drawn_once_per_set(prs):
    figure = pr_figure(prs)
    assert figure.data[0].name == "prevalence 0.500"
    assert list(figure.data[0].y) == [0.5, 0.5]
    assert len(figure.data) == 3


def test_long_curves_are_thinned_and_keep_ends_and_area():
    rng = np.random.default_rng(0)
    truth = rng.random(50_000) < 0.3
    curve = roc_curve(truth, rng.random(50_000) + 0.5 * truth)
    line = roc_figure({"model": curve}).data[1]
    assert len(line.x) <= MAX_POINTS
    assert (line.x[0], line.y[0], line.x[-1], line.y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(line.y, line.x) == pytest.approx(curve.auc, abs=1e-3)


def test_constant_scores_draw_the_diagonal():
    line = roc_figure({"model": roc_curve(TRUTH, np.full(6, 0.5))}, title="Normal against the rest").data[1]
    assert (list(line.x), list(line.y)) == ([0, 1], [0, 1])


def test_title_is_shown(rocs):
    assert roc_figure(rocs, title="Normal against the rest").layout.title.text == "Normal against the rest"


def test_legend_has_a_row_per_entry(rocs, prs):
    assert (
        pr_figure(prs).layout.height
        > roc_figure(rocs).layout.height
        > roc_figure({"one": rocs["resnet18"]}).layout.height
    )


def test_alt_text_holds_the_main_numbers(rocs, prs):
    areas = {"resnet18": Estimate(1, 0.9, 1, 6, "made up")}
    text = roc_alt_text(rocs, areas=areas, title="Normal against the rest")
    assert text.startswith("ROC curves, Normal against the rest.")
    assert "resnet18 1.000 [0.900, 1.000]" in text
    assert text.endswith("3 positive and 3 negative images.")
    assert "prevalence 0.500 is chance" in pr_alt_text(prs)
    assert "densenet121" in pr_alt_text(prs)


@pytest.mark.parametrize("function", [roc_figure, pr_figure, roc_alt_text, pr_alt_text])
def test_no_model_gives_a_sentence(function):
    with pytest.raises(ValueError, match="at least one model, got none"):
        function({})
