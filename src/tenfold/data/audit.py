"""What is in a set, what is wrong with it, and what will be done about each fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tenfold.core.errors import InputError, listed
from tenfold.core.types import ImageDataset, SetAside
from tenfold.data.decoding import BROKEN_EXIF, BROKEN_PROFILE, WRONG_EXTENSION
from tenfold.data.decoding.medical import MIDDLE_SLICE
from tenfold.data.decoding.pixels import FIRST_CHANNELS, FIRST_FRAME
from tenfold.data.detail import DETAIL_LOST
from tenfold.data.duplicates import Pairs, component_numbers, constant_images, exact_sets, near_pairs, turned_pairs
from tenfold.data.readers import layout, patients
from tenfold.data.siblings import mask_pairs, sibling_pairs
from tenfold.data.value_range import OUTSIDE, OWN_RANGE

MOST_COMPARISONS = 10_000 * 10_000
ROLE_ORDER = ("train", "test", "reserve")
"""Of two copies the one whose role stands first here stays."""

Names = tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """The findings; images, or rows of vectors, are named by their source."""

    name: str
    images: int
    image_shape: tuple[int, int, int]
    """C, H, W of every image after conversion; F, 1, 1 of vectors."""
    counts: Mapping[str, int]
    """Images to study, for each class."""
    roles: Mapping[str, int]
    imbalance: float
    """Images of the largest class per image of the smallest."""
    set_aside: tuple[SetAside, ...]
    conversions: Mapping[str, int]
    exact_within: tuple[Names, ...]
    """Sets of equal images of one class."""
    exact_across: tuple[Names, ...]
    """Sets of equal images in two or more classes."""
    near_within: tuple[Names, ...]
    """Pairs of one class."""
    near_across: tuple[Names, ...]
    copies_between_roles: Names
    """Images to test on or to hold in reserve that are (nearly) copies of ones studied."""
    constant: Names
    """Images of one colour; of vectors the features that have one value throughout."""
    single_image_classes: Names
    near_duplicates_searched: bool
    siblings: tuple[Names, ...] = ()
    """Pairs of one class that were made of one image, by a turn, shift, zoom or change of brightness."""
    siblings_in_doubt: tuple[Names, ...] = ()
    """The same, but not sure enough to be joined."""
    masks: tuple[Names, ...] = ()
    """Pairs (an image, what looks like its mask) of one class."""
    columns: Names = ()
    """What the columns of the set's table were taken for."""
    warnings: Names = ()
    actions: Names = ()
    is_vectors: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for `write_json`."""
        return asdict(self)


def audit(dataset: ImageDataset) -> Audit:
    """Look through a set; nothing is changed, see `cleaned`. Of vectors only equal rows are duplicates.

    Grown images are left out of it: they resemble their parents, and share a group with them already.
    """
    roles = dict(Counter(dataset.roles.tolist()))
    if "grown" in roles:  # or else the images would be held twice
        dataset = dataset.take(np.flatnonzero(dataset.roles != "grown"))
    studied = np.flatnonzero(dataset.roles == "train")
    searched = not dataset.is_vectors and len(studied) * len(dataset) <= MOST_COMPARISONS
    same = exact_sets(dataset.images)
    within = [part for members in same for part in _by_class(dataset, members) if len(part) > 1]
    across = [members for members in same if len(set(dataset.labels[members])) > 1]
    near = near_pairs(dataset.images, studied) if searched else np.empty((0, 2), np.int64)
    if not dataset.is_vectors:
        near = np.unique(np.concatenate([near, turned_pairs(dataset.images)]), axis=0)
    siblings, doubts, masks = [np.empty((0, 2), np.int64)] * 3
    if not dataset.is_vectors:
        siblings, doubts = sibling_pairs(dataset.images, dataset.sources, dataset.labels, studied)
        masks = mask_pairs(dataset.sources, dataset.labels)
    alike = dataset.labels[near[:, 0]] == dataset.labels[near[:, 1]]
    pairs_alike = np.concatenate([near[alike], *(_chain(members) for members in within)])
    counts = np.bincount(dataset.labels[studied], minlength=dataset.class_count)
    findings = Audit(
        name=dataset.name,
        images=len(dataset),
        image_shape=dataset.image_shape,
        counts={name: int(count) for name, count in zip(dataset.class_names, counts, strict=True)},
        roles=roles,
        imbalance=round(float(counts.max() / max(1, counts.min())), 2),
        set_aside=dataset.set_aside,
        conversions=dict(dataset.conversions),
        columns=dataset.columns,
        exact_within=tuple(_named(dataset, members) for members in within),
        exact_across=tuple(_named(dataset, members) for members in across),
        near_within=tuple(_named(dataset, pair) for pair in near[alike]),
        near_across=tuple(_named(dataset, pair) for pair in near[~alike]),
        copies_between_roles=_named(dataset, _copies_between_roles(dataset, pairs_alike)),
        constant=_constant(dataset),
        single_image_classes=tuple(dataset.class_names[label] for label in np.flatnonzero(counts == 1)),
        near_duplicates_searched=searched,
        siblings=tuple(_named(dataset, pair) for pair in siblings),
        siblings_in_doubt=tuple(_named(dataset, pair) for pair in doubts),
        masks=tuple(_named(dataset, pair) for pair in masks),
        is_vectors=dataset.is_vectors,
    )
    shared = np.intersect1d(dataset.groups[studied], dataset.groups[dataset.roles != "train"])
    actions = (*findings.columns, *actions_for(findings))
    return replace(findings, actions=actions, warnings=(*dataset.warnings, *warnings_for(findings, len(shared))))


def cleaned(dataset: ImageDataset, findings: Audit) -> ImageDataset:
    """The set as it is studied: duplicates share a group, and what would mislead the verdict is left out.

    Left out are images that stand in two classes, and copies between roles; both are listed in `set_aside`.

    Raises:
        InputError: a class holds nothing but images of other classes.
    """
    position = {source: index for index, source in enumerate(dataset.sources)}
    alike = (*findings.near_within, *findings.exact_within, *findings.siblings, *findings.masks)
    pairs = [(position[same[0]], position[other]) for same in alike for other in same[1:]]
    first_of_group: dict[int, int] = {}
    pairs += [(first_of_group.setdefault(int(group), i), i) for i, group in enumerate(dataset.groups)]
    noun, article = ("row", "a") if dataset.is_vectors else ("image", "an")
    reasons = dict.fromkeys(findings.copies_between_roles, f"copy of {article} {noun} that is studied or tested on")
    for members in findings.exact_across:
        reasons |= {source: f"stands in two classes ({' = '.join(members)})" for source in members}
    left_out = np.array(sorted(position[source] for source in reasons), dtype=np.int64)
    kept = np.setdiff1d(np.arange(len(dataset)), left_out)
    for label in np.setdiff1d(dataset.labels[dataset.roles == "train"], dataset.labels[kept]):
        raise InputError(
            f"every {noun} of class {dataset.class_names[label]!r} also stands in another class; "
            f"keep each {noun} in one class"
        )
    without = tuple(SetAside(dataset.sources[index], reasons[dataset.sources[index]]) for index in left_out)
    groups = component_numbers(len(dataset), pairs)
    return dataset.with_columns(groups=groups, set_aside=dataset.set_aside + without).take(kept)


def told_of_set_aside(dataset: ImageDataset) -> tuple[str, ...]:
    """How many files of a set are not used, one of them with its reason; nothing where all are used."""
    if not dataset.set_aside:
        return ()
    first, count = dataset.set_aside[0], len(dataset.set_aside)
    return (f"{count:,} of {dataset.name} set aside, such as {first.source} ({first.reason})",)


def _constant(dataset: ImageDataset) -> Names:
    if not dataset.is_vectors:
        return _named(dataset, constant_images(dataset.images))
    columns = np.flatnonzero((dataset.images == dataset.images[:1]).all(axis=(0, 2, 3)))
    return tuple(repr(dataset.feature_names[i]) if dataset.feature_names else f"number {i}" for i in columns)


def _by_class(dataset: ImageDataset, members: Pairs) -> list[Pairs]:
    labels = dataset.labels[members]
    return [members[labels == label] for label in np.unique(labels)]


def _chain(members: Pairs) -> Pairs:
    """Every pair of a small set: whichever member stays, the others are compared with it."""
    one, other = np.triu_indices(len(members), k=1)
    return np.stack([members[one], members[other]], axis=1)


def _copies_between_roles(dataset: ImageDataset, pairs: Pairs) -> Pairs:
    rank = np.array([ROLE_ORDER.index(role) for role in dataset.roles])
    one, other = pairs.T
    weaker = np.where(rank[one] > rank[other], one, other)
    copies: Pairs = np.unique(weaker[rank[one] != rank[other]])
    return copies


def _named(dataset: ImageDataset, indices: Pairs) -> Names:
    return tuple(dataset.sources[index] for index in indices)


STRONG_IMBALANCE = 20
MOST_NAMED = 10
"""Classes in one sentence."""
RARE = 10
"""A class of fewer independent images (or groups) counts in a verdict for want of larger ones only, or if asked."""
FILE_WARNINGS = (
    WRONG_EXTENSION, FIRST_FRAME, FIRST_CHANNELS, BROKEN_EXIF, BROKEN_PROFILE, OUTSIDE, OWN_RANGE, MIDDLE_SLICE,
    DETAIL_LOST, *layout.DOUBTS, *patients.DOUBTS,
)  # fmt: skip


def actions_for(findings: Audit) -> tuple[str, ...]:
    """What tenfold does about each finding, one sentence each."""
    in_exact = sum(map(len, findings.exact_within))
    in_across = sum(map(len, findings.exact_across))
    sentences = (
        (len(findings.set_aside), "{} that cannot be used: set aside and listed"),
        (in_exact, "{} with exact copies in the class: copies stay together in one fold"),
        (len(findings.near_within), "{:pair} of near duplicates within a class: kept together in one fold"),
        (
            _members(findings.siblings),
            "{} made of one another, as by a small turn: kept together in one fold",
        ),
        (len(findings.masks), "{:pair} of an image and its mask: kept together in one fold"),
        (in_across, "{} that stand in two classes: left out and listed"),
        (len(findings.copies_between_roles), "{} outside the study that copy others: left out"),
    )
    noun = _noun(findings)
    done = [_counted(sentence, count, noun) for count, sentence in sentences if count]
    done += [_note(what, count, noun) for what, count in findings.conversions.items()]
    if findings.is_vectors and findings.constant:
        count = len(findings.constant)
        which = ", ".join(findings.constant[:3]) + (", ..." if count > 3 else "")
        done.append(
            f"{count:,} feature{'' if count == 1 else 's'} of one constant value, which tell nothing: {which}"
        )
    grown = "" if findings.is_vectors else " and grown"
    done += [
        f"class {name!r} has a single {noun}: it is trained on{grown}, but cannot be evaluated"
        for name in findings.single_image_classes
    ]
    if small := [name for name, count in findings.counts.items() if 1 < count < RARE]:
        done.append(
            f"fewer than {RARE} {noun}s in {listed(small, MOST_NAMED)}: too few to count in a verdict beside "
            "larger classes (--judge-rare lets them)"
        )
    return tuple(done)


def warnings_for(findings: Audit, groups_in_two_roles: int) -> tuple[str, ...]:
    """What deserves the user's eye, one sentence each."""
    warnings = []
    noun = _noun(findings)
    if len(findings.counts) < 2:
        growable = "" if findings.is_vectors else "it can be grown, but "
        warnings.append(f"a single class: {growable}there is nothing to tell apart")
    if findings.imbalance >= STRONG_IMBALANCE:
        warnings.append(f"the largest class has {findings.imbalance:.0f} times the {noun}s of the smallest")
    if findings.constant and not findings.is_vectors:
        count = _counted("{}", len(findings.constant), noun)
        warnings.append(f"{count} of one constant colour, such as {', '.join(findings.constant[:3])}")
    if findings.near_across:
        one, other = findings.near_across[0]
        count = _counted("{:pair}", len(findings.near_across), noun)
        warnings.append(f"{count} of near duplicates in two classes, such as {one} and {other}: check them")
    if findings.siblings_in_doubt:
        one, other = findings.siblings_in_doubt[0]
        count = _counted("{}", _members(findings.siblings_in_doubt), noun)
        warnings.append(
            f"{count} may be copies made of one another, such as {one} and {other}: "
            "if so, give each family a group in metadata.csv"
        )
    if findings.masks:
        image, mask = findings.masks[0]
        warnings.append(
            f"{_counted('{}', len(findings.masks), noun)} that look like masks of others, such as {mask} of {image}: "
            "move them out of the data if they are"
        )
    if groups_in_two_roles:
        warnings.append(f"{groups_in_two_roles} groups have {noun}s both in the study and outside it")
    if not findings.near_duplicates_searched and not findings.is_vectors:
        warnings.append("too many images to search for near duplicates; exact ones were searched")
    seen = [(what, count) for what, count in findings.conversions.items() if what.startswith(FILE_WARNINGS)]
    return (*warnings, *(_note(what, count, noun) for what, count in seen if count))


def _noun(findings: Audit) -> str:
    return "row" if findings.is_vectors else "image"


def _members(pairs: tuple[Names, ...]) -> int:
    return len({source for pair in pairs for source in pair})


def _note(what: str, count: int, noun: str) -> str:
    """An entry of `conversions`; one that begins with `files` says itself what is counted."""
    return f"{count:,} {what}" if what.startswith("files ") else f"{_counted('{}', count, noun)}: {what}"


def _counted(sentence: str, count: int, noun: str) -> str:
    """The sentence with `{}` or `{:pair}` as a number of images (or whatever the noun) or pairs."""
    for mark, counted in (("{:pair}", "pair"), ("{}", noun)):
        sentence = sentence.replace(mark, f"{count:,} {counted}{'' if count == 1 else 's'}")
    return sentence
