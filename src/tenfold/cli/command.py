"""Commands made from options types: each field becomes a flag with its help, bounds and default, said once there.

A command is a function whose parameter `options` is annotated with such a type. It returns the document that --json
prints, and the same in words.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer

from tenfold.cli.statuses import exit_statuses, say
from tenfold.core.configuration import OLD_NAMES, Option, Options, metadata_of
from tenfold.core.errors import did_you_mean
from tenfold.core.progress import note

Told = tuple[object, str]
"""A result as plain values for --json, and in words."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def command(app: typer.Typer) -> Callable[[Callable[..., Told]], Callable[..., None]]:
    """Join the function to the program under its own name, with its docstring as the help."""

    def joined(function: Callable[..., Told]) -> Callable[..., None]:
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
            with exit_statuses():
                as_json = given.pop("as_json")
                given.pop("config", None)
                if options is not None:
                    given["options"] = _taken(options, given)
                document, text = function(**given)
                # Plain ASCII, so that a name in any encoding passes through any pipe; NaN would not be JSON.
                say(json.dumps(document, indent=2, allow_nan=False) if as_json else text)

        run.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in plain}
        del run.__wrapped__
        app.command()(run)
        return run

    return joined


def _parameters(options: type[Options]) -> list[inspect.Parameter]:
    """A parameter for each field, those of the type itself before those that it inherits, and hidden older ones."""
    own = set(inspect.get_annotations(options))
    defaults = {field.name: field.default for field in fields(options)}
    asked = metadata_of(options, Option)
    found = [
        _keyword(name, _annotation(name, *asked[name]), _default(defaults[name]))
        for name in sorted(asked, key=lambda name: name not in own)
    ]
    for old, name in OLD_NAMES.items():
        if name in asked:
            kind, option = asked[name]
            flag = option.flag and option.flag.replace(name.replace("_", "-"), old.replace("_", "-"))
            hidden = typer.Option(*filter(None, [flag]), hidden=True)
            found.append(_keyword(old, Annotated[kind | None, hidden], None))
    return found


def _annotation(name: str, kind: Any, option: Option) -> Any:
    """What typer makes a flag of; tuples are of text alone."""
    if option.reads is not None:
        kind = str | None
    if get_origin(kind) is tuple:
        kind = list[str] | None
    flag = option.flag or f"--{name.replace('_', '-')}"
    return Annotated[
        kind,
        typer.Option(flag, metavar=option.metavar, min=option.min, max=option.max, help=option.help),
    ]


def _default(value: Any) -> Any:
    return inspect.Parameter.empty if value is MISSING else None if value == () else value


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
        options: Mapping[str, Any] = json.loads(file.read_text("utf-8"))["options"]
        given = {name: value for name, value in options.items() if value is not None}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise typer.BadParameter(f"{file} is not the config.json of a run") from None
    known = {str(parameter.name) for parameter in context.command.params} - {"config", "help"}
    today = {OLD_NAMES[name] if OLD_NAMES.get(name) in known else name: value for name, value in given.items()}
    for name in today:
        if name not in known:
            raise typer.BadParameter(f"{file}: there is no option '{name}'.{did_you_mean(name, known)}")
    context.default_map = {name: str(value) for name, value in today.items()}
    return file
