"""The command that paints styles under other labels; the verb is imported when it is called."""

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
    PerClass,
    SameAsOut,
    Seed,
    Size,
    Times,
    Wanted,
    one_directory,
)
from tenfold.cli.program import app, tell
from tenfold.cli.statuses import exit_statuses


@app.command()
def restyle(
    data: Data,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="The new directory; the same as --out.", show_default=False),
    ] = None,
    times: Times = 1,
    classes: Classes = None,
    preset: Annotated[
        str,
        typer.Option(metavar="NAME", help="fast, or article: the loss of the article behind this, which fails."),
    ] = "fast",
    steps: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", min=1, help="Of the training. Default: by the number of images, up to 2,000."),
    ] = None,
    code_size: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=1, help="Values that hold a style. Default: 16.")
    ] = None,
    keep_copies: KeepCopies = False,
    seed: Seed = 0,
    size: Size = None,
    per_class: PerClass = None,
    images: Images = None,
    out: SameAsOut = None,
    dry_run: OnlyTell = False,
    as_json: Json = False,
) -> None:
    """Paint each picture's style as another class.

    Leaves OUT/<class>/*.png and OUT/metadata.jsonl, which names the picture whose style each one has, grid.png
    (styles by classes), gates.json and restyler.safetensors. Where too few new labels can be read by an independent
    classifier, only the grid and the gates are left, and the exit status is 2.

    Example: tenfold restyle letters/ restyled/
    """
    with exit_statuses():
        target = one_directory(directory, out, "tenfold restyle DATA OUT")
        wanted: Wanted = {
            "seed": seed, "size": size, "per_class": per_class, "images": images,
            "times": times, "classes": classes or (),
        }  # fmt: skip
        if dry_run:
            from tenfold.verbs.restyle import restyle_forecast

            told = restyle_forecast(data, preset=preset, steps=steps, code_size=code_size, **wanted)
            return tell(told.to_json(), told.sentence, as_json)
        from tenfold.verbs.restyle import restyle as verb

        made = verb(data, target, preset=preset, steps=steps, code_size=code_size, keep_copies=keep_copies, **wanted)
        tell(made.to_json(), made.text, as_json)
