"""`cxrlab recipes`: the list, one in full, and as JSON."""

from __future__ import annotations

import json

import pytest

from cxrlab.training.recipes import list_recipes
from tests.commands.conftest import Run


def test_every_recipe_has_a_line(run: Run) -> None:
    ran = run("recipes")
    assert ran.exit_code == 0, ran.stderr
    assert all(name in ran.stdout for name in list_recipes())


@pytest.mark.parametrize(
    ("profile", "settings"),
    [("paper", "focal 3 inverse_frequency mean 1e-05 20 200"), ("release", "focal 10 release sum 1e-05 20 40")],
)
def test_flannel_and_the_stacked_networks_are_listed_too(run: Run, profile: str, settings: str) -> None:
    lines = {" ".join(line.split()) for line in run("recipes", "--profile", profile).stdout.splitlines()}
    epochs = settings.split()[-1]
    assert f"FLANNEL flannel {settings}" in lines
    for system in ("FLANNEL w/o focal flannel", "Ensemble_MLP l1 mlp_l1", "Ensemble_MLP l2 mlp_l2"):
        assert f"{system} cross_entropy none mean 1e-05 20 {epochs}" in lines
    assert f"FLANNEL w/o focal + sampling flannel cross_entropy none mean 1e-05 20 {epochs} 0:10" in lines


def test_lines_tell_recipes_of_one_network_apart(run: Run) -> None:
    lines = [line.split(maxsplit=1) for line in run("recipes").stdout.splitlines() if line]
    of = {name: rest for name, rest in lines if name in list_recipes()}
    assert len(set(of.values())) == len(of)
    assert of["lightweight-mobilenet_v2-unfreeze-44"].endswith("last 44%")
    assert "balanced" in of["vgg19-weighted"]


def test_one_recipe_in_full_with_what_is_assumed(run: Run) -> None:
    ran = run("recipes", "ai-covid", "--profile", "release")
    assert "ai-covid, release profile: AI-COVID" in ran.stdout
    assert "class_weights inverse_frequency" in ran.stdout
    assert "- The last layer has 4 outputs" in ran.stdout


def test_json_holds_every_field(run: Run) -> None:
    found = json.loads(run("recipes", "--json", "--profile", "release").stdout)
    assert [each["name"] for each in found] == list_recipes()
    assert json.loads(run("recipes", "covid-net", "--json").stdout)["config"]["epochs"] == 200


def test_mistakes_are_one_sentence(run: Run) -> None:
    ran = run("recipes", "covid")
    assert ran.exit_code == 2
    assert "Unknown recipe 'covid'; nearest: ai-covid, covid-net" in ran.stderr
    assert "profile must be one of paper, release" in run("recipes", "--profile", "best").stderr
