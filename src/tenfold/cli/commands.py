"""One function a command: it reads the options, calls the verb of its name and prints what that returned.

Verbs are imported when they are called, so that `tenfold --help` does not wait for torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tenfold
from tenfold.cli.options import (
    Arms,
    Budget,
    Config,
    Data,
    DryRun,
    Exchange,
    Images,
    Json,
    MostTimes,
    Out,
    PerClass,
    Repeats,
    Seed,
    Size,
    Test,
    Times,
    Workers,
)
from tenfold.cli.statuses import exit_statuses, say
from tenfold.core.durations import parse_duration
from tenfold.core.errors import InputError

if TYPE_CHECKING:
    from tenfold.core.verdicts import Verdict

app = typer.Typer(
    help="Grows a small labelled image set and proves whether growing it helped.",
    epilog="Start with: tenfold run digits. What a command does and its defaults: tenfold COMMAND --help.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point `tenfold`."""
    # A file name may hold bytes that are not text; a CSV must give them back as they were.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    app(prog_name="tenfold")


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"tenfold {tenfold.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and leave."),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    data: Data,
    arms: Arms = None,
    budget: Budget = None,
    repeats: Repeats = 4,
    seed: Seed = 0,
    out: Out = None,
    size: Size = None,
    per_class: PerClass = None,
    images: Images = None,
    times: MostTimes = 2,
    test: Test = None,
    exchange: Exchange = True,
    grow: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD", help="Grow with this method even if nothing helped. Default: the winner only."
        ),
    ] = None,
    workers: Workers = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Do it all: check, prove, grow, train, report.

    Checks the images, proves which way of growing them helps, grows the set with the winner (if any
    helped), trains the final classifier and writes report.html. A run that was stopped or killed goes
    on where it was when the same command is given again.

    Example: tenfold run cells/ --budget 15m
    """
    with exit_statuses():
        from tenfold.verbs.run import run as verb

        result = verb(
            data,
            arms=arms,
            budget=_seconds(budget),
            repeats=repeats,
            seed=seed,
            out=out,
            size=size,
            per_class=per_class,
            images=images,
            times=times,
            test=test,
            exchange=exchange,
            grow=grow,
            workers=workers,
        )
        _tell(result.to_json(), as_json, result.sentence, result.verdict, result.directory)


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
        say(_document(audit) if as_json else check_text(audit))


@app.command()
def prove(
    data: Data,
    arms: Arms = None,
    budget: Budget = None,
    repeats: Repeats = 4,
    seed: Seed = 0,
    out: Out = None,
    size: Size = None,
    per_class: PerClass = None,
    images: Images = None,
    times: MostTimes = 2,
    test: Test = None,
    exchange: Exchange = True,
    workers: Workers = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Measure whether growing the set helps.

    Compares ways of growing by repeated cross-validation, each judged on images that it has not seen,
    and says whether the best one helped, with a 95 % interval. A run that was stopped or killed goes on
    where it was when the same command is given again.

    With --dry-run it only says what would be trained, how long that takes and how small an effect it could show.

    Example: tenfold prove cells/ --arms classical,classical+cgan --budget 30m
    """
    with exit_statuses():
        if dry_run:
            from tenfold.verbs.forecast import forecast

            found = forecast(
                data,
                arms=arms,
                repeats=repeats,
                seed=seed,
                size=size,
                per_class=per_class,
                images=images,
                times=times,
                test=test,
                exchange=exchange,
                workers=workers,
            )
            say(_document(found.to_json()) if as_json else found.text)
            return
        from tenfold.verbs.prove import prove as verb

        study = verb(
            data,
            arms=arms,
            budget=_seconds(budget),
            repeats=repeats,
            seed=seed,
            out=out,
            size=size,
            per_class=per_class,
            images=images,
            times=times,
            test=test,
            exchange=exchange,
            workers=workers,
        )
        _tell(study.to_json(), as_json, study.sentence, study.verdict, study.directory)


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
    keep_copies: Annotated[
        bool,
        typer.Option(
            "--keep-copies",
            help="Write a generator's near copies of real images too, marked. Default: they are left out.",
        ),
    ] = False,
    seed: Seed = 0,
    size: Size = None,
    per_class: PerClass = None,
    images: Images = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The same as OUT.")] = None,
    as_json: Json = False,
) -> None:
    """Write a grown set to a directory.

    OUT/<class>/*.png holds the real images beside the new ones, OUT/metadata.jsonl says for each where
    it came from. Whether growing helps is not asked here: that is what `tenfold prove` is for.

    Example: tenfold grow cells/ grown/ --with cgan --times 10
    """
    with exit_statuses():
        target = directory or out
        if target is None or (out or target) != target:
            raise InputError("name one directory to write to: tenfold grow DATA OUT --with METHOD")
        from tenfold.verbs.grow import grow as verb

        grown = verb(
            data,
            target,
            method=method,
            times=times,
            only_new=only_new,
            keep_copies=keep_copies,
            seed=seed,
            size=size,
            per_class=per_class,
            images=images,
        )
        say(_document(grown.to_json()) if as_json else grown.sentence)


@app.command()
def predict(
    classifier: Annotated[
        Path, typer.Argument(metavar="CLASSIFIER", help="A run's directory or classifier.safetensors.")
    ],
    pictures: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Image files, or folders of them.")],
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
        if as_json:
            say(_document([asdict(prediction) for prediction in found]))
        else:
            say(predictions_csv(found))


def _tell(document: dict[str, Any], as_json: bool, sentence: str, verdict: Verdict | None, directory: Path) -> None:
    """What a study found, as JSON or as text, and where its report is."""
    if as_json:
        say(_document(document))
        return
    say(sentence)
    if verdict is not None:
        from tenfold.evaluate.telling import verdict_json
        from tenfold.report.text import verdict_text

        say(verdict_text(verdict_json(verdict)))
    report = directory / "report.html"
    say(f"report: {report}" if report.exists() else f"results: {directory}")


def _document(value: object) -> str:
    # Plain ASCII, so that a name in any encoding passes through any pipe; NaN would not be JSON.
    return json.dumps(value, indent=2, allow_nan=False)


def _seconds(budget: str | None) -> float | None:
    return None if budget is None else parse_duration(budget)
