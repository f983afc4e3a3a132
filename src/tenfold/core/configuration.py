"""Configurations are frozen dataclasses: read strictly, written as plain JSON, and named by a hash.

Everything that decides a result is one of these, so what a run did can be read, repeated and compared.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar, get_args, get_origin, get_type_hints

import annotated_types

from tenfold.core.errors import InputError, did_you_mean

T = TypeVar("T")

MOST = 10_000_000
"""Of anything that is counted: steps, channels, images of a batch."""

OLD_NAMES = {
    "exchange": "learning_curve",
    "code_size": "latent_size",
    "pick": "chosen_arm",
    "looks": "interim_looks",
    "settled": "selected_hyperparameters",
}
"""Renamed options and attributes of results: as flags, as keywords and in an older config.json they still count."""


def read_strictly(kind: type[T], values: Mapping[str, Any], owner: str = "") -> T:
    """A dataclass from values by name, such as options as they were typed or read from JSON.

    Values are converted where nothing is lost (`"500"` is 500 for an int) and bounds in the annotations are obeyed.

    Args:
        kind: the dataclass.
        owner: whose options they are, for the messages: `cgan`, or the name of a file.

    Raises:
        InputError: a name is unknown (the message names the nearest one), is missing, or has a value of a wrong kind.
    """
    import pydantic

    if not isinstance(values, Mapping):
        raise InputError(f"{owner or 'what is given'} is no object of options by name")
    known = [field.name for field in fields(kind) if field.init]  # type: ignore[arg-type]  # T is a dataclass
    for name in values:
        if name not in known:
            raise InputError(
                f"{f'{owner} has' if owner else 'there is'} no option '{name}'.{did_you_mean(name, known)}"
            )
    try:
        made: T = _adapter(kind).validate_python(dict(values))  # type: ignore[arg-type]  # a class is hashable
        if not isinstance(made, Options):  # whose bounds are written down
            _require_sensible({field.name: getattr(made, field.name) for field in fields(made)}, owner)  # type: ignore[arg-type]
        return made
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"][:1]))
        if problem["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
            raise InputError(f"{owner + ': ' if owner else ''}the option '{name}' is missing") from error
        written = f"{name}={problem['input']}"
        raise InputError(f"{f'{owner}({written})' if owner else written}: {_wrong(problem)}") from error


@cache
def _adapter(kind: type[Any]) -> Any:
    """Kept, as making one takes milliseconds."""
    import pydantic

    return pydantic.TypeAdapter(kind)


def _require_sensible(values: Mapping[str, Any], owner: str) -> None:
    """
    Raises:
        InputError: a number is infinite, or is so large that no computer could do it.
    """
    for name, value in values.items():
        written = f"{owner}({name}={value})" if owner else f"{name}={value}"
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{written}: it must be a finite number")
        if isinstance(value, int) and abs(value) > MOST and name != "seed":
            raise InputError(f"{written}: it must be at most {MOST:,}")


def to_json(value: Any) -> Any:
    """The value as JSON keeps it: dataclasses and mappings become objects, tuples lists, paths text.

    Raises:
        TypeError: it holds something that JSON has no form for.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): to_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(one) for one in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # a numpy number or array
        return to_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"JSON has no form for {type(value).__name__}")


def from_json(kind: type[T], document: Mapping[str, Any]) -> T:
    """The inverse of `to_json`; what the document holds beside the fields of `kind` is passed over.

    Nested dataclasses and tuples come back as the annotations say.

    Raises:
        InputError: a value is missing or of a wrong kind.
    """
    known = {field.name for field in fields(kind) if field.init}  # type: ignore[arg-type]  # T is a dataclass
    return read_strictly(kind, {name: value for name, value in document.items() if name in known})


def hash_of(value: Any) -> str:
    """12 hex digits over all of the value, equal for equal values whatever their order of keys."""
    return hashlib.sha256(json.dumps(to_json(value), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Option(annotated_types.GroupedMetadata):
    """How an option is asked for and what its values may be; pydantic obeys the bounds too."""

    help: str
    metavar: str | None = None
    min: float | None = None
    max: float | None = None
    flag: str | None = None
    """Where it is not the field's name with hyphens."""
    reads: Callable[[str], Any] | None = None
    """Turns what is typed into the value, where that takes more than a conversion."""

    def flag_of(self, name: str) -> str:
        """What is typed; of switches with two forms both, with a slash between."""
        return self.flag or f"--{name.replace('_', '-')}"

    def __iter__(self) -> Iterator[annotated_types.BaseMetadata]:
        if self.min is not None:
            yield annotated_types.Ge(self.min)
        if self.max is not None:
            yield annotated_types.Le(self.max)


def renamed(names: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """The same values under today's names, with a warning for each older name."""
    values = {}
    for name, value in names.items():
        today = OLD_NAMES.get(name, name) if name not in known else name
        if today != name and today in known:
            warnings.warn(f"'{name}' is now called '{today}'", DeprecationWarning, stacklevel=4)
            values[today] = value
        else:
            values[name] = value
    return values


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every verb's options can do."""

    @classmethod
    def of(cls, options: Self | None, changes: Mapping[str, Any]) -> Self:
        """`options`, or the defaults, with these changes; every value is checked.

        Raises:
            InputError: there is no such option, or a value cannot be used; the message names the nearest option.
        """
        known = [field.name for field in fields(cls)]
        given = ({} if options is None else {name: getattr(options, name) for name in known}) | renamed(
            changes, known
        )
        return read_strictly(cls, cls.normalised(given))

    @classmethod
    def normalised(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Values as config.json keeps them, from the other forms that Python callers may pass."""
        return values

    def to_json(self) -> dict[str, Any]:
        """Plain values: what config.json holds."""
        document: dict[str, Any] = to_json(self)
        return document


def metadata_of(kind: type[Any], wanted: type[T]) -> dict[str, tuple[Any, T]]:
    """Of each field whose annotation carries a `wanted`, in the order of the fields: its type, and that."""
    by_field = {}
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        plain, *extras = get_args(hint) if get_origin(hint) is not None and hasattr(hint, "__metadata__") else (hint,)
        for extra in extras:
            if isinstance(extra, wanted):
                by_field[field.name] = plain, extra
    return by_field


def _wrong(problem: Mapping[str, Any]) -> str:
    """What is wrong with a value, without its name."""
    limits = problem.get("ctx", {})
    if "ge" in limits:
        return f"it must be at least {limits['ge']:g}"
    if "le" in limits:
        return f"it must be at most {limits['le']:g}"
    return str(problem["msg"])
