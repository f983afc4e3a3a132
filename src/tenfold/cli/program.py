"""The program `tenfold`: how commands are made from options types, and the arguments that they share.

Each field of such a type becomes a flag with its help, bounds and default, said once there. A command is a function
whose parameter `options` is annotated with one; it returns the document that --json prints, and the same in words.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer
import typer.core

import tenfold
from tenfold.cli import begin_work
from tenfold.core.clock import command
from tenfold.core.configuration import OLD_NAMES, Option, Options, metadata_of
from tenfold.core.errors import InputError, did_you_mean
from tenfold.core.exit_codes import exit_codes, say
from tenfold.core.files import read_json
from tenfold.core.progress import note
from tenfold.core.results import Result

Answer = Result | tuple[object, str]
"""A result, or plain values for --json and the same in words."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

ORDER = (
    "run",
    "check",
    "prove",
    "grow",
    "preview",
    "fit",
    "sample",
    "predict",
    "export",
    "adapt",
    "restyle",
    "reproduce",
    "doctor",
)
"""Of the commands in the help: what most people come for stands first."""


class _Commands(typer.core.TyperGroup):
    def list_commands(self, context: Any) -> list[str]:
        return sorted(self.commands, key=ORDER.index)


app = typer.Typer(
    cls=_Commands,
    help="Grows a small labelled image set and proves whether growing it helped.",
    epilog="Start with: tenfold run digits. What a command does and its defaults: tenfold COMMAND --help.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def start() -> None:
    """Read what was typed and do it."""
    # A file name may hold bytes that are not text; a CSV must give them back as they were.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    with command(), exit_codes():
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


def from_options(function: Callable[..., Answer]) -> Callable[..., None]:
    """The function as typer wants it: a parameter an option, --json, and an exit status for whatever goes wrong."""
    plain: list[inspect.Parameter] = []
    options: type[Options] | None = None
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if isinstance(parameter.annotation, type) and issubclass(parameter.annotation, Options):
            options = parameter.annotation
            plain += _parameters(options)
        else:
            plain.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    plain.append(_keyword("as_json", Json, False))

    @wraps(function)
    def run(**given: Any) -> None:
        begin_work()
        with exit_codes():
            as_json = given.pop("as_json")
            given.pop("config", None)
            if options is not None:
                given["options"] = _taken(options, given)
            answer = function(**given)
            document, text = answer if isinstance(answer, tuple) else (answer.to_json(), answer.text)
            # Plain ASCII, so that a name in any encoding passes through any pipe; NaN would not be JSON.
            say(json.dumps(document, indent=2, allow_nan=False) if as_json else text)

    run.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in plain}
    del run.__wrapped__
    return run


def _parameters(options: type[Options]) -> list[inspect.Parameter]:
    """A parameter for each field, those of the type itself before those that it inherits, and hidden older ones."""
    own = set(inspect.get_annotations(options))
    defaults = {field.name: field.default for field in fields(options)}
    asked = metadata_of(options, Option)
    collected = [
        _keyword(name, _annotation(name, *asked[name]), _default(defaults[name]))
        for name in sorted(asked, key=lambda name: name not in own)
    ]
    for old, name in OLD_NAMES.items():
        if name in asked:
            kind, option = asked[name]
            flag = option.flag and option.flag.replace(name.replace("_", "-"), old.replace("_", "-"))
            hidden = typer.Option(*filter(None, [flag]), hidden=True)
            collected.append(_keyword(old, Annotated[kind | None, hidden], None))
    return collected


def _annotation(name: str, kind: Any, option: Option) -> Any:
    """What typer makes a flag of; tuples are of text alone."""
    low, high = option.min, option.max
    if option.reads is not None:  # it is typed as text, which has no bounds
        kind, low, high = str | None, None, None
    if get_origin(kind) is tuple:
        kind = list[str] | None
    return Annotated[
        kind,
        typer.Option(option.flag_of(name), metavar=option.metavar, min=low, max=high, help=option.help),
    ]


def _default(value: Any) -> Any:
    if value is MISSING:
        return inspect.Parameter.empty
    if isinstance(value, float) and value.is_integer():
        return int(value)  # shown as people write it
    return None if value == () else value


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _taken(options: type[Options], given: dict[str, Any]) -> Options:
    """The options out of all that was typed, which keeps the rest."""
    asked = metadata_of(options, Option)
    values = {name: given.pop(name) for name in asked}
    for old, name in OLD_NAMES.items():
        if name in asked and (value := given.pop(old)) is not None:
            note(f"warning: --{old.replace('_', '-')} is now called --{name.replace('_', '-')}")
            values[name] = value
    for name, (_, option) in asked.items():
        if option.reads is not None and values[name] is not None:
            values[name] = option.reads(values[name])
        if get_origin(asked[name][0]) is tuple:
            values[name] = tuple(values[name] or ())
    return options(**values)


def read_options(context: typer.Context, file: Path | None) -> Path | None:
    """Make the options of an earlier run the defaults of this one; what is typed still wins."""
    if file is None:
        return None
    try:
        options: Mapping[str, Any] = read_json(file)["options"]
        given = {name: value for name, value in options.items() if value is not None}
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
        raise typer.BadParameter(f"{file} is not the config.json of a run") from None
    known = {str(parameter.name) for parameter in context.command.params} - {"config", "help"}
    today = {OLD_NAMES[name] if OLD_NAMES.get(name) in known else name: value for name, value in given.items()}
    for name in today:
        if name not in known:
            raise typer.BadParameter(f"{file}: there is no option '{name}'.{did_you_mean(name, known)}")
    context.default_map = {name: str(value) for name, value in today.items()}
    return file


def argument(metavar: str, text: str) -> Any:
    return typer.Argument(metavar=metavar, help=text, show_default=False)


def directory_option(text: str) -> Any:
    return typer.Option(metavar="DIR", help=text)


Data = Annotated[
    str,
    argument(
        "DATA",
        "A folder of class folders, a folder with metadata.csv or metadata.jsonl, a .npz file, a .csv of "
        "numbers with a column label, shards (.tar of webdataset, .parquet), hf:NAME of the Hugging Face hub, or a "
        "known set such as digits or mnist.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        is_eager=True,
        callback=read_options,
        help="Repeat an earlier run: take DATA and options from its config.json, but for those typed here.",
    ),
]
Out = Annotated[
    str | None,
    directory_option(
        "Where everything is written: a directory, or a URL such as s3://bucket/run (extra remote). Default: "
        "runs/<data>-<time>."
    ),
]
NewDirectory = Annotated[Path | None, argument("OUT", "The new directory; the same as --out.")]
SameAsOut = Annotated[Path | None, directory_option("The same as OUT.")]
MOST_WORKERS = 256
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        min=1,
        max=MOST_WORKERS,
        help="Trials trained at the same time, a thread each. Default: one a core.",
    ),
]
Forecast = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only say what would be trained, how long it would take and what effect it could show.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done and how long it would take; write nothing.")
]


def one_directory(directory: Path | None, out: Path | None, usage: str) -> Path:
    """OUT, which may be given as a word or as --out.

    Raises:
        InputError: neither is, or they differ.
    """
    target = directory or out
    if target is None or (out or target) != target:
        raise InputError(f"name one directory to write to: {usage}")
    return target
