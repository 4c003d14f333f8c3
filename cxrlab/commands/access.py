"""`cxrlab access`: who may train on this server."""

from __future__ import annotations

import sys

import typer

from cxrlab.commands.choices import Json
from cxrlab.commands.terminal import show, show_json

commands = typer.Typer(no_args_is_help=True, help="Who may train on this server.")


@commands.callback()
def access() -> None:
    """A group, although it has one verb."""


@commands.command("hash")
def hash_(as_json: Json = False) -> None:
    """Print the hash of a password, asked for or read from a pipe, for `password_hash` in CXRLAB_HOME/config.toml."""
    from cxrlab.workflows.access import hash_password

    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    hashed = hash_password(password)
    if as_json:
        show_json({"password_hash": hashed})
    else:
        show(hashed)
