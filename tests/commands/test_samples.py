"""`cxrlab samples`."""

from __future__ import annotations

import json

import pytest

from tests.commands.conftest import Run
from tests.servers import served


def test_the_list_names_credit_and_licence(run: Run) -> None:
    samples = json.loads(run("samples", "list", "--json").stdout)
    assert all(sample["credit"] and sample["licence"] for sample in samples)
    assert run("samples", "list").exit_code == 0


def test_a_server_without_the_images_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served({}) as server:
        ran = run("samples", "fetch", "--base-url", server.url, "--json")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "does not have real-01.jpg any more (HTTP 404)" in ran.stderr
    assert server.asked[0][0].endswith("/images/1052b0fe.jpg")


def test_no_network_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    ran = run("samples", "fetch", "--base-url", "http://127.0.0.1:9")
    assert ran.exit_code == 2
    assert "There is no connection to 127.0.0.1:9" in ran.stderr
    assert ran.stderr.count("\n") == 1
