"""Tests against a real Ray head need the extra `cluster`; without it they are left out loudly, and CI fails."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = [item for item in items if item.get_closest_marker("cluster")]
    if not wanted or find_spec("ray") is not None:
        return
    if os.environ.get("CI") == "true":
        raise pytest.UsageError("Ray is not installed, but CI tests it: install the extras with '.[dev,cluster]'.")
    config.stash[LEFT_OUT] = len(wanted)
    config.hook.pytest_deselected(items=wanted)
    items[:] = [item for item in items if item not in wanted]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_sep("!", f"Ray is not installed: {count} tests of the cluster were NOT RUN", red=True)
