"""`cxrlab data` and `cxrlab phantom`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxrlab.data.manifest import read_manifest
from cxrlab.data.splits import Split, benchmark_split
from tests.commands.conftest import Run


def test_summary_counts_images_and_patients(run: Run, labelled: Path) -> None:
    document = json.loads(run("data", "summary", labelled, "--json").stdout)
    assert document["digest"] == read_manifest(labelled).digest
    assert document["counts"]["images"] == 40
    assert document["counts"]["patients"] == 20
    assert document["counts"]["patients_by_class"] == dict.fromkeys(("bacterial", "covid19", "normal", "viral"), 5)


def test_summary_as_a_table(run: Run, labelled: Path) -> None:
    text = run("data", "summary", labelled.parent).stdout
    assert "40 images of 20 patients." in text
    assert "Views: 40 PA." in text


def test_summary_says_what_was_left_out(run: Run, labelled: Path) -> None:
    text = run("data", "summary", labelled, "--labels", "covid19, normal").stdout
    assert "20 images of 10 patients" in text
    assert "Left out: 10 unknown label 'viral'" in text


def test_the_benchmark_split_is_written(run: Run, labelled: Path, tmp_path: Path) -> None:
    ran = run("data", "split", labelled, "--out", tmp_path / "new" / "split.json")
    assert ran.exit_code == 0
    assert Split.load(tmp_path / "new" / "split.json") == benchmark_split(read_manifest(labelled))


def test_folds_are_numbered_files(run: Run, labelled: Path, tmp_path: Path) -> None:
    ran = run("data", "split", labelled, "--kind", "folds", "--folds", "3", "--out", tmp_path / "s.json", "--json")
    assert [part["name"] for part in json.loads(ran.stdout)] == [
        f"fold {number} of 3 by patient, seed 0" for number in (1, 2, 3)
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s-1.json", "s-2.json", "s-3.json"]


def test_the_seed_decides_a_hold_out(run: Run, labelled: Path) -> None:
    def digest(seed: int) -> str:
        ran = run("data", "split", labelled, "--kind", "hold-out", "--fraction", "0.25", "--seed", seed, "--json")
        return json.loads(ran.stdout)[0]["digest"]

    assert digest(1) == digest(1) != digest(2)


def test_the_cache_lies_under_the_home(run: Run, labelled: Path, own_home: Path) -> None:
    document = json.loads(run("data", "cache", labelled, "--size", "32", "--json").stdout)
    assert Path(document["folder"]).is_relative_to(own_home)
    assert (document["images"], document["size_bytes"], document["errors"]) == (40, 40 * 32 * 32, {})
    assert "40 squares of 32 pixels" in run("data", "cache", labelled, "--size", "32").stdout


def test_phantoms_are_made_as_asked(run: Run, tmp_path: Path) -> None:
    ran = run("phantom", "--out", tmp_path / "p", "--count", "4", "--size", "128", "--seed", "3", "--json")
    document = json.loads(ran.stdout)
    assert (document["images"], document["seed"]) == (4, 3)
    assert len(read_manifest(Path(document["manifest"]))) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data", "summary", "nowhere.csv"), "There is no manifest at nowhere.csv"),
        (("data", "summary", "{m}", "--labels", "covid19"), "A label set must have at least 2 classes, got 1."),
        (("data", "split", "{m}", "--kind", "hold-out", "--fraction", "0.9"), "must be in (0, 0.5], got 0.9."),
        (("data", "cache", "{m}", "--size", "8"), "size must be in [32, 1024], got 8."),
        (("phantom", "--out", "{folder}", "--count", "4"), "needs a new or empty folder"),
        (("phantom", "--out", "x", "--count", "0"), "count must be in [1, 100000], got 0."),
    ],
)
def test_a_users_mistake_is_one_sentence(run: Run, labelled: Path, words: tuple[str, ...], message: str) -> None:
    ran = run(*(word.format(m=labelled, folder=labelled.parent) for word in words))
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
