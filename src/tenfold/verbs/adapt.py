"""`adapt`: a classifier for unlabelled target pictures from labelled source pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tenfold.adaptation.dann import DomainConfig
from tenfold.adaptation.selection import choose
from tenfold.adaptation.sets import CONFIDENCE, AdaptSets, Reframe, as_typed, option_of, read_sets
from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.core.progress import note, warn
from tenfold.core.types import ImageDataset
from tenfold.report.adaptation import adaptation_text
from tenfold.runs.plan import code_version
from tenfold.runs.workers import available_cores
from tenfold.verbs.adapt_arms import forecast_sentence, seconds_of_all, trained_arms
from tenfold.verbs.adapt_outputs import write_adaptation
from tenfold.verbs.generators import DryRun
from tenfold.verbs.opened import opened


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What was found, as adapt.json tells it."""

    directory: Path
    document: dict[str, Any]

    @property
    def chosen(self) -> str:
        """The arm whose classifier was kept."""
        return str(self.document["chosen"])

    @property
    def sentence(self) -> str:
        return str(self.document["sentence"])

    @property
    def text(self) -> str:
        """What the terminal shows."""
        return adaptation_text(self.document)

    def to_json(self) -> dict[str, Any]:
        return self.document | {"directory": str(self.directory)}


def adapt(
    sources: str | Path | ImageDataset | Sequence[str | Path | ImageDataset],
    to: str | Path | ImageDataset,
    *,
    test: str | Path | ImageDataset | None = None,
    out: str | Path | None = None,
    reframe: Reframe = "auto",
    steps: int = DomainConfig.steps,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    size: int | None = None,
    per_class: int | None = None,
    images: int | None = None,
    workers: int | None = None,
) -> Adaptation:
    """Carry a classifier of the sources over to the target, whose labels are never read.

    Seven arms are trained and one is chosen without target labels; `out` then holds predictions.csv, the classifier,
    labelled/ (the target with predicted labels, as far as they are confident), adapt.json and report.html.

    Args:
        sources: one or more labelled sets, in any form DATA may have.
        to: the target: a folder of pictures, or anything `tenfold.load` reads.
        test: a labelled set like the target (its test part, where it has one), shown to nothing until the end.
        out: runs/adapt-TARGET unless given. What is finished there is not done again.
        reframe: `auto` mends what the audit of framing finds, `no` leaves pictures as they are.
        steps: of each arm's training.
        confidence: the least probability of a picture that is written to labelled/.
        per_class: use so many images of each class of a source, or `images` of each source in all.
        workers: arms trained at the same time, each on one thread; one a core unless given.

    Raises:
        InputError: a set or an option cannot be used.
    """
    if not 0 <= confidence <= 1:
        raise InputError(f"--confidence is a probability between 0 and 1, not {confidence:g}")
    given = [sources] if isinstance(sources, str | Path | ImageDataset) else list(sources)
    if not given:
        raise InputError("name at least one labelled set to learn from: tenfold adapt SOURCE --to TARGET")
    named = {"sources": [option_of(one) for one in given], "to": option_of(to), "test": option_of(test)}
    options = {
        **named, "reframe": reframe, "steps": steps, "confidence": confidence, "seed": seed, "size": size,
        "per_class": per_class, "images": images,
    }  # fmt: skip
    started = time.monotonic()
    sets = read_sets(
        given, to, test, reframe=reframe, seed=seed, size=size, per_class=per_class, images=images
    )  # fmt: skip
    directory = Path(out) if out is not None else Path("runs") / f"adapt-{Path(sets.target.name).name}"
    _tell(sets, reframe)
    with opened(directory, "adapt", options | sets.fingerprints() | {"code": code_version()}):
        finished = directory / "adapt.json"
        if finished.exists():
            note(f"finished already: {directory}")
            return Adaptation(directory, read_json(finished))
        config = DomainConfig(steps=steps)
        key = Key(f"seed-{seed}") / "adapt"
        arms = trained_arms(sets, directory / "arms", key, config, workers or available_cores())
        told = options | {"command": as_typed(options, directory), "started": started}
        document = write_adaptation(directory, sets, arms, choose(arms.arms), told)
    return Adaptation(directory, document)


def adapt_forecast(
    sources: Sequence[str | Path | ImageDataset],
    to: str | Path | ImageDataset,
    *,
    test: str | Path | ImageDataset | None = None,
    reframe: Reframe = "auto",
    steps: int = DomainConfig.steps,
    seed: int = 0,
    size: int | None = None,
    per_class: int | None = None,
    images: int | None = None,
    workers: int | None = None,
) -> DryRun:
    """Read and audit the sets and say how long the trainings would take; writes nothing.

    Raises:
        InputError: a set cannot be used.
    """
    sets = read_sets(sources, to, test, reframe=reframe, seed=seed, size=size, per_class=per_class, images=images)
    _tell(sets, reframe)
    config = replace(DomainConfig(), steps=steps)
    key = Key(f"seed-{seed}") / "adapt" / "forecast"
    seconds = seconds_of_all(sets, key, config, workers or available_cores())
    facts = {"seconds": round(seconds, 1), "target_images": len(sets.target), "mends": len(sets.mending)}
    return DryRun(forecast_sentence(sets, seconds), facts)


def _tell(sets: AdaptSets, reframe: Reframe) -> None:
    for mend in sets.mending:
        done = mend.remedy if reframe == "auto" or mend.kind == "grey" else f"--reframe auto mends it ({mend.remedy})"
        note(f"framing: {mend.difference}; {done}")
    if not sets.mending:
        note("framing: source and target are framed alike")
    for warning in sets.warnings:
        warn(warning)
