"""The sets of `adapt`: sources with labels, a target without, maybe a sealed test; read, audited and framed alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.adaptation.framing import Frame, Framing, Mend, framing, mends, shared_frame
from tenfold.core.errors import InputError, listed
from tenfold.core.keys import Key
from tenfold.core.options import AdaptOptions, MergeOptions, path_as_text
from tenfold.core.types import ImageDataset, ValueRanges
from tenfold.data.audit import FILE_WARNINGS, told_of_set_aside
from tenfold.data.combine import ALL, all_classes, equal_to_any, hold_out, in_classes, missing_classes, read_related
from tenfold.data.load import load, load_unlabelled
from tenfold.data.readers.walk import NOT_READ

HELD_OUT = 0.1
"""Of every source: what an arm still knows of it is measured there."""
FEW_TARGET_IMAGES = 200
"""Between two stains of white blood cells 100 were too few: the arm chosen was 11 points behind source only."""
DEFAULTS = AdaptOptions()
SAME_SET = 0.9
"""Of the target's images; where more of them are among the sources', there is nothing to carry over."""


@dataclass(frozen=True, eq=False)
class AdaptSets:
    """All that `adapt` trains on and is judged by, every image in the same frame."""

    train: tuple[ImageDataset, ...]
    """Of each source what is trained on; all have the same classes."""
    heldout: tuple[ImageDataset, ...]
    """Of each source the rest."""
    target: ImageDataset
    """Of one class, since its labels are not known."""
    target_as_read: ImageDataset
    """The same images before they were framed."""
    test: ImageDataset | None
    """Never shown to anything that trains or chooses."""
    framings: tuple[Framing, ...]
    """Of the sources, then of the target."""
    mending: tuple[Mend, ...]
    """What sets them apart, whether or not it was mended."""
    frame: Frame
    warnings: tuple[str, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.train[0].class_names

    def fingerprints(self) -> dict[str, str]:
        """By which a run that goes on sees that its sets are still the same."""
        named = [("source", part) for part in self.train] + [("held out of", part) for part in self.heldout]
        named += [("target", self.target)] + ([] if self.test is None else [("test", self.test)])
        return {f"{role} {part.name}": part.fingerprint() for role, part in named}


def read_test(test: str | Path | ImageDataset, value_ranges: ValueRanges | None = None) -> ImageDataset:
    """The test part of a labelled set, or all of a set that has none."""
    dataset = test if isinstance(test, ImageDataset) else load(test, per_class=ALL, value_ranges=value_ranges)
    sealed = dataset.part("test")
    return sealed if len(sealed) else dataset


def read_sources(
    sources: Sequence[str | Path | ImageDataset], options: MergeOptions, value_ranges: ValueRanges | None = None
) -> tuple[list[ImageDataset], list[str]]:
    """The sources with the same classes, matched by name, and what to know of them.

    Raises:
        InputError: a set cannot be read.
    """
    limits: dict[str, Any] = {"per_class": options.per_class, "images": options.images, "seed": options.seed}
    named = _unlike_names([read_related(one, **limits, value_ranges=value_ranges) for one in sources])
    names = all_classes(named)
    warnings = [*_class_warnings(named, names), *_set_aside_warnings(named)]
    return [in_classes(source, names) for source in named], warnings


def read_sets(
    sources: Sequence[str | Path | ImageDataset],
    target: str | Path | ImageDataset,
    test: str | Path | ImageDataset | None,
    options: AdaptOptions = DEFAULTS,
) -> AdaptSets:
    """Read, match and frame all sets; `test` may be a loaded set, which an option cannot.

    Raises:
        InputError: a set cannot be read; there is one class in all; the target or the test is among the sources.
    """
    wanted = _unlabelled(target, options.seed)
    matched, warnings = read_sources(sources, options, wanted.value_ranges)
    names = matched[0].class_names
    if len(names) < 2:
        raise InputError(
            f"the sources hold a single class ({names[0]}), so there is nothing to tell apart; add another class"
        )
    sealed = None if test is None else read_test(test, wanted.value_ranges)
    warnings += _target_warnings(matched, wanted)
    framings = [framing(source) for source in matched]
    target_framing = framing(wanted)
    proposed = mends(framings, target_framing)
    frame = shared_frame(framings, target_framing, proposed, options.size, reframed=options.reframe == "auto")
    # What is learned from the sources reads files of the target.
    framed = [replace(frame.on(source), value_ranges=wanted.value_ranges) for source in matched]
    key = Key(f"seed-{options.seed}") / "adapt" / "held out"
    parts = [hold_out(source, HELD_OUT, key / number) for number, source in enumerate(framed)]
    if sealed is not None:
        warnings += [*_test_warnings(matched, wanted, sealed, names), *_set_aside_warnings([sealed])]
        sealed = frame.on(in_classes(sealed, names))
    return AdaptSets(
        tuple(part for part, _ in parts),
        tuple(part for _, part in parts),
        frame.on(wanted),
        wanted,
        sealed,
        (*framings, target_framing),
        proposed,
        frame,
        tuple(warnings),
    )


def option_of(data: str | Path | ImageDataset | None) -> str | None:
    """A set as the options of a run keep it."""
    return data.name if isinstance(data, ImageDataset) else path_as_text(data)


def _unlike_names(sources: Sequence[ImageDataset]) -> list[ImageDataset]:
    """The sets under names that tell them apart."""
    names = [source.name for source in sources]
    numbered = [f"{name} ({number + 1})" if names.count(name) > 1 else name for number, name in enumerate(names)]
    return [replace(source, name=name) for source, name in zip(sources, numbered, strict=True)]


def _class_warnings(sources: Sequence[ImageDataset], names: Sequence[str]) -> list[str]:
    """Classes that only some of the sources have."""
    return [
        f"{source.name} has no images of {listed(missing, 10)}, which other sources have"
        for source in sources
        if (missing := missing_classes(source, names))
    ]


def _set_aside_warnings(sets: Sequence[ImageDataset]) -> list[str]:
    """How many files of each set are not used, one of them with its reason, and what its folders were taken for."""
    set_aside = [sentence for data in sets for sentence in told_of_set_aside(data)]
    seen = ((data, what, count) for data in sets for what, count in data.conversions.items())
    return set_aside + [
        f"{data.name}: {count:,} {'' if what.startswith('files ') else 'images '}{what}"
        for data, what, count in seen
        if what.startswith((NOT_READ, *FILE_WARNINGS))
    ]


def _unlabelled(target: str | Path | ImageDataset, seed: int) -> ImageDataset:
    if isinstance(target, ImageDataset):
        part = target.part("train")
        if not len(part) or part.is_vectors:
            raise InputError(f"{target.name} holds no images outside its test part; give others to label")
        return replace(part, labels=np.zeros_like(part.labels), class_names=("unlabelled",))
    return load_unlabelled(target, seed=seed)


def _target_warnings(sources: Sequence[ImageDataset], target: ImageDataset) -> list[str]:
    warnings = []
    for source in sources:
        copies = equal_to_any(target.images, source.images)
        if copies.mean() > SAME_SET:
            raise InputError(
                f"{copies.sum():,} of the target's {len(target):,} images are among those of {source.name}: there "
                "is nothing to carry over; give another target"
            )
        if copies.any():
            warnings.append(f"{copies.sum():,} of the target's images are among those of {source.name}")
    if len(target) < FEW_TARGET_IMAGES:
        warnings.append(
            f"the target has only {len(target)} image{'' if len(target) == 1 else 's'}: too few to learn what it "
            "is like, and the choice between arms rests on as few"
        )
    return warnings + _set_aside_warnings([target])


def _test_warnings(
    sources: Sequence[ImageDataset], target: ImageDataset, test: ImageDataset, names: Sequence[str]
) -> list[str]:
    for source in sources:
        copies = np.flatnonzero(equal_to_any(test.images, source.images))
        if len(copies):
            raise InputError(
                f"{test.sources[copies[0]]} and {len(copies) - 1} more images of the test set {test.name} are "
                f"among those of {source.name}, which is learned from with labels; remove them from one of the two"
            )
    warnings = []
    present = {test.class_names[label] for label in np.unique(test.labels)}
    unknown = sorted(present - set(names))
    if len(unknown) == len(present):
        raise InputError(
            f"the test set {test.name} shares no class with the sources: {listed(unknown, 10)} there, "
            f"{listed(names, 10)} here; classes are matched by their names"
        )
    if unknown:
        left_out = sum(test.class_names[label] in unknown for label in test.labels)
        warnings.append(
            f"no source has the classes {listed(unknown, 10)} of the test set: its {left_out} images of them are "
            "left out"
        )
    if missing := missing_classes(test, names):
        warnings.append(f"the test set has no images of {listed(missing, 10)} and says nothing about them")
    if known := int(equal_to_any(test.images, target.images).sum()):
        warnings.append(
            f"{known:,} of the {len(test):,} test images are also among the target's: seen, but without labels"
        )
    return warnings
