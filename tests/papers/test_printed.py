"""The printed tables: all there, and consistent where the papers are; what is not is marked."""

from __future__ import annotations

from collections import defaultdict

import pytest

from cxrlab.papers.misprints import MISPRINTS
from cxrlab.papers.printed import CLASS_IDS, PAPERS, PaperResult, printed_results, table_files


def by_system(file: str) -> dict[str, dict[str, PaperResult]]:
    """system and variant -> class as printed -> result."""
    found: dict[str, dict[str, PaperResult]] = defaultdict(dict)
    for result in printed_results(file):
        found[f"{result.system} {result.variant}".strip()][result.class_name] = result
    return found


def test_there_are_22_files_with_434_numbers() -> None:
    assert len(table_files()) == 22
    assert len(printed_results()) == 434
    assert sum(len(printed_results(file)) for file in table_files()) == 434


def test_every_number_belongs_to_one_of_five_papers() -> None:
    assert {result.paper for result in printed_results()} == set(PAPERS)


def test_classes_have_the_ids_of_our_runs() -> None:
    classes = {result.class_name for result in printed_results() if result.metric in ("f1", "precision", "recall")}
    assert classes <= set(CLASS_IDS)
    assert next(r for r in printed_results("s3_table4_test.csv") if r.metric == "f1").class_id == "pneumonia"


def test_an_unknown_table_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no table 's9\.csv'; there are quoted_related_work\.csv"):
        printed_results("s9.csv")


@pytest.mark.parametrize("file", ["s1_table3_f1.csv", "s2_table3_f1.csv"])
def test_macro_f1_is_the_mean_of_its_four_classes_or_marked(file: str) -> None:
    """Oracle: the mean of the four printed values, which are rounded to .0001 each."""
    marked = []
    for name, classes in by_system(file).items():
        mean = sum(classes[each].mean for each in list(CLASS_IDS)[:4]) / 4
        if abs(mean - classes["macro"].mean) > 1e-4 - 1e-9:
            marked.append(name)
            assert "mean of the four F1 values" in classes["macro"].misprint
    expected = {"s1_table3_f1.csv": ["ResNeXt101 base", "Resnet152 base"], "s2_table3_f1.csv": []}
    assert marked == expected[file]


@pytest.mark.parametrize(
    ("system", "accuracy", "printed_as"),
    [("PEPX-ResNet", 0.95667, 0.95666), ("COVID-Net", 0.93333, 0.933), ("ResNet18", 0.910, None)],
)
def test_s5_recalls_give_the_accuracies(system: str, accuracy: float, printed_as: float | None) -> None:
    """100 images a class, so accuracy is the mean recall; ResNet18's printed value contradicts it and is marked."""
    recalls = [result.mean for result in by_system("s5_table3_sensitivity.csv")[system].values()]
    assert sum(recalls) / 3 == pytest.approx(accuracy, abs=5e-6)
    (printed,) = by_system("s5_table1_accuracy.csv")[system].values()
    if printed_as is None:
        assert ".910" in printed.misprint
    else:
        assert printed.mean == pytest.approx(accuracy, abs=4e-4)


def test_s5_precision_and_recall_give_every_f1() -> None:
    precision, recall = (by_system(f"s5_table{n}.csv") for n in ("2_precision", "3_sensitivity"))
    checked = 0
    for system, classes in by_system("s5_table4_f1.csv").items():
        for name, f1 in classes.items():
            p, r = precision[system][name].mean, recall[system][name].mean
            assert f1.mean == pytest.approx(2 * p * r / (p + r), abs=1.1e-3), (system, name)
            checked += 1
    assert checked == 9


def test_s3_precision_and_recall_give_every_f1_but_that_of_b5_which_is_marked() -> None:
    values: dict[str, dict[str, PaperResult]] = defaultdict(dict)
    for result in printed_results("s3_table4_test.csv"):
        values[result.system][result.metric] = result
    assert len(values) == 4
    for system, of in values.items():
        p, r = of["precision"].mean, of["recall"].mean
        fits = of["f1"].mean == pytest.approx(2 * p * r / (p + r), abs=1.1e-3)
        assert fits == (system != "EfficientNetB5")
    assert ".9217" in values["EfficientNetB5"]["f1"].misprint


def test_s1_f1_of_the_mean_precision_and_recall_is_not_the_printed_mean_f1() -> None:
    p, r, f1 = printed_results("s1_abstract.csv")
    assert 2 * p.mean * r.mean / (p.mean + r.mean) == pytest.approx(0.8203, abs=5e-5)
    assert f1.mean == 0.8168
    assert ".8203" in f1.misprint


def test_every_sentence_marks_a_row_and_no_number_was_changed() -> None:
    said = {result.misprint for result in printed_results()}
    assert {misprint.sentence for misprint in MISPRINTS} <= said
    wrong = next(result for result in printed_results() if result.misprint.startswith("1,509"))
    assert wrong.mean == 1509
    assert 378 + 1170 + 2291 + 1288 == 5127


def test_s4_totals_do_not_add_up_and_are_marked() -> None:
    totals = {
        result.class_name: result for result in printed_results("s4_table2_counts.csv") if "Totals" in result.variant
    }
    assert totals["COVID-19"].mean == 214 + 26
    assert not totals["COVID-19"].misprint
    for name, sum_of_parts in {"Non-COVID": 692 + 86, "total": 906 + 112}.items():
        assert totals[name].mean != sum_of_parts
        assert f"{sum_of_parts:,}" in totals[name].misprint
