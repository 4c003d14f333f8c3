"""A trainer without a network: `python -m tests.jobs.toy QUEUE ID`. It counts epochs, and does what its config says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cxrlab.config import repository
from cxrlab.jobs.attempt import Stopped, attempt
from cxrlab.jobs.job import Job
from cxrlab.jobs.processes import TOKEN_VARIABLE
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import finished_epochs


def launch_toy(job: Job) -> subprocess.Popen[bytes]:
    """What a supervisor starts instead of `cxrlab jobs run`."""
    job.folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {TOKEN_VARIABLE: job.token, "CUDA_VISIBLE_DEVICES": ",".join(map(str, job.devices))}
    with (job.folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.toy", job.config["queue"], str(job.id)],
            stdout=log, stderr=log, env=environment, start_new_session=True, cwd=repository(),
        )  # fmt: skip


def work(job: Job, stop: Callable[[], bool]) -> None:
    """``epochs`` lines of ``seconds`` each; ``deaf``: never stops; ``dies``: at once; ``fails``: raises; ``child``."""
    config = job.config
    with (job.folder / "starts.jsonl").open("a") as file:
        facts = {"pid": os.getpid(), "devices": os.environ["CUDA_VISIBLE_DEVICES"], "time": time.time()}
        file.write(json.dumps(facts) + "\n")
    if config.get("child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (job.folder / "child.pid").write_text(str(child.pid))
    if config.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if config.get("fails"):
        raise ValueError(config["fails"])
    for _ in range(finished_epochs(job.folder), config.get("epochs", 1)):
        if config.get("dies"):
            os.kill(os.getpid(), signal.SIGKILL)
        _wait(config.get("seconds", 0.0), stop, deaf=config.get("deaf", False))
        with (job.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"epoch": finished_epochs(job.folder)}) + "\n")
        if config.get("dies_after_each"):
            os.kill(os.getpid(), signal.SIGKILL)


def _wait(seconds: float, stop: Callable[[], bool], *, deaf: bool) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not deaf and stop():
            raise Stopped
        time.sleep(0.01)


def starts(job: Job) -> list[dict[str, object]]:
    """Every start of a toy job: pid, devices, time."""
    try:
        return [json.loads(line) for line in (job.folder / "starts.jsonl").read_text().splitlines()]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(attempt(JobQueue(Path(sys.argv[1])), int(sys.argv[2]), work, str))
