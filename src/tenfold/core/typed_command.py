"""The shell command that does the same again, as reports and forecasts show it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import MISSING, fields

from tenfold.core.configuration import Option, Options, metadata_of


def as_typed(command: str, words: Sequence[object], options: Options, **parameters: object) -> str:
    """The shell command that does the same again: the options that differ from their defaults.

    Args:
        words: what stands before them, such as the data.
        parameters: flags that are no options, such as `out`; None leaves one out.
    """
    typed = ["tenfold", command, *map(str, words)]
    asked = metadata_of(type(options), Option)
    defaults = {field.name: field.default for field in fields(options) if field.default is not MISSING}
    values = {name: value for name in asked if (value := getattr(options, name)) != defaults.get(name)}
    for name, value in (values | parameters).items():
        flag = asked[name][1].flag_of(name) if name in asked else f"--{name}"
        if isinstance(value, bool):
            typed.append(flag.split("/")[0 if value else 1])
        elif value is not None:
            for one in value if isinstance(value, tuple) else (value,):
                typed += [flag, f"{one:g}" if isinstance(one, float) else str(one)]
    return shlex.join(typed)
