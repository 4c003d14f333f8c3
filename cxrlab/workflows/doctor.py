"""Is everything there that cxrlab needs? Versions, devices, folders, checkpoints: looked at, nothing changed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cxrlab import __version__
from cxrlab.catalogue import WEIGHTS_FILE, checkpoint_roots, list_broken, list_checkpoints
from cxrlab.config import home, repository

VARIABLES = {
    "CXRLAB_HOME": "~/.local/share/cxrlab",
    "CXRLAB_CHECKPOINTS": "the repository's checkpoints/",
    "CXRLAB_DEMO": "0",
    "CXRLAB_MAX_MODELS": "8",
    "CXRLAB_DATA": "not set; only tests read it",
}
"""Environment variables that cxrlab reads, with what holds where they are not set."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LEAST_FREE_BYTES = 500_000_000  # the bundled phantom set and an image cache need about as much


@dataclass(frozen=True)
class Package:
    """A package that cxrlab needs. ``found``: installed version, empty where it is missing."""

    name: str
    wanted: str
    found: str
    fits: bool


@dataclass(frozen=True)
class Folder:
    """A folder that cxrlab uses. ``writable`` and ``free_bytes`` are of the nearest folder that exists."""

    purpose: str
    path: str
    exists: bool
    writable: bool
    free_bytes: int


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Args:
        devices: each in words, the CPU first. threads: by name, as torch and the environment say.
        variables: CXRLAB_* by name, as set or what holds without.
        checkpoints: names of usable ones. broken: a sentence for each of the others.
        browser: path of a Chromium, which only browser tests need; empty where there is none.
        problems: a sentence for everything that must be mended; empty: all is well.
    """

    cxrlab: str
    python: str
    system: str
    packages: tuple[Package, ...]
    devices: tuple[str, ...]
    threads: dict[str, str]
    variables: dict[str, str]
    folders: tuple[Folder, ...]
    checkpoints: tuple[str, ...]
    broken: tuple[str, ...]
    browser: str
    problems: tuple[str, ...]


def diagnose() -> Diagnosis:
    """Look at this installation. Takes seconds, because torch is imported and every weights file is hashed."""
    packages = tuple(_packages())
    folders = (_folder("everything you make", home()), *(_folder("checkpoints", root) for root in checkpoint_roots()))
    broken = (*(each.error for each in list_broken()), *_changed_weights())
    devices, threads = _devices()
    return Diagnosis(
        cxrlab=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        packages=packages,
        devices=devices,
        threads=threads,
        variables=_variables(),
        folders=folders,
        checkpoints=tuple(info.name for info in list_checkpoints()),
        broken=broken,
        browser=next((path for path in map(shutil.which, BROWSERS) if path), ""),
        problems=(*_package_problems(packages), *_folder_problems(folders[0]), *broken),
    )


def _packages() -> Iterator[Package]:
    from packaging.requirements import Requirement

    for line in _required():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            found = ""
        fits = bool(found) and requirement.specifier.contains(found, prereleases=True)
        yield Package(requirement.name, str(requirement.specifier), found, fits)


def _required() -> list[str]:
    """Lines of requirements.txt, or, installed without the repository, what the package says it needs."""
    path = repository() / "requirements.txt"
    if path.is_file():
        lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line]
    return importlib.metadata.requires("cxrlab") or []


def _devices() -> tuple[tuple[str, ...], dict[str, str]]:
    """Devices in words, and threads by name."""
    cores = f"CPU: {platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    threads = {name: os.environ.get(name, "not set") for name in THREAD_VARIABLES}
    try:
        import torch
    except (ImportError, OSError) as error:
        return (f"{cores} (torch can not be imported: {error})",), threads
    gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    words = [f"GPU {gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" for gpu in gpus]
    return (cores, *(words or ["no GPU that torch can use"])), {"torch": str(torch.get_num_threads())} | threads


def _variables() -> dict[str, str]:
    others = sorted(name for name in os.environ if name.startswith("CXRLAB_") and name not in VARIABLES)
    known = {name: os.environ.get(name) or f"({default})" for name, default in VARIABLES.items()}
    return known | {name: f"{os.environ[name]} (unknown to cxrlab)" for name in others}


def _folder(purpose: str, path: Path) -> Folder:
    nearest = next((each for each in (path, *path.absolute().parents) if each.is_dir()), Path(path.anchor or "/"))
    return Folder(purpose, str(path), path.is_dir(), os.access(nearest, os.W_OK), shutil.disk_usage(nearest).free)


def _changed_weights() -> Iterator[str]:
    for info in list_checkpoints():
        if info.card.kind == "model":
            with (info.folder / WEIGHTS_FILE).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != info.card.weights_sha256:
                yield f"Checkpoint {info.name}: the sha256 of its weights is not the one on its card; copy it again."


def _package_problems(packages: tuple[Package, ...]) -> Iterator[str]:
    for package in packages:
        if not package.fits:
            found = f"{package.found} is installed" if package.found else "it is missing"
            wanted = f"{package.name}{package.wanted}"
            yield f"{wanted} is needed, {found}; run: {Path(sys.executable).name} -m pip install '{wanted}'"


def _folder_problems(folder: Folder) -> Iterator[str]:
    if not folder.writable:
        yield f"{folder.path} can not be written; set CXRLAB_HOME to a folder of yours."
    if folder.free_bytes < LEAST_FREE_BYTES:
        yield f"The disk of {folder.path} has {folder.free_bytes / 1e6:.0f} MB left; free some or set CXRLAB_HOME."
