"""The ways of using several sources, and what each predicts of every picture by trainings that did not see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tenfold.adaptation.dann import DomainConfig, train_domains
from tenfold.adaptation.selection import DANN, SETTINGS, augmentation
from tenfold.core.files import read_json, write_json
from tenfold.core.keys import Key
from tenfold.core.progress import progress
from tenfold.core.types import ImageDataset
from tenfold.runs.workers import done_by_workers

FOLDS = 3


@dataclass(frozen=True)
class Way:
    """One way of using the sources."""

    name: str
    sources: tuple[int, ...]
    """Those that are learned from."""
    judged_on: tuple[int, ...]
    aligned: bool = False


def deal_folds(source: ImageDataset, key: Key) -> npt.NDArray[np.int64]:
    """N fold numbers: the groups of each class are dealt out in turn."""
    fold = np.zeros(len(source), np.int64)
    fold_of: dict[int, int] = {}
    dealt = 0
    for label in np.unique(source.labels):
        groups = np.unique(source.groups[source.labels == label])
        for group in (key / int(label)).numpy_generator().permutation(groups):
            if int(group) not in fold_of:
                fold_of[int(group)] = dealt % FOLDS
                dealt += 1
    fold[:] = [fold_of[int(group)] for group in source.groups]
    return fold


def ways_of(names: Sequence[str]) -> list[Way]:
    every = tuple(range(len(names)))
    ways = [Way(f"{name} alone", (number,), every) for number, name in enumerate(names)]
    ways += [Way("pooled", every, every), Way("pooled + DANN", every, every, aligned=True)]
    if len(names) > 2:
        for number, name in enumerate(names):
            rest = tuple(other for other in every if other != number)
            ways += [
                Way(f"without {name}", rest, (number,)),
                Way(f"without {name}, DANN", rest, (number,), aligned=True),
            ]
    return ways


def cross_predictions(
    ways: Sequence[Way],
    sources: Sequence[ImageDataset],
    folds: Sequence[npt.NDArray[np.int64]],
    directory: Path,
    key: Key,
    config: DomainConfig,
    workers: int,
) -> dict[str, dict[int, npt.NDArray[np.int64]]]:
    """Of each way and source, the predicted class of every picture; each fold is kept as a file when it is done."""
    found = {way.name: {number: np.zeros(len(sources[number]), np.int64) for number in way.judged_on} for way in ways}
    pieces = [(number, way, fold) for number, way in enumerate(ways) for fold in range(FOLDS)]
    paths = [directory / f"{number:02d}-fold-{fold}.json" for number, _, fold in pieces]
    missing = [(piece, path) for piece, path in zip(pieces, paths, strict=True) if not path.exists()]
    jobs = [(way, fold, sources, folds, key / f"fold-{fold}", config) for (_, way, fold), _ in missing]
    with progress("trainings", len(pieces), done=len(pieces) - len(missing)) as bar:
        for number, predicted in done_by_workers(_predictions, jobs, workers):
            (_, way, fold), path = missing[number]
            write_json(path, {"way": way.name, "fold": fold, "predicted": predicted})
            bar.advance(1, way.name)
    for (_, way, fold), path in zip(pieces, paths, strict=True):
        for name, labels in read_json(path)["predicted"].items():
            found[way.name][int(name)][folds[int(name)] == fold] = labels
    return found


def _predictions(
    way: Way,
    fold: int,
    sources: Sequence[ImageDataset],
    folds: Sequence[npt.NDArray[np.int64]],
    key: Key,
    config: DomainConfig,
) -> dict[str, list[int]]:
    """Of each source that the way is judged on, by its number: the predicted classes of the fold's pictures."""
    train = [sources[number].take(np.flatnonzero(folds[number] != fold)) for number in way.sources]
    settings = replace(config, adversary=SETTINGS[DANN]["adversary"]) if way.aligned else config
    classifier = train_domains(train, sources[0].images[:0], augmentation(), key, settings)
    return {
        str(number): classifier.probabilities(sources[number].images[folds[number] == fold]).argmax(1).tolist()
        for number in way.judged_on
    }
