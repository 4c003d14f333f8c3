"""`cxrlab access hash`: the hash of a password from a pipe, and nothing else."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from cxrlab.cli import app
from cxrlab.workflows.access import check_password


def test_the_hash_of_a_password_from_a_pipe() -> None:
    ran = CliRunner().invoke(app, ["access", "hash"], input="a pass phrase \n")
    assert ran.exit_code == 0
    assert check_password("a pass phrase ", ran.stdout.removesuffix("\n"))
    assert "phrase" not in ran.output
    document = json.loads(CliRunner().invoke(app, ["access", "hash", "--json"], input="other").stdout)
    assert check_password("other", document["password_hash"])


@pytest.mark.parametrize(("password", "length"), [("", 0), ("x" * 1025, 1025)])
def test_an_empty_or_overlong_password_is_refused(password: str, length: int) -> None:
    ran = CliRunner().invoke(app, ["access", "hash"], input=password)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == f"A password must have 1 to 1024 characters, got {length}.\n"
