"""The command line as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cxrlab import __version__
from tests.commands.conftest import Run, run

__all__ = ["run"]

VERBS = ("predict", "evaluate", "train", "data", "phantom", "samples", "checkpoints", "models", "doctor")


def process(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cxrlab", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_version_is_the_package_s() -> None:
    ran = process("--version")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"cxrlab {__version__}\n", "")


def test_help_names_every_verb_and_the_warning(run: Run) -> None:
    text = run("--help").stdout
    assert all(f"  {verb} " in text for verb in VERBS)
    assert "never a diagnosis" in " ".join(text.split())


@pytest.mark.parametrize("verb", [*VERBS, "data split", "samples fetch", "checkpoints show"])
def test_every_verb_has_help(run: Run, verb: str) -> None:
    ran = run(*verb.split(), "--help")
    assert ran.exit_code == 0
    assert "Usage: " in ran.stdout


def test_an_unknown_verb_is_refused_with_exit_code_2(run: Run) -> None:
    ran = run("predicts")
    assert ran.exit_code == 2
    assert "predicts" in ran.stderr


def test_json_of_a_process_is_pure(tiny_checkpoints: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.effect_noise((40, 40), 60).save(tmp_path / "a.png")
    ran = process("predict", tmp_path / "a.png", "-c", "tiny_shufflenet", "--json")
    assert ran.returncode == 0, ran.stderr
    assert [answer["checkpoint"] for answer in json.loads(ran.stdout)] == ["tiny_shufflenet"]


def test_a_mistake_of_the_user_has_no_traceback(own_home: Path) -> None:
    ran = process("data", "summary", "nowhere.csv")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "There is no manifest at nowhere.csv; give the path of a CSV or a folder.\n"


def test_ctrl_c_ends_with_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "cxrlab",
        "phantom",
        "--count",
        "5000",
        "--size",
        "128",
        "--out",
        str(tmp_path / "p"),
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 60
    while not any(tmp_path.rglob("*.png")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == ""
    assert "Stopping after this step" in err
    assert err.rstrip().endswith("was cancelled; nothing was stored.")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
