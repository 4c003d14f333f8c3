"""Every error of a command as one sentence on standard error, with the exit code that tells which kind it was."""

from __future__ import annotations

import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from cxrlab.commands.terminal import say
from cxrlab.progress import Cancelled

USER_ERROR, STOPPED = 2, 130


class SentenceGroup(TyperGroup):
    """Commands whose errors are sentences: exit code 2 for the user's, 130 after Ctrl-C.

    A mistake of cxrlab itself keeps its traceback, which a report of it needs, and exits with 1.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Cancelled as error:
            say(str(error))
            raise typer.Exit(STOPPED) from error
        except KeyboardInterrupt as error:
            say("Stopped; nothing half-written was left.")
            raise typer.Exit(STOPPED) from error
        except BrokenPipeError:
            raise  # whoever read the output has enough
        except (ValueError, KeyError, OSError, MemoryError) as error:
            text = sentence(error)
            if not text:
                raise
            say(text)
            raise typer.Exit(USER_ERROR) from error


def sentence(error: BaseException) -> str:
    """What the user is told; empty for an error that is a mistake of cxrlab or of a library.

    Our own are errors defined in cxrlab, and built-in ones that cxrlab's code raised itself; errors of the file system
    are put into words.
    """
    if type(error).__module__.split(".")[0] == "cxrlab":
        return str(error)
    if isinstance(error, MemoryError):
        return "The memory of this computer does not suffice; use fewer or smaller images and try again."
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.filename} can" if error.filename else "A file can"
        return f"{what} not be read or written ({error.strerror}); check the path, its permissions and the disk."
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    raised_here = bool(frames) and frames[-1].f_globals.get("__name__", "").split(".")[0] == "cxrlab"
    return str(error.args[0]) if raised_here and error.args else ""
