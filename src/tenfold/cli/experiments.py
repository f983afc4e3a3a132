"""The commands that ask whether growing helps: each reads its options, calls its verb and prints what that returned.

Verbs are imported when they are called, so that `tenfold --help` does not wait for torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.cli.options import (
    Arms,
    Asked,
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
    Workers,
)
from tenfold.cli.program import app, tell
from tenfold.cli.statuses import exit_statuses
from tenfold.core.progress import parse_duration

if TYPE_CHECKING:
    from tenfold.evaluation import Verdict


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

        asked: Asked = {
            "seed": seed, "size": size, "per_class": per_class, "images": images,
            "arms": arms, "repeats": repeats, "times": times, "test": test, "exchange": exchange, "workers": workers,
        }  # fmt: skip
        result = verb(data, budget=_seconds(budget), out=out, grow=grow, **asked)
        tell(result.to_json(), _in_words(result.sentence, result.verdict, result.directory), as_json)


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
        asked: Asked = {
            "seed": seed, "size": size, "per_class": per_class, "images": images,
            "arms": arms, "repeats": repeats, "times": times, "test": test, "exchange": exchange, "workers": workers,
        }  # fmt: skip
        if dry_run:
            from tenfold.verbs.forecast import forecast

            found = forecast(data, **asked)
            return tell(found.to_json(), found.text, as_json)
        from tenfold.verbs.prove import prove as verb

        study = verb(data, budget=_seconds(budget), out=out, **asked)
        tell(study.to_json(), _in_words(study.sentence, study.verdict, study.directory), as_json)


def _in_words(sentence: str, verdict: Verdict | None, directory: Path) -> str:
    """What a study found, and where its report is."""
    from tenfold.evaluation.telling import verdict_json
    from tenfold.report.text import verdict_text

    report = directory / "report.html"
    where = f"report: {report}" if report.exists() else f"results: {directory}"
    return "\n".join([sentence, *([verdict_text(verdict_json(verdict))] if verdict else []), where])


def _seconds(budget: str | None) -> float | None:
    return None if budget is None else parse_duration(budget)
