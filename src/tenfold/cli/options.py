"""The options that commands share, each said once: its values, its default and what it is for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from tenfold.core.errors import InputError, did_you_mean


def _read_options(context: typer.Context, file: Path | None) -> Path | None:
    """Make the options of an earlier run the defaults of this one; what is typed still wins."""
    if file is None:
        return None
    try:
        options = json.loads(file.read_text("utf-8"))["options"]
        given = {name: value for name, value in options.items() if value is not None}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise typer.BadParameter(f"{file} is not the config.json of a run") from None
    known = {str(parameter.name) for parameter in context.command.params} - {"config", "help"}
    for name in given:
        if name not in known:
            raise typer.BadParameter(f"{file}: there is no option '{name}'.{did_you_mean(name, known)}")
    context.default_map = {name: str(value) for name, value in given.items()}
    return file


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder of class folders, a folder with metadata.csv or metadata.jsonl, a .npz file, a .csv of "
        "numbers with a column label, or the name of a known set such as digits or mnist.",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        is_eager=True,
        callback=_read_options,
        help="Repeat an earlier run: take DATA and options from its config.json, but for those typed here.",
    ),
]
Arms = Annotated[
    str | None,
    typer.Option(
        metavar="ARM,ARM,...",
        help="The ways of growing to compare; '+' adds methods up, (...) sets options: "
        "'classical,classical+cgan(steps=500)'. Default: raw, classical, placebo, classical+mixup, "
        "classical+cgan, and oracle where images are held in reserve; of vectors raw, placebo and mixup.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Time for the whole command: 45s, 15m, 1h30m. What does not fit is left out and named. "
        "Default: no limit.",
    ),
]
Repeats = Annotated[
    int,
    typer.Option(metavar="NUMBER", min=1, help="How often the folds are drawn anew; under 4 is provisional."),
]
Seed = Annotated[
    int,
    typer.Option(metavar="NUMBER", min=0, help="Names every random draw: the same seed gives the same result."),
]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where everything is written. Default: runs/<data>-<time>.")
]
Size = Annotated[
    int | None,
    typer.Option(metavar="PIXELS", min=4, help="Side of the images in training. Default: chosen from the data."),
]
PerClass = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER", min=1, help="Use this many images of each class, the rest as reserve. Default: all."
    ),
]
Images = Annotated[
    int | None, typer.Option(metavar="NUMBER", min=1, help="Use this many images in all. Default: all.")
]
Times = Annotated[float, typer.Option(metavar="NUMBER", min=0.1, help="New images for each real one.")]
MostTimes = Annotated[
    float,
    typer.Option(
        metavar="NUMBER",
        min=0.1,
        help="The most new images for each real one; inner images choose between none, half as many and this.",
    ),
]
Test = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="A second labelled set, in any form DATA may have. Nothing learns from it; the choice and the baseline "
        "are compared on it at the end. Default: the set's own test part, if any.",
    ),
]
Exchange = Annotated[
    bool,
    typer.Option(
        "--exchange/--no-exchange",
        help="Train the baseline on 50 and 70 % of the images too, to say how many real images a gain is worth.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only say what would be trained, how long it would take and what effect it could show.",
    ),
]
OnlyTell = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done and how long it would take; write nothing.")
]
Classes = Annotated[
    list[str] | None,
    typer.Option("--class", metavar="NAME", help="Make new images of this class alone; may be given several times."),
]
Truncation = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        min=0.01,
        help="The largest value of a generator's noise, in standard deviations: smaller is surer and less varied. "
        "Default: no bound, or the generator's own.",
    ),
]
KeepCopies = Annotated[
    bool,
    typer.Option(
        "--keep-copies",
        help="Write a generator's near copies of real images too, marked. Default: they are left out.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER", min=1, help="Trials trained at the same time, a thread each. Default: one a core."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
SameAsOut = Annotated[Path | None, typer.Option(metavar="DIR", help="The same as OUT.")]


class Part(TypedDict):
    """Which of the data's images a verb reads, and by which seed."""

    seed: int
    size: int | None
    per_class: int | None
    images: int | None


class Wanted(Part):
    """What `grow`, `sample` and `restyle` are to make, whether they do or only tell."""

    times: float
    classes: Sequence[str]


class Asked(Part):
    """What `run` and `prove` are to compare, whether they do or only tell."""

    arms: str | None
    repeats: int
    times: float
    test: str | None
    exchange: bool
    workers: int | None


def one_directory(directory: Path | None, out: Path | None, usage: str) -> Path:
    """OUT, which may be given as a word or as --out.

    Raises:
        InputError: neither is, or they differ.
    """
    target = directory or out
    if target is None or (out or target) != target:
        raise InputError(f"name one directory to write to: {usage}")
    return target
