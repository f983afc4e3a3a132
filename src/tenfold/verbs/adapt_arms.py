"""Training the arms of `adapt`, each kept as soon as it is done."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from tenfold.adaptation.dann import DomainConfig, DomainStep, DomainTask
from tenfold.adaptation.selection import (
    ADABN,
    ARMS,
    AUGMENTED,
    SELF,
    TRAINED,
    AdaptedArm,
    augmentation,
    described,
    train_arm,
)
from tenfold.adaptation.sets import AdaptSets
from tenfold.core.errors import TenfoldError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.core.progress import Bar, about, progress, warn
from tenfold.runs.workers import done_by_workers
from tenfold.training.callbacks import Callback
from tenfold.training.loop import TrainingLoop
from tenfold.training.step import TrainingFailed
from tenfold.training.store import load_classifier, save_classifier

FROM_OTHERS = (ADABN, SELF)
"""In this order, when all others are done."""


class NothingTrained(TenfoldError):
    """Every arm ended in NaN."""

    exit_status = 2


@dataclass(frozen=True, eq=False)
class TrainedArms:
    """All arms that came to an end, in their order."""

    arms: tuple[AdaptedArm, ...]
    seconds: dict[str, float]
    failures: dict[str, str]
    """Why an arm gave nothing."""


def trained_arms(sets: AdaptSets, directory: Path, key: Key, config: DomainConfig, workers: int) -> TrainedArms:
    """Train what is not there yet; a finished arm is two files in `directory`.

    Arms that need no other one are trained at the same time, then AdaBN and self-training.

    Raises:
        NothingTrained: no arm came to an end.
    """
    paths = {name: directory / f"{_slug(name)}.safetensors" for name in ARMS}
    missing = [name for name in ARMS if not _finished(paths[name])]
    left = config.steps * sum(name in TRAINED for name in missing)
    failures: dict[str, str] = {}
    blind = replace(sets, test=None)  # nothing that trains is handed the sealed test, not even to leave it unread
    with progress("steps", config.steps * len(TRAINED), done=config.steps * len(TRAINED) - left) as bar:
        for names in ([name for name in missing if name not in FROM_OTHERS], *([name] for name in FROM_OTHERS)):
            waiting = [name for name in names if name in missing]
            before = [_read(path, name)[0] for name, path in paths.items() if _finished(path)]
            alone = min(workers, len(waiting)) <= 1
            jobs = [
                (name, before, blind, key, config, paths[name], _Steps(bar, name) if alone else None)
                for name in waiting
            ]
            for number, failure in done_by_workers(_train, jobs, workers):
                if not alone:
                    bar.advance(config.steps, waiting[number])
                if failure:
                    failures[waiting[number]] = failure
                    warn(f"{waiting[number]} is left out: {failure}")
    done = [_read(path, name) for name, path in paths.items() if _finished(path)]
    if not done:
        raise NothingTrained(f"no arm came to an end ({'; '.join(failures.values())})")
    return TrainedArms(tuple(arm for arm, _ in done), {arm.name: seconds for arm, seconds in done}, failures)


def seconds_of_all(sets: AdaptSets, key: Key, config: DomainConfig, workers: int) -> float:
    """About how long all arms take here, from the first steps of one."""
    settings = replace(config, confusion=1.0)
    task = DomainTask(sets.train, sets.target.images, augmentation(), key, settings)
    loop = TrainingLoop()
    each = loop.seconds_a_step(lambda attempt: DomainStep(task, loop.device)) * config.steps
    # Two of the trained arms read the source alone, which is half a step; self-training waits for all the others.
    together = len(TRAINED) - 2
    return each * (together / min(workers, together) + 1)


def forecast_sentence(sets: AdaptSets, seconds: float) -> str:
    """What would be trained."""
    images = sum(len(part) for part in sets.train)
    return (
        f"{len(ARMS)} arms would be trained on {images:,} labelled pictures and {len(sets.target):,} of "
        f"{sets.target.name} without labels: {about(seconds)}"
    )


def _train(
    name: str,
    before: Sequence[AdaptedArm],
    sets: AdaptSets,
    key: Key,
    config: DomainConfig,
    path: Path,
    steps: _Steps | None,
) -> str | None:
    """Train an arm and keep it; why it gave nothing, if so."""
    start, target = time.monotonic(), sets.target.images
    loop = TrainingLoop(callbacks=() if steps is None else (steps,))
    try:
        classifier = train_arm(name, before, sets.train, target, key, config, loop)
        arm = described(name, classifier, before, sets.heldout, classifier.probabilities(target))
    except (TrainingFailed, StopIteration) as error:
        return str(error) or f"it takes its weights from {AUGMENTED}, which failed"
    told = {
        "arm": arm.name,
        "source_score": arm.source_score,
        "information": arm.information,
        "shares": list(arm.shares),
        "details": dict(arm.details),
        "seconds": round(time.monotonic() - start, 1),
    }
    save_classifier(path, arm.classifier, told)
    return None


class _Steps(Callback):
    """Counts the steps of an arm in the bar of all; where arms are trained by workers, whole arms are counted."""

    def __init__(self, bar: Bar, name: str) -> None:
        self.bar, self.name = bar, name

    def step(self, number: int, steps: int, losses: Mapping[str, Tensor]) -> None:
        self.bar.advance(1, self.name)


def _finished(path: Path) -> bool:
    return path.with_suffix(".json").exists()


def _read(path: Path, name: str) -> tuple[AdaptedArm, float]:
    told = read_json(path.with_suffix(".json"))
    arm = AdaptedArm(
        name,
        load_classifier(path),
        told["source_score"],
        told["information"],
        tuple(told["shares"]),
        told["details"],
    )
    return arm, told["seconds"]


def _slug(name: str) -> str:
    return name.lower().replace(" + ", "-").replace(" ", "-")
