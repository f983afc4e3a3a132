"""Training the arms of `adapt`, each kept as soon as it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tenfold.core.durations import about
from tenfold.core.errors import TenfoldError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.core.progress import progress, warn
from tenfold.train.adaptation import ARMS, AUGMENTED, TRAINED, AdaptedArm, augmentation, described, train_arm
from tenfold.train.classifier import Diverged
from tenfold.train.domains import DomainConfig, train_domains
from tenfold.train.store import load_classifier, save_classifier
from tenfold.verbs.adapt_sets import AdaptSets

TIMED_STEPS = 12


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


def trained_arms(
    sets: AdaptSets, directory: Path, key: Key, config: DomainConfig, names: Sequence[str] = ARMS
) -> TrainedArms:
    """Train what is not there yet; a finished arm is two files in `directory`.

    Raises:
        NothingTrained: no arm came to an end.
    """
    done: list[AdaptedArm] = []
    seconds: dict[str, float] = {}
    failures: dict[str, str] = {}
    paths = {name: directory / f"{_slug(name)}.safetensors" for name in names}
    there = [name for name in names if paths[name].with_suffix(".json").exists()]
    trained = [name for name in names if name in TRAINED]
    before = config.steps * sum(name in there for name in trained)
    with progress("steps", config.steps * len(trained), done=before) as bar:
        for name in names:
            if name in there:
                arm, seconds[name] = _read(paths[name], name)
            else:
                start = time.monotonic()
                try:
                    arm = _train(name, done, sets, key, config, lambda name=name: bar.advance(1, name))
                except (Diverged, StopIteration) as error:
                    failures[name] = str(error) or f"it takes its weights from {AUGMENTED}, which failed"
                    warn(f"{name} is left out: {failures[name]}")
                    continue
                seconds[name] = round(time.monotonic() - start, 1)
                _keep(paths[name], arm, seconds[name])
            done.append(arm)
    if not done:
        raise NothingTrained(f"no arm came to an end ({'; '.join(failures.values())})")
    return TrainedArms(tuple(done), seconds, failures)


def seconds_of_a_training(sets: AdaptSets, key: Key, config: DomainConfig) -> float:
    """About how long all arms take here, from the first steps of one."""
    short = replace(config, steps=TIMED_STEPS, confusion=1.0)
    ends: list[float] = []
    train_domains(
        sets.train, sets.target.images, augmentation(), key, short, after_step=lambda: ends.append(time.monotonic())
    )
    each = (ends[-1] - ends[1]) / (TIMED_STEPS - 2)
    # Two of the trained arms read the source alone, which is half a step.
    return each * config.steps * (len(TRAINED) - 1)


def forecast_sentence(sets: AdaptSets, seconds: float) -> str:
    """What would be trained."""
    images = sum(len(part) for part in sets.train)
    return (
        f"{len(ARMS)} arms would be trained on {images:,} labelled pictures and {len(sets.target):,} of "
        f"{sets.target.name} without labels: {about(seconds)}"
    )


def _train(
    name: str, done: Sequence[AdaptedArm], sets: AdaptSets, key: Key, config: DomainConfig, after_step: Any
) -> AdaptedArm:
    target = sets.target.images
    classifier = train_arm(name, done, sets.train, target, augmentation(), key, config, after_step)
    return described(name, classifier, done, sets.heldout, classifier.probabilities(target))


def _keep(path: Path, arm: AdaptedArm, seconds: float) -> None:
    told = {
        "arm": arm.name,
        "source_score": arm.source_score,
        "information": arm.information,
        "shares": list(arm.shares),
        "details": dict(arm.details),
        "seconds": seconds,
    }
    save_classifier(path, arm.classifier, told)


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
