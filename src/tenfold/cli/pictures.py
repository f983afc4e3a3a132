"""The commands that work on pictures without asking whether it helps: look at them, make more, name their class.

Verbs are imported when they are called, so that `tenfold --help` does not wait for torch.
"""

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
    Truncation,
    Wanted,
    one_directory,
)
from tenfold.cli.program import app, tell
from tenfold.cli.statuses import exit_statuses


@app.command()
def check(
    data: Data,
    size: Size = None,
    per_class: PerClass = None,
    images: Images = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write DIR/check.json. Default: nothing is written.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is in the data and what is wrong with it.

    Counts classes, sizes, duplicates and unreadable files, each with what will be done about it.
    Trains nothing and changes nothing.

    Example: tenfold check cells/
    """
    with exit_statuses():
        from tenfold.report.text import check_text
        from tenfold.verbs.check import check as verb

        audit = verb(data, size=size, per_class=per_class, images=images, out=out, seed=seed).to_json()
        tell(audit, check_text(audit), as_json)


@app.command()
def grow(
    data: Data,
    method: Annotated[
        str, typer.Option("--with", metavar="METHOD", help="The method that makes the images, such as cgan.")
    ],
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="The new directory; the same as --out.", show_default=False),
    ] = None,
    times: Times = 10,
    only_new: Annotated[bool, typer.Option("--only-new", help="Leave the real images out.")] = False,
    classes: Classes = None,
    truncation: Truncation = None,
    keep_copies: KeepCopies = False,
    seed: Seed = 0,
    size: Size = None,
    per_class: PerClass = None,
    images: Images = None,
    out: SameAsOut = None,
    dry_run: OnlyTell = False,
    as_json: Json = False,
) -> None:
    """Write a grown set to a directory.

    OUT/<class>/*.png holds the real images beside the new ones, OUT/metadata.jsonl says for each where
    it came from. Whether growing helps is not asked here: that is what `tenfold prove` is for.

    Example: tenfold grow cells/ grown/ --with cgan --times 10
    """
    with exit_statuses():
        target = one_directory(directory, out, "tenfold grow DATA OUT --with METHOD")
        wanted: Wanted = {
            "seed": seed, "size": size, "per_class": per_class, "images": images,
            "times": times, "classes": classes or (),
        }  # fmt: skip
        if dry_run:
            from tenfold.verbs.grow import grow_forecast

            told = grow_forecast(data, method=method, truncation=truncation, **wanted)
            return tell(told.to_json(), told.sentence, as_json)
        from tenfold.verbs.grow import grow as verb

        grown = verb(
            data, target, method=method, truncation=truncation, only_new=only_new, keep_copies=keep_copies, **wanted
        )
        tell(grown.to_json(), grown.sentence, as_json)


@app.command()
def preview(
    method: Annotated[
        str,
        typer.Argument(
            metavar="METHOD",
            help="A method, or several joined by '+': mixup, 'classical(policy=strong)', classical+mixup, cgan.",
            show_default=False,
        ),
    ],
    data: Data,
    rows: Annotated[int, typer.Option(metavar="NUMBER", min=1, max=50, help="Rows of pictures.")] = 6,
    seed: Seed = 0,
    size: Size = None,
    per_class: PerClass = None,
    images: Images = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="The picture to write, which must not exist. Default: preview-METHOD-DATA.png here, with a number "
            "if there is one already.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a sheet of what a method does to the pictures.

    Shows real pictures beside changed ones, each with its class shares or what was drawn for it; for mixing
    also how the shares are spread. A generator is trained first; everything else takes seconds.

    Example: tenfold preview mixup cells/ --out mixup.png
    """
    with exit_statuses():
        from tenfold.verbs.preview import preview as verb

        drawn = verb(method, data, out, rows=rows, seed=seed, size=size, per_class=per_class, images=images)
        tell(drawn.to_json(), drawn.sentence, as_json)


@app.command()
def predict(
    classifier: Annotated[
        Path, typer.Argument(metavar="CLASSIFIER", help="A run's directory or classifier.safetensors.")
    ],
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGES...", help="Image files, or folders of them; of vectors .npz or .csv."),
    ],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write DIR/predictions.csv as well.")] = None,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, help="Accepted as everywhere; predicting draws nothing.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Name the class of new images.

    Uses a classifier that `tenfold run` trained and prints CSV: the file, its class, how sure that is,
    and the probability of every class.

    Example: tenfold predict runs/cells/classifier.safetensors new/*.png > predictions.csv
    """
    with exit_statuses():
        from dataclasses import asdict

        from tenfold.report.text import predictions_csv
        from tenfold.verbs.predict import predict as verb

        found = verb(classifier, pictures, out=out)
        tell([asdict(prediction) for prediction in found], predictions_csv(found), as_json)
