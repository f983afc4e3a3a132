"""The command line: arguments in, exit statuses out, nothing else.

What is imported here is next to nothing, so that Ctrl-C and a closed stdout are heeded before anything is loaded.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

__all__ = ["app", "main"]

working = False
"""Whether a command is at work, which then ends an interruption itself."""


def main() -> None:
    """The entry point `tenfold`."""
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, _interrupted)
        if hasattr(signal, "SIGPIPE"):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `tenfold --help | head -1` ends quietly
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed: a file that is opened next would take its place
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115  # to the end
    try:
        __getattr__("app")
        from tenfold.cli.program import start

        start()
    finally:
        _settle()


def begin_work() -> None:
    """From here on the command itself ends an interruption and a reader of stdout that has seen enough."""
    global working
    working = True
    with suppress(ValueError):
        if hasattr(signal, "SIGPIPE"):
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """An import that is broken off ends in errors of all kinds; nothing is lost where the process just leaves."""
    while frame is not None and working:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            break
        frame = frame.f_back
    if frame is None and working:
        raise KeyboardInterrupt
    with suppress(OSError):
        os.write(2, b"stopped; the same command continues where it was\n")
    os._exit(130)


def _settle() -> None:
    """Python flushes once more as it ends, and would complain of what could not be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'tenfold.cli' has no attribute '{name}'")
    from tenfold.cli import images, studies  # noqa: F401  # their commands join the program as they are imported
    from tenfold.cli.program import app

    return app
