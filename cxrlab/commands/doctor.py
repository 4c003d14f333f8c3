"""`cxrlab doctor`: what is installed and where."""

from __future__ import annotations

from dataclasses import asdict

import typer

from cxrlab.commands.choices import Json
from cxrlab.commands.terminal import say, show, show_json, show_table, working

PROBLEMS = 1  # exit code


def doctor(as_json: Json = False) -> None:
    """Versions, devices, threads, folders and checkpoints; exit code 1 where something must be mended."""
    from cxrlab.workflows.doctor import diagnose

    with working():
        found = diagnose()
    if as_json:
        show_json(asdict(found))
    else:
        show(f"cxrlab {found.cxrlab}, Python {found.python}, {found.system}")
        show_table(
            ["package", "wanted", "found", ""],
            [[each.name, each.wanted, each.found or "–", "" if each.fits else "!"] for each in found.packages],
        )
        for device in found.devices:
            show(device)
        show(f"Threads: {', '.join(f'{name} {value}' for name, value in found.threads.items())}")
        show_table(["variable", "value"], list(map(list, found.variables.items())))
        for folder in found.folders:
            state = "writable" if folder.writable else "read-only"
            state = state if folder.exists else f"not there yet, {state}"
            show(f"Folder for {folder.purpose}: {folder.path} ({state}, {folder.free_bytes / 1e9:.1f} GB free)")
        show(f"Checkpoints: {', '.join(found.checkpoints) or 'none'}")
        show(f"Browser for tests: {found.browser or 'none found'}")
    for problem in found.problems:
        say(problem)
    if found.problems:
        raise typer.Exit(PROBLEMS)
    if not as_json:
        show("All is well.")
