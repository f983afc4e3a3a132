"""The commands that keep a generator and draw with it; the verbs are imported when they are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.options import (
    Classes,
    Data,
    Images,
    Json,
    KeepCopies,
    OnlyTell,
    Part,
    PerClass,
    SameAsOut,
    Seed,
    Size,
    Times,
    Truncation,
    Wanted,
    one_directory,
)
from tenfold.cli.program import app, tell
from tenfold.cli.statuses import exit_statuses
from tenfold.core.errors import InputError
from tenfold.core.progress import parse_duration


@app.command()
def fit(
    method: Annotated[
        str,
        typer.Argument(
            metavar="METHOD", help="The generator: cgan, dagan, dcgan, 'dagan(steps=3000)'.", show_default=False
        ),
    ],
    data: Data,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="The generator's directory; the same as --out.", show_default=False),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Take as many steps as fit into 45s, 15m, 1h30m. Default: no limit."),
    ] = None,
    seed: Seed = 0,
    size: Size = None,
    per_class: PerClass = None,
    images: Images = None,
    out: SameAsOut = None,
    dry_run: OnlyTell = False,
    as_json: Json = False,
) -> None:
    """Train a generator and keep it.

    Leaves generator.safetensors and generator.json, and of the training metrics.jsonl and grids/. A training that
    was stopped or killed goes on where it was when the same command is given again, and ends the same to the bit.

    Example: tenfold fit dagan letters/ generator/ --budget 10m
    """
    with exit_statuses():
        target = one_directory(directory, out, "tenfold fit METHOD DATA OUT")
        seconds = None if budget is None else parse_duration(budget)
        part: Part = {"seed": seed, "size": size, "per_class": per_class, "images": images}
        if dry_run:
            from tenfold.verbs.fit import fit_forecast

            told = fit_forecast(method, data, budget=seconds, **part)
            return tell(told.to_json(), told.sentence, as_json)
        from tenfold.verbs.fit import fit as verb

        kept = verb(method, data, target, budget=seconds, **part)
        tell(kept.to_json(), kept.sentence, as_json)


@app.command()
def sample(
    generator: Annotated[
        Path,
        typer.Argument(
            metavar="GENERATOR",
            help="A directory that `tenfold fit`, `grow` or `run` wrote, or generator.safetensors.",
            show_default=False,
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NEWDATA] OUT",
            help="The real pictures, in any form DATA may have, and the new directory. dagan makes new pictures of "
            "each of NEWDATA, of any classes; others check theirs against it, and draw unchecked where it is left "
            "out.",
            show_default=False,
        ),
    ] = None,
    times: Times = 10,
    classes: Classes = None,
    truncation: Truncation = None,
    keep_copies: KeepCopies = False,
    seed: Seed = 0,
    size: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", min=4, help="Side of the new images. Default: what the generator learned."),
    ] = None,
    per_class: PerClass = None,
    images: Images = None,
    out: SameAsOut = None,
    dry_run: OnlyTell = False,
    as_json: Json = False,
) -> None:
    """Draw new pictures with a generator that was kept.

    OUT/<class>/*.png holds them, OUT/metadata.jsonl says for each what drew it and from which seed, OUT/sheet.png
    shows some and OUT/interpolation.png what lies between two draws.

    Example: tenfold sample generator/ new_letters/ drawn/ --times 10
    """
    with exit_statuses():
        usage = "tenfold sample GENERATOR [NEWDATA] OUT"
        data, directory = _data_and_directory(words or [], out, usage)
        target = one_directory(directory, out, usage)
        wanted: Wanted = {
            "seed": seed, "size": size, "per_class": per_class, "images": images,
            "times": times, "classes": classes or (),
        }  # fmt: skip
        if dry_run:
            from tenfold.verbs.sample import sample_forecast

            told = sample_forecast(generator, data, truncation=truncation, **wanted)
            return tell(told.to_json(), told.sentence, as_json)
        from tenfold.verbs.sample import sample as verb

        drawn = verb(generator, data, target, truncation=truncation, keep_copies=keep_copies, **wanted)
        tell(drawn.to_json(), drawn.sentence, as_json)


def _data_and_directory(words: list[str], out: Path | None, usage: str) -> tuple[str | None, Path | None]:
    """NEWDATA may be left out, and so may OUT where --out names it."""
    if len(words) > 2:
        raise InputError(f"too many words ({' '.join(words)}): {usage}")
    if len(words) == 2:
        return words[0], Path(words[1])
    if not words:
        return None, None
    return (None, Path(words[0])) if out is None or Path(words[0]) == out else (words[0], None)
