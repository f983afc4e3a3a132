"""The command that learns from other people's pictures; the verb is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tenfold.cli.options import Images, Json, OnlyTell, Part, PerClass, Seed, Size, Workers
from tenfold.cli.program import app, tell
from tenfold.cli.statuses import exit_statuses
from tenfold.core.errors import InputError


class Adapting(Part):
    """How `adapt` is to go about it, whether it does or only tells."""

    test: str | None
    reframe: Literal["auto", "no"]
    steps: int
    workers: int | None


@app.command()
def adapt(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="Labelled sets, each in any form DATA may have.", show_default=False
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TARGET",
            help="The pictures to label: a folder of them, or any set, whose labels are not read. Left out: the "
            "sources are merged and judged by one another.",
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="A labelled set like the target, sealed until the end; of a set with a test part that part. "
            "Default: none, and nothing is said of how often labels are right.",
        ),
    ] = None,
    reframe: Annotated[
        Literal["auto", "no"],
        typer.Option(help="Mend differences of polarity, size of what is shown, contrast and colour first, or not."),
    ] = "auto",
    steps: Annotated[int, typer.Option(metavar="NUMBER", min=10, help="Of each arm's training.")] = 400,
    confidence: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0, max=1, help="The least confidence of a picture that is written to labelled/."
        ),
    ] = 0.9,
    seed: Seed = 0,
    workers: Workers = None,
    size: Size = None,
    per_class: PerClass = None,
    images: Images = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where everything is written. Default: runs/adapt-TARGET.")
    ] = None,
    dry_run: OnlyTell = False,
    as_json: Json = False,
) -> None:
    """Label pictures that have no labels, with the help of related ones that have.

    Looks first whether the sets are framed alike, trains seven arms from source only to self-training, and chooses
    one without target labels. Leaves predictions.csv, a classifier, labelled/ and report.html.

    Example: tenfold adapt other_clinic/ --to ours/ --test ours_labelled/
    """
    with exit_statuses():
        part: Part = {"seed": seed, "size": size, "per_class": per_class, "images": images}
        if to is None:
            if test is not None or dry_run:
                raise InputError("--test and --dry-run need a target: tenfold adapt SOURCE... --to TARGET")
            from tenfold.verbs.merge import merge

            merged = merge(sources, out=out, reframe=reframe, steps=steps, workers=workers, **part)
            return tell(merged.to_json(), merged.text, as_json)
        from tenfold.verbs import adapt as verbs

        how: Adapting = {"test": test, "reframe": reframe, "steps": steps, "workers": workers, **part}
        if dry_run:
            told = verbs.adapt_forecast(sources, to, **how)
            return tell(told.to_json(), told.sentence, as_json)
        done = verbs.adapt(sources, to, out=out, confidence=confidence, **how)
        tell(done.to_json(), done.text, as_json)
