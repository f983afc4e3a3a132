"""`adapt`: a classifier for unlabelled target pictures from labelled source pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenfold.adaptation.dann import DomainConfig
from tenfold.adaptation.selection import choose
from tenfold.adaptation.sets import AdaptSets, option_of, read_sets
from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.core.options import AdaptOptions, as_typed
from tenfold.core.progress import note, warn
from tenfold.core.results import Document, DryRun
from tenfold.core.types import ImageDataset
from tenfold.report.documents import adaptation_text
from tenfold.runs.plan import code_version
from tenfold.runs.workers import available_cores
from tenfold.verbs import on_chosen_device
from tenfold.verbs.adapt_arms import forecast_sentence, seconds_of_all, trained_arms
from tenfold.verbs.adapt_outputs import write_adaptation
from tenfold.verbs.opened import opened


class Adaptation(Document):
    """What was found, as adapt.json tells it."""

    @property
    def chosen(self) -> str:
        """The arm whose classifier was kept."""
        return str(self.document["chosen"])

    @property
    def text(self) -> str:
        return adaptation_text(self.document)


@on_chosen_device
def adapt(
    sources: str | Path | ImageDataset | Sequence[str | Path | ImageDataset],
    to: str | Path | ImageDataset,
    options: AdaptOptions | None = None,
    *,
    test: str | Path | ImageDataset | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    **changes: Any,
) -> Adaptation:
    """Carry a classifier of the sources over to the target, whose labels are never read.

    Seven arms are trained and one is chosen without target labels; `out` then holds predictions.csv, the classifier,
    labelled/ (the target with predicted labels, as far as they are confident), adapt.json and report.html.

    Args:
        sources: one or more labelled sets, in any form DATA may have.
        to: the target: a folder of pictures, or anything `tenfold.load` reads.
        options: how the arms are trained and what is written; `per_class` and `images` are those of each source.
        test: a labelled set like the target (its test part, where it has one), shown to nothing until the end; it
            stands above `options.test`.
        out: runs/adapt-TARGET unless given. What is finished there is not done again.
        workers: arms trained at the same time, each on one thread; one a core unless given.
        changes: fields of `AdaptOptions` by name; they stand above `options`.

    Raises:
        InputError: a set or an option cannot be used.
    """
    options, test = _asked(options, test, changes)
    given = [sources] if isinstance(sources, str | Path | ImageDataset) else list(sources)
    if not given:
        raise InputError("name at least one labelled set to learn from: tenfold adapt SOURCE --to TARGET")
    names, target = [option_of(one) for one in given], option_of(to)
    config = {"sources": names, "to": target, **options.to_json()}
    started = time.monotonic()
    sets = read_sets(given, to, test, options)
    directory = Path(out) if out is not None else Path("runs") / f"adapt-{Path(sets.target.name).name}"
    _tell(sets, options)
    with opened(directory, "adapt", config | sets.fingerprints() | {"code": code_version()}):
        finished = directory / "adapt.json"
        if finished.exists():
            note(f"finished already: {directory}")
            return Adaptation(directory, read_json(finished))
        training = DomainConfig(steps=options.steps)
        key = Key(f"seed-{options.seed}") / "adapt"
        arms = trained_arms(sets, directory / "arms", key, training, workers or available_cores())
        command = as_typed("adapt", [*names, "--to", target], options, out=directory)
        told = config | {"command": command, "started": started}
        document = write_adaptation(directory, sets, arms, choose(arms.arms), told)
    return Adaptation(directory, document)


@on_chosen_device
def adapt_forecast(
    sources: Sequence[str | Path | ImageDataset],
    to: str | Path | ImageDataset,
    options: AdaptOptions | None = None,
    *,
    test: str | Path | ImageDataset | None = None,
    workers: int | None = None,
    **changes: Any,
) -> DryRun:
    """Read and audit the sets and say how long the trainings would take; writes nothing.

    Raises:
        InputError: a set cannot be used.
    """
    options, test = _asked(options, test, changes)
    sets = read_sets(sources, to, test, options)
    _tell(sets, options)
    config = DomainConfig(steps=options.steps)
    key = Key(f"seed-{options.seed}") / "adapt" / "forecast"
    seconds = seconds_of_all(sets, key, config, workers or available_cores())
    facts = {"seconds": round(seconds, 1), "target_images": len(sets.target), "mends": len(sets.mending)}
    return DryRun(forecast_sentence(sets, seconds), facts)


def _asked(
    options: AdaptOptions | None, test: str | Path | ImageDataset | None, changes: dict[str, Any]
) -> tuple[AdaptOptions, str | Path | ImageDataset | None]:
    """The options with the test set's name, and the test set, which may be a loaded one."""
    named = AdaptOptions.of(options, changes | ({} if test is None else {"test": option_of(test)}))
    return named, named.test if test is None else test


def _tell(sets: AdaptSets, options: AdaptOptions) -> None:
    for mend in sets.mending:
        applied = options.reframe == "auto" or mend.kind == "grey"
        done = mend.remedy if applied else f"--reframe auto mends it ({mend.remedy})"
        note(f"framing: {mend.difference}; {done}")
    if not sets.mending:
        note("framing: source and target are framed alike")
    for warning in sets.warnings:
        warn(warning)
