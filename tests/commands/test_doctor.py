"""`cxrlab doctor`."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest

from tests.commands.conftest import Run


def test_a_sound_installation_has_no_problems(run: Run, tiny_checkpoints: Path, own_home: Path) -> None:
    ran = run("doctor", "--json")
    document = json.loads(ran.stdout)
    packages = {each["name"]: each for each in document["packages"]}
    assert document["problems"] == [], document["problems"]
    assert ran.exit_code == 0
    assert packages["torch"]["found"] == importlib.metadata.version("torch")
    assert document["folders"][0]["path"] == str(own_home)
    assert document["variables"]["CXRLAB_HOME"] == str(own_home)
    assert document["checkpoints"] == ["tiny_mobilenet", "tiny_shufflenet", "tiny_ensemble"]


def test_the_text_says_all_is_well(run: Run, tiny_checkpoints: Path) -> None:
    ran = run("doctor")
    assert ran.exit_code == 0
    assert ran.stdout.endswith("All is well.\n")
    assert "CPU: " in ran.stdout


def test_changed_weights_are_a_problem(run: Run, tiny_checkpoints: Path) -> None:
    weights = tiny_checkpoints / "tiny_mobilenet" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    ran = run("doctor")
    assert ran.exit_code == 1
    assert ran.stderr == (
        "Checkpoint tiny_mobilenet: the sha256 of its weights is not the one on its card; copy it again.\n"
    )


def test_a_missing_package_and_a_full_disk_are_problems(
    run: Run, tiny_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.txt").write_text("numpy>=99  # from the future\nno-such-package>=1\n")
    monkeypatch.setattr("cxrlab.workflows.doctor.repository", lambda: tmp_path)
    monkeypatch.setattr("cxrlab.workflows.doctor.LEAST_FREE_BYTES", 10**18)
    ran = run("doctor", "--json")
    problems = json.loads(ran.stdout)["problems"]
    assert ran.exit_code == 1
    assert problems[0].startswith(f"numpy>=99 is needed, {importlib.metadata.version('numpy')} is installed; run: ")
    assert problems[1].startswith("no-such-package>=1 is needed, it is missing; run: ")
    assert "MB left; free some or set CXRLAB_HOME." in problems[2]
