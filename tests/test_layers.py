"""The layers of docs/architecture.md: what may import what, no cycles, small modules, no torch before it is needed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST_MODULE = 300  # lines
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
WITH_STREAMLIT = {"app", "pages", "streamlit_app"}
MAY_PRINT = {"cli", "commands"}


@dataclass(frozen=True)
class Layer:
    """A part of the house: a folder or a module of cxrlab, or the pages.

    Args:
        may: parts of cxrlab that it may import, besides itself and cxrlab's version.
        never: packages that it never imports, not even inside a function.
        lazily: packages that it imports inside functions only.
    """

    may: set[str] = field(default_factory=set)
    never: set[str] = field(default_factory=set)
    lazily: set[str] = field(default_factory=set)


RECORDS = {"labels", "config", "predictions", "results", "progress"}
CARDS = {"cards", "catalogue"}  # checkpoints as far as they can be read without torch
SCREEN = {"streamlit", "plotly"}

INFERENCE = RECORDS | {"data", "models", "folding"}
TRAINING = INFERENCE | CARDS | {"losses", "sampling", "inference", "ensembles", "metrics", "checkpoints"}
TRUST = TRAINING | {"weights", "segmentation", "patches", "explain", "training"}
STUDIES = TRUST | {"runs"}
WORKFLOWS = STUDIES | {"checkup", "input_gate", "importing", "exporting", "studies", "jobs", "papers"}
COMMANDS = {"workflows", "reports", "config", "labels", "results", "progress"}
APP = {"workflows", "reports", "plots", "labels", "config", "results", "progress"}

LAYERS = {
    # Plain data, each downwards only.
    "labels": Layer(never={"torch"} | SCREEN),
    "progress": Layer(never={"torch"} | SCREEN),
    "config": Layer({"labels"}, never={"torch"} | SCREEN),
    "results": Layer({"labels", "config"}, never={"torch"} | SCREEN),
    "predictions": Layer({"labels", "config", "results"}, never={"torch"} | SCREEN),
    # Each part for itself.
    "metrics": Layer({"predictions", "labels", "results"}, never={"torch"} | SCREEN),
    "data": Layer({"labels", "config", "results", "progress"}, never={"streamlit"}),
    "models": Layer({"labels", "config"}, never=SCREEN),
    "losses": Layer({"labels", "config"}, never=SCREEN),
    "sampling": Layer({"config"}, never={"torch"} | SCREEN),
    "folding": Layer(never=SCREEN),  # networks made faster
    "ensembles": Layer(RECORDS | {"losses", "sampling"}, never=SCREEN),
    "papers": Layer({"labels", "results"}, never={"torch"} | SCREEN),  # printed tables and claims
    "jobs": Layer({"config"}, never={"torch"} | SCREEN),
    # Checkpoints.
    "cards": Layer({"labels", "config", "predictions"}, never={"torch"} | SCREEN),
    "catalogue": Layer({"cards", "config"}, never={"torch"} | SCREEN),
    "weights": Layer({"cards", "config", "models"}, never=SCREEN),
    "checkpoints": Layer({"labels", "config", "models", "ensembles", "weights"} | CARDS, never=SCREEN),
    # From images to scores and maps, each may use those before it.
    "inference": Layer(INFERENCE, never=SCREEN),
    "segmentation": Layer(INFERENCE | {"inference"}, never=SCREEN),
    "patches": Layer(INFERENCE | {"inference", "segmentation"}, never=SCREEN),
    "explain": Layer(INFERENCE | {"inference", "segmentation", "patches"}, never=SCREEN),
    "training": Layer(TRAINING, never=SCREEN),
    # Trust and the run store: everything above.
    "checkup": Layer(TRUST, never={"streamlit"}),
    "input_gate": Layer(TRUST, never={"streamlit"}),
    "importing": Layer(TRUST, never={"streamlit"}),
    "exporting": Layer(TRUST, never={"streamlit"}),
    "runs": Layer(TRUST, never={"streamlit"}),
    "studies": Layer(STUDIES, never=SCREEN),
    # What a user wants done, and what shows it.
    "plots": Layer({"labels", "predictions", "results", "metrics"}, never={"torch", "streamlit"}),
    "workflows": Layer(WORKFLOWS, never=SCREEN, lazily={"torch"}),
    "reports": Layer({"workflows", "runs", "metrics", "plots", "labels", "results"}, never={"torch", "streamlit"}),
    "commands": Layer(COMMANDS, never={"torch", "streamlit"}),
    "cli": Layer(COMMANDS | {"commands"}, never={"torch", "streamlit"}),
    "__main__": Layer({"cli"}, never={"torch", "streamlit"}),
    "app": Layer(APP, never={"torch", "sqlite3"}),
    "pages": Layer(APP | {"app"}, never={"torch", "sqlite3"}),
    "streamlit_app": Layer(APP | {"app"}, never={"torch", "sqlite3"}),
}


@dataclass(frozen=True)
class Import:
    """One imported name: ``lazy`` inside a function, ``typing`` under TYPE_CHECKING."""

    name: str
    line: int
    lazy: bool
    typing: bool


def module_files() -> list[Path]:
    """Every module of the library and the app, but cxrlab/__init__.py."""
    files = [*ROOT.glob("cxrlab/**/*.py"), *ROOT.glob("pages/*.py"), *ROOT.glob("streamlit_app.py")]
    return sorted(file for file in files if file != ROOT / "cxrlab" / "__init__.py")


def part_of(file: Path) -> str:
    """``cxrlab/data/cache.py`` -> ``data``; ``cxrlab/labels.py`` -> ``labels``; ``pages/1_Compare.py`` -> ``pages``."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "cxrlab" else parts[0]


def shown(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imports(file: Path) -> tuple[Import, ...]:
    return tuple(_imports(tree(file), lazy=False, typing=False))


def _imports(node: ast.AST, *, lazy: bool, typing: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, lazy, typing) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, f"line {node.lineno}: imports are absolute here"
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (Import(name, node.lineno, lazy, typing) for name in names)
    lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        checking = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING") and child in node.body
        yield from _imports(child, lazy=lazy, typing=typing or checking)


def part_imported(name: str) -> str:
    """``cxrlab.data.cache.build_cache`` -> ``data``; empty for another package and for cxrlab's own names."""
    parts = name.split(".")
    inside = len(parts) > 1 and parts[0] == "cxrlab"
    is_part = inside and any((ROOT / "cxrlab" / each).exists() for each in (parts[1], f"{parts[1]}.py"))
    return parts[1] if is_part else ""


@pytest.mark.parametrize("file", module_files(), ids=shown)
def test_a_module_imports_only_what_its_layer_may(file: Path) -> None:
    part = part_of(file)
    assert part in LAYERS, f"{part} has no layer yet; add it to LAYERS here and to docs/architecture.md."
    layer = LAYERS[part]
    for found in imports(file):
        where = f"{shown(file)}:{found.line} imports {found.name}"
        imported, package = part_imported(found.name), found.name.split(".")[0]
        assert imported in layer.may | {part, ""}, f"{where}; {part} may import {', '.join(sorted(layer.may))}."
        if not found.typing:
            assert package not in layer.never, f"{where}; {part} never imports {package}."
            assert found.lazy or package not in layer.lazily, f"{where}; {part} does so inside functions only."
        if package == "streamlit":
            assert part in WITH_STREAMLIT, f"{where}; only {', '.join(sorted(WITH_STREAMLIT))} do."


def test_every_rule_is_about_parts_that_have_one() -> None:
    for part, layer in LAYERS.items():
        assert layer.may <= LAYERS.keys(), f"{part} may import unknown parts: {layer.may - LAYERS.keys()}"
        assert part not in layer.may


def test_the_rules_themselves_have_no_cycle() -> None:
    TopologicalSorter({part: layer.may for part, layer in LAYERS.items()}).prepare()


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    names = {_module_name(file): file for file in ROOT.glob("cxrlab/**/*.py")}
    graph = {name: set(_imported_modules(file, names.keys())) - {name} for name, file in names.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' <- '.join(error.args[1])}")


def _module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported_modules(file: Path, modules: set[str]) -> Iterator[str]:
    """Modules that importing this one runs: the named ones, and the packages they lie in."""
    own = _module_name(file)
    for found in imports(file):
        if found.lazy or found.typing:
            continue
        parts = found.name.split(".")
        candidates = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        yield from (name for name in candidates if name in modules and not own.startswith(f"{name}."))


@pytest.mark.parametrize("file", module_files(), ids=shown)
def test_a_module_is_short_and_named_by_a_noun_or_verb_of_the_field(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE, f"{shown(file)} has {lines} lines; split it by noun."
    words = {word for part in file.relative_to(ROOT).with_suffix("").parts for word in part.lower().split("_")}
    assert not words & FORBIDDEN_NAMES, f"{shown(file)} says nothing about what is in it."


@pytest.mark.parametrize("file", module_files(), ids=shown)
def test_the_library_does_not_print(file: Path) -> None:
    calls = [node for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
    lines = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert not lines or part_of(file) in MAY_PRINT, f"{shown(file)} prints in line {lines}."


def test_torch_and_streamlit_wait_until_they_are_needed() -> None:
    """In one fresh process: cxrlab alone, then all workflows, then the command line, then the app's folder."""
    parts = ["cxrlab"], _modules_of("workflows"), ["cxrlab.cli", *_modules_of("commands")], _modules_of("app")
    code = (
        "import importlib, json, sys\n"
        "for names in json.loads(sys.argv[1]):\n"
        "    for name in names:\n"
        "        importlib.import_module(name)\n"
        "    print(json.dumps(sorted({'torch', 'streamlit', 'plotly', 'pandas', 'sklearn'} & set(sys.modules))))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, json.dumps(parts)], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    alone, workflows, commands, app = (set(json.loads(line)) for line in ran.stdout.splitlines())
    assert not alone
    assert not workflows & {"torch", "streamlit", "plotly"}
    assert not commands, "the command line starts fast"
    assert "torch" not in app


def _modules_of(part: str) -> list[str]:
    files = sorted((ROOT / "cxrlab" / part).glob("**/*.py"))
    return [name for file in files if (name := _module_name(file)) != f"cxrlab.{part}"]
