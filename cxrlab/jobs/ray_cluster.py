"""Jobs on a Ray cluster, through Ray's Jobs API. Ray places them; the queue stays the truth."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cxrlab.config import repository
from cxrlab.jobs.backend import QueueJobs
from cxrlab.jobs.job import Backend, Job, JobError, Kind
from cxrlab.jobs.launching import HOME_VARIABLE, command_of, ensure_supervisor
from cxrlab.jobs.processes import TOKEN_VARIABLE
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import LOG_FILE, read_log
from cxrlab.jobs.run_orders import FOLDER_VARIABLE

SETTINGS_FILE = "ray.json"
ADDRESS_VARIABLE, CPUS_VARIABLE, PYTHON_VARIABLE = "CXRLAB_RAY_ADDRESS", "CXRLAB_RAY_CPUS", "CXRLAB_RAY_PYTHON"
RAYS_OWN = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")  # Ray's client prefers these to the address it is given
HANDED_ON = ("CXRLAB_CHECKPOINTS", "HF_HOME", "TORCH_HOME")
NO_ADDRESS = (
    "The address of the Ray cluster is not set; set CXRLAB_RAY_ADDRESS to that of its dashboard, like http://HOST:8265."
)
NO_RAY = "Ray is not installed; install it with `pip install 'cxrlab[cluster]'`."
REACH_S = 5.0
STOP_S = 20  # between Ray's SIGTERM and its SIGKILL


class ClusterError(JobError):
    """The cluster can not be asked now; nothing is known about its jobs."""


class RefusedError(JobError):
    """The cluster does not take this job."""


@dataclass(frozen=True)
class RaySettings:
    """How the cluster is reached; kept beside the queue so that a later supervisor finds it.

    Args:
        address: of the head's dashboard, http://HOST:8265. cpus: CPU cores of each job.
        python: what starts Python on the cluster's machines; empty: the same path as here.
    """

    address: str = ""
    cpus: float = 1.0
    python: str = ""

    @classmethod
    def of(cls, folder: Path, address: str = "") -> RaySettings:
        """As given, else of CXRLAB_RAY_ADDRESS, CXRLAB_RAY_CPUS and CXRLAB_RAY_PYTHON, else as stored.

        Raises:
            JobError: where no address is known, or one of them can not be read.
        """
        stored = cls.stored(folder)
        address = address or os.environ.get(ADDRESS_VARIABLE, "") or stored.address
        if not address:
            raise JobError(NO_ADDRESS)
        cpus, python = os.environ.get(CPUS_VARIABLE, ""), os.environ.get(PYTHON_VARIABLE, "")
        return cls(_checked(address), _cores(cpus) if cpus else stored.cpus, python or stored.python)

    @classmethod
    def stored(cls, folder: Path) -> RaySettings:
        """As kept beside the queue; empty where nothing is."""
        try:
            return cls(**json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()

    def save(self, folder: Path) -> None:
        """Keep them beside the queue, whole or not at all."""
        if self != self.stored(folder):
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f".{SETTINGS_FILE}.{os.getpid()}.part"
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
            temporary.replace(folder / SETTINGS_FILE)


def _checked(address: str) -> str:
    whole = (address if "://" in address else f"http://{address}").rstrip("/")
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise JobError(
            f"The address of the Ray cluster must be that of its dashboard, like http://HOST:8265, got {address}."
        )
    return whole


def _cores(given: str) -> float:
    try:
        cores = float(given)
    except ValueError:
        cores = 0.0
    if not 0 < cores < 10_000:
        raise JobError(f"CXRLAB_RAY_CPUS must be a positive number of CPU cores, got {given}.")
    return cores


def check_reachable(address: str) -> None:
    """Raise ClusterError unless the extra is installed and something listens there; Ray's client waits for ever."""
    if find_spec("ray") is None:
        raise ClusterError(NO_RAY)
    if not address:
        raise ClusterError(NO_ADDRESS)
    for name in RAYS_OWN:
        if os.environ.get(name):
            raise ClusterError(f"{name} is set, which Ray prefers to {address}; unset it and start cxrlab anew.")
    parts = urlsplit(address)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=REACH_S).close()
    except OSError as error:
        raise ClusterError(
            f"No Ray head answers at {address} ({error}); start it with `ray start --head` or correct the address."
        ) from error


@dataclass(frozen=True)
class Seen:
    """What Ray says about a job: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED, and why."""

    status: str
    message: str = ""
    error_type: str = ""
    exit_code: int | None = None

    @property
    def has_ended(self) -> bool:
        """Its process is gone, or never began."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


class RayHead:
    """A head that answers.

    Args:
        client: a ``ray.job_submission.JobSubmissionClient``.
    """

    def __init__(self, client: Any, settings: RaySettings) -> None:
        self.client, self.settings = client, settings

    @classmethod
    def connect(cls, settings: RaySettings) -> RayHead:
        """Raises ClusterError without the extra ``cluster``, or when nobody answers at the address."""
        check_reachable(settings.address)
        from ray.job_submission import JobSubmissionClient

        return cls(_asked(lambda: JobSubmissionClient(settings.address), settings.address), settings)

    def seen(self, name: str) -> Seen | None:
        """None when Ray does not know the job: it was never handed over, or the head was started anew since."""
        try:
            found = self._ask(lambda: self.client.get_job_info(name))
        except RefusedError as refused:
            if "status code 404" in str(refused.__cause__):
                return None
            raise ClusterError(str(refused)) from refused
        status = getattr(found.status, "value", found.status)
        return Seen(str(status), found.message or "", str(found.error_type or ""), found.driver_exit_code)

    def submit(self, job: Job, name: str, home: Path) -> None:
        """Hand over a claimed job. Raises RefusedError when Ray does not take it."""
        self._ask(
            lambda: self.client.submit_job(
                entrypoint=entrypoint(job, self.settings.python),
                submission_id=name,
                runtime_env={"env_vars": environment(job, home)},
                metadata={"cxrlab_job": str(job.id), "title": job.title},
                entrypoint_num_cpus=self.settings.cpus,
                entrypoint_num_gpus=job.gpus,
            )
        )

    def stop(self, name: str) -> None:
        """SIGTERM, and SIGKILL some time later, to the job's processes."""
        self._ask(lambda: self.client.stop_job(name))

    def logs(self, name: str) -> str:
        """What Ray kept of the job's output."""
        return str(self._ask(lambda: self.client.get_job_logs(name)))

    def _ask(self, question: Callable[[], Any]) -> Any:
        return _asked(question, self.settings.address)


def _asked(question: Callable[[], Any], address: str) -> Any:
    """Answer of Ray's client; its errors as ours: RefusedError for a status 4xx, ClusterError for all else."""
    try:
        return question()
    except JobError:
        raise
    except Exception as error:  # of Ray, of requests or of what the head answered: they have no common base
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "status code 4" in text and not any(f"status code {code}" in text for code in (401, 403, 408, 429)):
            raise RefusedError(f"The Ray cluster does not take the job: {text}") from error
        raise ClusterError(f"The Ray head at {address} does not answer as it should ({text}).") from error


def entrypoint(job: Job, python: str = "") -> str:
    """The command that Ray's shell runs on one of the cluster's machines; it writes into the run's log."""
    command = shlex.join([python or sys.executable, *command_of(job)[1:]])
    return f"exec {command} >> {shlex.quote(str(job.folder / LOG_FILE))} 2>&1"


def environment(job: Job, home: Path) -> dict[str, str]:
    """What a job's process finds in its environment, besides what the cluster's machines have in theirs."""
    given: Mapping[str, str] = {name: os.environ[name] for name in HANDED_ON if os.environ.get(name)}
    checkout = {"PYTHONPATH": str(repository())} if (repository() / "pyproject.toml").exists() else {}
    own = {
        TOKEN_VARIABLE: job.token,
        FOLDER_VARIABLE: str(job.folder),
        HOME_VARIABLE: str(home),
        "PYTHONUNBUFFERED": "1",
        "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S),
    }
    return {**given, **checkout, **own, **({} if job.gpus else {"CUDA_VISIBLE_DEVICES": ""})}


class RayJobs(QueueJobs):
    """One Ray job an attempt, handed over and watched by the supervisor of this machine.

    Args:
        address: of the head's dashboard; empty: as CXRLAB_RAY_ADDRESS says, else as it was the last time.

    Raises:
        JobError: without the extra ``cluster``, or without an address.
    """

    backend: Backend = "ray"

    def __init__(self, address: str = "", queue: JobQueue | None = None) -> None:
        super().__init__(queue)
        if find_spec("ray") is None:
            raise JobError(NO_RAY)
        self.settings = RaySettings.of(self.queue.folder, address)

    def submit(
        self,
        kind: Kind,
        config: Mapping[str, Any],
        *,
        title: str = "",
        gpus: int = 0,
        priority: int = 0,
        after: Sequence[int] = (),
        folder: Path | None = None,
    ) -> Job:
        """Hand in a job. Raises JobError when no head answers; one that was handed in waits until one does."""
        check_reachable(self.settings.address)
        self.settings.save(self.queue.folder)
        return super().submit(
            kind, config, title=title, gpus=gpus, priority=priority, after=after, folder=folder
        )  # fmt: skip

    def resume(self, id_: int) -> Job:
        """Let a job that failed or was stopped go on from its last state, on the cluster as it is set now."""
        self.settings.save(self.queue.folder)
        return super().resume(id_)

    def logs(self, id_: int, offset: int = 0) -> tuple[str, int]:
        """The run's log; where it is empty, what Ray kept: why the process could not begin, for example."""
        job = self.queue.get(id_)
        text, size = read_log(job.folder, offset)
        if size or job.backend != "ray" or not job.external:
            return text, size
        try:
            data = RayHead.connect(self.settings).logs(job.external).encode()
        except JobError:
            return "", 0
        start = max(0, len(data) + offset) if offset < 0 else min(offset, len(data))
        return data[start:].decode(errors="replace"), len(data)

    def poll(self) -> None:
        """Start a supervisor when work waits and none is there; it asks the cluster."""
        ensure_supervisor(self.queue)
