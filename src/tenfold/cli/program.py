"""The program `tenfold`: what its commands hang on, and what it prints when asked for its version."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

import tenfold
from tenfold.cli.statuses import say

app = typer.Typer(
    help="Grows a small labelled image set and proves whether growing it helped.",
    epilog="Start with: tenfold run digits. What a command does and its defaults: tenfold COMMAND --help.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point `tenfold`."""
    # A file name may hold bytes that are not text; a CSV must give them back as they were.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    app(prog_name="tenfold")


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"tenfold {tenfold.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and leave."),
    ] = False,
) -> None:
    pass


def tell(document: object, text: str, as_json: bool) -> None:
    """What a command found, as one JSON document or in words."""
    # Plain ASCII, so that a name in any encoding passes through any pipe; NaN would not be JSON.
    say(json.dumps(document, indent=2, allow_nan=False) if as_json else text)
