"""The command that repeats published claims; the verb is imported when it is called, so that --help stays quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.claims import claim_names
from tenfold.cli.options import Json, Workers
from tenfold.cli.program import app, tell
from tenfold.cli.statuses import exit_statuses


@app.command()
def reproduce(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"The claim: {', '.join(claim_names())}.", show_default=False)
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer and shorter trainings, whose figures are not the claim's.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where everything is written. Default: runs/reproduce-<name>."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", min=2, help="How many seeds. Default: what the claim takes."),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, help="The first of the seeds: the same give the same result.")
    ] = 0,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Repeat the experiment behind a published claim.

    Says what was claimed, what was measured, with a 95 % interval, and whether the claim holds: yes, smaller
    than claimed, no or not shown. Leaves claim.json and report.html. A run that was stopped goes on where it was.

    Example: tenfold reproduce mixup --out mixup/
    """
    with exit_statuses():
        from tenfold.verbs.reproduce import reproduce as verb

        done = verb(name, quick=quick, out=out, seeds=seeds, seed=seed, workers=workers)
        tell(done.to_json(), f"{done.text}\nreport: {done.directory / 'report.html'}", as_json)
