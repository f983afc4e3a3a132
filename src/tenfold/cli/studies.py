"""The commands that ask a question of the data: what is in it, what helps, what carries over, which claim holds.

Verbs are imported when they are called, so that `tenfold --help` does not wait for torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tenfold.claims import claim_names
from tenfold.cli.program import (
    Answer,
    Config,
    Data,
    DryRun,
    Forecast,
    Out,
    Workers,
    app,
    argument,
    directory_option,
    from_options,
)
from tenfold.core.errors import InputError
from tenfold.core.options import AdaptOptions, DataOptions, MergeOptions, ReproduceOptions
from tenfold.core.study_options import RunOptions, StudyOptions


@app.command()
@from_options
def run(
    data: Data,
    options: RunOptions,
    out: Out = None,
    workers: Workers = None,
    config: Config = None,
    dry_run: Forecast = False,
) -> Answer:
    """Do it all: check, prove, grow, train, report.

    Checks the images, proves which way of growing them helps, grows the set with the winner (if any
    helped), trains the final classifier and writes report.html. A run that was stopped or killed goes
    on where it was when the same command is given again.

    With --dry-run it only says what would be trained, how long that takes and how small an effect it could show.

    Example: tenfold run cells/ --budget 15m
    """
    from tenfold.verbs.run import run, run_forecast

    if dry_run:
        return run_forecast(data, options, workers=workers)
    return _study(run(data, options, out=out, workers=workers), out)


@app.command()
@from_options
def prove(
    data: Data,
    options: StudyOptions,
    out: Out = None,
    workers: Workers = None,
    config: Config = None,
    dry_run: Forecast = False,
) -> Answer:
    """Measure whether growing the set helps.

    Compares ways of growing by repeated cross-validation, each judged on images that it has not seen,
    and says whether the best one helped, with a 95 % interval. A run that was stopped or killed goes on
    where it was when the same command is given again.

    With --dry-run it only says what would be trained, how long that takes and how small an effect it could show.

    Example: tenfold prove cells/ --arms classical,classical+cgan --budget 30m
    """
    from tenfold.verbs.prove import prove, prove_forecast

    if dry_run:
        return prove_forecast(data, options, workers=workers)
    return _study(prove(data, options, out=out, workers=workers), out)


@app.command()
@from_options
def check(
    data: Data,
    options: DataOptions,
    out: Annotated[Path | None, directory_option("Write DIR/check.json. Default: nothing is written.")] = None,
) -> Answer:
    """Say what is in the data and what is wrong with it.

    Counts classes, sizes, duplicates and unreadable files, each with what will be done about it.
    Trains nothing and changes nothing.

    Example: tenfold check cells/
    """
    from tenfold.report.text import check_text
    from tenfold.verbs.check import check

    audit = check(data, options, out=out).to_json()
    return audit, check_text(audit)


@app.command()
@from_options
def adapt(
    sources: Annotated[list[str], argument("SOURCE...", "Labelled sets, each in any form DATA may have.")],
    options: AdaptOptions,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="The images to label: a folder of them, or any set, whose labels are not read. Left out: the "
            "sources are merged and judged by one another.",
        ),
    ] = None,
    workers: Workers = None,
    out: Annotated[Path | None, directory_option("Where everything is written. Default: runs/adapt-TARGET.")] = None,
    dry_run: DryRun = False,
) -> Answer:
    """Label images that have no labels, with the help of related ones that have.

    Looks first whether the sets are framed alike, trains seven arms from source only to self-training, and chooses
    one without target labels. Leaves predictions.csv, a classifier, labelled/ and report.html.

    Example: tenfold adapt other_clinic/ --to ours/ --test ours_labelled/
    """
    if to is None:
        if options.test is not None or dry_run:
            raise InputError("--test and --dry-run need a target: tenfold adapt SOURCE... --to TARGET")
        from tenfold.verbs.merge import merge

        shared = {name: getattr(options, name) for name in MergeOptions.__dataclass_fields__}
        return merge(sources, MergeOptions(**shared), out=out, workers=workers)
    from tenfold.verbs.adapt import adapt, adapt_forecast

    if dry_run:
        return adapt_forecast(sources, to, options, workers=workers)
    return adapt(sources, to, options, out=out, workers=workers)


@app.command()
@from_options
def reproduce(
    name: Annotated[str, argument("NAME", f"The claim: {', '.join(claim_names())}.")],
    options: ReproduceOptions,
    out: Annotated[
        Path | None, directory_option("Where everything is written. Default: runs/reproduce-<name>.")
    ] = None,
    workers: Workers = None,
) -> Answer:
    """Repeat the experiment behind a published claim.

    Says what was claimed, what was measured, with a 95 % interval, and whether the claim holds: yes, smaller
    than claimed, no or not shown. Leaves claim.json and report.html. A run that was stopped goes on where it was.

    Example: tenfold reproduce mixup --out mixup/
    """
    from tenfold.verbs.reproduce import reproduce

    return reproduce(name, options, out=out, workers=workers)


def _study(result: Any, out: str | None) -> Answer:
    """What a study found, and where its report is."""
    from tenfold.report.text import verdict_text
    from tenfold.runs.remote import is_url

    document, place = result.to_json(), result.directory
    report = place / "report.html"
    where = f"report: {report}" if report.exists() else f"results: {place}"
    if out is not None and is_url(out):
        document["directory"] = out
        where = where.replace(str(place), out.rstrip("/"))
    return document, "\n".join([document["answer"], result.sentence, verdict_text(document), where])


@app.command()
@from_options
def doctor() -> Answer:
    """Say what tenfold finds on this computer, and what is wrong with it.

    Versions, extras, device, threads, free memory and disk, and how many classifiers are trained here in ten
    minutes, which is measured. Writes nothing.

    Example: tenfold doctor --json
    """
    from tenfold.verbs.doctor import doctor

    return doctor()
