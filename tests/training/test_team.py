"""Two processes under ``torchrun`` over gloo train what one process trains, stop together and go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cxrlab.config import TrainConfig
from cxrlab.progress import Cancelled
from cxrlab.training.objective import Objective
from cxrlab.training.state import load_state
from cxrlab.training.team import PartnerLost, in_turn, is_first, is_lost_partner, node_count, team_size
from tests.training import two_processes

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = (
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "--max-restarts",
    "0",
)
EXACT = ("plain", "auxiliary", "sum", "frozen")


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that two processes do, in one start of both; the last training loses a process."""
    out = tmp_path_factory.mktemp("together")
    names = ("turns", *EXACT, "real", "interrupted", "killed")
    subprocess.run(
        [*TORCHRUN, "-m", "tests.training.two_processes", str(out), *names], cwd=ROOT, timeout=300, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}, stdout=subprocess.DEVNULL,
        stderr=(out / "log").open("w"),
    )  # fmt: skip
    return out


def read(path: Path) -> dict[str, Any]:
    assert path.exists(), (path.parent / "log").read_text()
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", EXACT)
def test_two_processes_train_as_one(together: Path, tmp_path: Path, name: str) -> None:
    """Without batch norm and dropout to float32's rounding; the last batch of 5 is shared 3 : 2."""
    one, two = two_processes.trained(name, tmp_path), read(together / f"{name}.json")
    losses = [[epoch["train_loss"] for epoch in run["history"]["epochs"]] for run in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    for key, value in one["weights"].items():
        np.testing.assert_allclose(value, two["weights"][key], rtol=1e-4, atol=1e-6, err_msg=key)


def test_a_real_network_with_batch_norm_learns_alike(together: Path, tmp_path: Path) -> None:
    one, two = two_processes.trained("real", tmp_path), read(together / "real.json")
    losses = [[epoch["train_loss"] for epoch in run["history"]["epochs"]] for run in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.15)


def test_sigterm_to_the_second_stops_both_at_that_step_and_both_go_on(together: Path) -> None:
    found = read(together / "interrupted.json")
    assert (found["stopped"], found["epoch"], found["step"]) == ("interrupted", 1, 2)  # the next step, of 3 an epoch
    assert found["resumed"]["weights"] == read(together / "real.json")["weights"]  # to the bit


def test_only_the_first_process_writes(together: Path) -> None:
    lines = (together / "plain" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2]
    assert json.loads((together / "plain" / "status.json").read_text())["done"] == 9
    assert not list((together / "plain").glob("*.part"))
    assert (together / "turns").read_text() == "01"


def test_a_process_that_lost_the_other_says_so_and_keeps_the_state(together: Path) -> None:
    assert (together / "lost").read_text() == "Another process of this training ended; start all of them again."
    assert load_state(together / "killed" / "last.pt")["run"]["epoch"] == 1


@pytest.mark.parametrize("reduction", ["weighted_mean", "mean", "sum"])
@pytest.mark.parametrize("count", [2, 3, 7, 8])
def test_shares_add_up_to_the_whole_batch(reduction: str, count: int) -> None:
    """The mean over 3 processes of their scaled losses is torch's loss of the whole batch; some have no image."""
    generator = torch.Generator().manual_seed(count)
    logits, y_true = torch.randn(count, 2, generator=generator), torch.arange(count) % 2
    config = TrainConfig(reduction=reduction, label_smoothing=0.1, l2=0.3, class_weights="balanced")
    network = nn.Linear(2, 2)
    objective = Objective(network, config, [5, 2], torch.device("cpu"))
    values = []
    for rank in range(3):
        own = np.arange(rank, count, 3)
        own = own if len(own) > 1 else np.resize(own if len(own) else [0], 2)
        values.append(objective(logits[own], y_true[own], scale=objective.scale(y_true.numpy(), rank, 3)).item())
    assert np.mean(values) == pytest.approx(objective(logits, y_true).item(), rel=1e-5)


def test_alone_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (team_size(), is_first(), node_count()) == (1, True, 1)
    with in_turn():
        pass
    for name, value in {"WORLD_SIZE": "5", "LOCAL_WORLD_SIZE": "2", "RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    assert not is_first()
    with pytest.raises(ValueError, match="same number of processes, got 5 with 2 on one"):
        node_count()


def test_waiting_for_a_turn_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    store = torch.distributed.HashStore()
    monkeypatch.setattr(torch.distributed, "rendezvous", lambda _: iter([(store, 1, 2)]))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(Cancelled, match="Training was cancelled"), in_turn(lambda: True):
        raise AssertionError("it was not its turn")


def test_which_errors_mean_a_lost_process() -> None:
    assert is_lost_partner(RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1"))
    assert not is_lost_partner(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert issubclass(PartnerLost, RuntimeError)


def test_a_process_ends_when_torchrun_is_killed(tmp_path: Path) -> None:
    """torchrun starts each process in a session of its own, so that no signal to its group reaches them."""
    child = "import time, cxrlab.training.team as t; t.end_with_parent(); print('ready', flush=True); time.sleep(60)"
    script = f'{sys.executable} -c "{child}" & echo $! > {tmp_path}/pid; wait'
    with subprocess.Popen(["sh", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.send_signal(signal.SIGKILL)
    pid, deadline = int((tmp_path / "pid").read_text()), time.monotonic() + 10
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
