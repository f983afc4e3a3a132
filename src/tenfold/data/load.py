"""`load`: whatever the user points at becomes one ImageDataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.options import DataOptions
from tenfold.core.types import Data, ImageDataset, ValueRanges
from tenfold.data.decode_set import decode_set
from tenfold.data.duplicates import equal_pairs
from tenfold.data.readers import UNLABELLED, manifest_of
from tenfold.data.readers.known import KNOWN

DEFAULT_PER_CLASS = 20
LARGEST_SIDE = 1024
LARGEST_RESERVE = 5_000
LARGEST_TEST = 10_000

Indices = npt.NDArray[np.int64]


def load(
    data: str | Path,
    options: DataOptions | None = None,
    *,
    value_ranges: ValueRanges | None = None,
    large_side: int | None = None,
    **changes: Any,
) -> ImageDataset:
    """Read a labelled set: a folder of class folders, a folder with metadata, an .npz, a .csv, or a known name.

    Images become uint8 squares of `size` pixels (default: the median of the longer sides, at most 64). Of the
    images of role `train`, `per_class` a class or `images` in all are studied and the others are the reserve.
    The rows of a .csv or .tsv, and an .npz's `features` or `embeddings`, are vectors, which have no size.
    `changes` are fields of `DataOptions` by name, as every verb takes them.
    `class_folders` says which folders name the class where several lie around each image: the one at the `top`, all
    of them as a `path`, or the `last`, which holds the image.
    `file_column`, `label_column` and `group_column` name the columns of a table, where they are called otherwise.
    A bare known name such as `digits` means the known set; write `./digits` for a folder of that name.
    Of a set that was grown from its own images, those that were made are trained on where their parents are.
    Values of more than 8 bits are scaled by one range for all images, which `value_ranges` may give, as those of
    another set do: values outside are cut off.
    With `large_side`, files that have more pixels than `size` are kept a second time with up to so many, for
    pre-trained networks (`ImageDataset.large`).

    Raises:
        InputError: the data cannot be used; the message names what mends it.
    """
    size = changes.get("size", options.size if options else None)
    if isinstance(size, int) and not 4 <= size <= LARGEST_SIDE:
        raise InputError(f"--size must be between 4 and {LARGEST_SIDE} pixels, not {size}")
    asked = DataOptions.of(options, changes)
    size, per_class, images = asked.size, asked.per_class, asked.images
    manifest = manifest_of(data, class_folders=asked.class_folders, columns=asked.columns)
    if size is not None and manifest.vectors is not None:
        raise InputError(f"{manifest.name} holds vectors, which have no size in pixels; leave --size out")
    known = KNOWN.get(data) if isinstance(data, str) else None
    limited_by_default = per_class is None and images is None and known is not None and known.large
    indices, roles = choose(
        manifest.labels,
        manifest.roles,
        manifest.groups,
        per_class=DEFAULT_PER_CLASS if limited_by_default else per_class,
        images=images,
        key=Key(f"seed-{asked.seed}"),
        half_of_rest_is_test=known is not None and known.without_test_part,
    )
    dataset = decode_set(manifest, indices, roles, size, value_ranges, large_side)
    if limited_by_default:
        note = f"studied, {DEFAULT_PER_CLASS} of each class (--per-class takes more)"
        studied = int((dataset.roles == "train").sum())
        dataset = dataset.with_columns(conversions={note: studied, **dataset.conversions})
    if manifest.roles_given_by_user:
        _reject_leaks(dataset)
    return dataset


def loaded(data: Data, options: DataOptions, value_ranges: ValueRanges | None = None) -> ImageDataset:
    """The set as it is, or read with these options."""
    return data if isinstance(data, ImageDataset) else load(data, options, value_ranges=value_ranges)


def load_unlabelled(data: str | Path, *, images: int | None = None, seed: int = 0) -> ImageDataset:
    """Images without their labels: a folder of images in any folders, or anything that `load` reads.

    Of a set with a test part that part is left out. Whatever labels there are, all come back as of one class.

    Args:
        images: so many, drawn at random; all, unless given.

    Raises:
        InputError: there are no images, or none can be read.
    """
    manifest = manifest_of(data, labelled=False)
    if manifest.vectors is not None:
        raise InputError(f"{manifest.name} holds vectors; this takes images")
    chosen = np.flatnonzero(manifest.roles == "train")
    if images is not None and images < len(chosen):
        random = Key(f"seed-{seed}") / "unlabelled"
        chosen = np.sort(random.numpy_generator().choice(chosen, images, replace=False))
    hidden = replace(manifest, class_names=(UNLABELLED,), labels=np.zeros_like(manifest.labels))
    return decode_set(hidden, chosen, manifest.roles[chosen])


def require_classes(dataset: ImageDataset) -> None:
    """Refuse what no classifier can be judged on; growing such a set stays allowed.

    Raises:
        InputError: fewer than two classes hold images to study.
    """
    studied = np.unique(dataset.labels[dataset.roles == "train"])
    if len(studied) < 2:
        only = dataset.class_names[studied[0]] if len(studied) else "none"
        raise InputError(
            f"{dataset.name} has a single class ({only}), so there is nothing to tell apart; "
            "add a second class folder (`tenfold grow` works with one)"
        )


def _reject_leaks(dataset: ImageDataset) -> None:
    """Refuse an image that the data's own parts hold both for training and for testing."""
    study, test = dataset.part("train"), dataset.part("test")
    for copy, original in equal_pairs(test.images, study.images):
        raise InputError(
            f"{study.sources[original]} (train) and {test.sources[copy]} (test) are the same "
            f"{'row' if dataset.is_vectors else 'image'}; remove one of them"
        )


def choose(
    labels: Indices,
    roles: npt.NDArray[np.str_],
    groups: Indices,
    *,
    per_class: int | None,
    images: int | None,
    key: Key,
    half_of_rest_is_test: bool = False,
) -> tuple[Indices, npt.NDArray[np.str_]]:
    """Indices of the images to read, in their old order, and the role of each.

    Of the images of role `train`, `per_class` a class or `images` in all stay; the others become `reserve`
    (or, with `half_of_rest_is_test`, half of them `test`), except those that share a group with a studied
    image: a patient's other images would tell the oracle about the folds. Reserve and test are capped. What was
    grown stays where its parents are studied.

    Raises:
        InputError: both numbers are given, or they are too small.
    """
    roles = roles.astype("<U8")  # wide enough for every role: numpy cuts longer words off in silence
    if per_class is not None or images is not None:
        pool = np.flatnonzero(roles == "train")
        quota = _quota(np.bincount(labels[pool], minlength=int(labels.max()) + 1), per_class, images)
        studied = _draw(pool, labels, quota, key / "subset")
        rest = np.setdiff1d(pool, studied)
        roles[rest] = np.where(np.isin(groups[rest], groups[studied]), "left out", "reserve")
        if half_of_rest_is_test:
            rest = rest[roles[rest] == "reserve"]
            half = np.bincount(labels[rest], minlength=len(quota)) // 2
            roles[_draw(rest, labels, half, key / "test")] = "test"
    studied_groups = groups[roles == "train"]
    kept = [np.flatnonzero((roles == "train") | ((roles == "grown") & np.isin(groups, studied_groups)))]
    for role, cap in (("reserve", LARGEST_RESERVE), ("test", LARGEST_TEST)):
        members = np.flatnonzero(roles == role)
        if len(members) > cap:
            members = _draw(members, labels, shares(np.bincount(labels[members]), cap), key / f"cap-{role}")
        kept.append(members)
    indices = np.sort(np.concatenate(kept))
    return indices, roles[indices]


def shares(counts: Indices, total: int) -> Indices:
    """`total` split in proportion to `counts`; where there are enough, every class that has one gets one."""
    total = min(total, int(counts.sum()))
    exact = counts * (total / int(counts.sum()))
    least = (counts > 0).astype(np.int64) if total >= (counts > 0).sum() else np.zeros_like(counts)
    quota: Indices = np.maximum(np.floor(exact).astype(np.int64), least)
    while quota.sum() != total:
        step = 1 if quota.sum() < total else -1
        possible = (quota < counts) if step > 0 else (quota > least)
        lag = np.where(possible, step * (exact - quota), -np.inf)
        quota[int(np.argmax(lag))] += step
    return quota


def _quota(counts: Indices, per_class: int | None, images: int | None) -> Indices:
    if per_class is not None and images is not None:
        raise InputError("give --per-class or --images, not both")
    if per_class is not None:
        if per_class < 1:
            raise InputError(f"--per-class must be at least 1, not {per_class}")
        return np.minimum(counts, np.int64(per_class))
    classes = int((counts > 0).sum())
    if images is None or images < classes:
        raise InputError(f"--images must be at least {classes}, one for each class, not {images}")
    return shares(counts, images)


def _draw(pool: Indices, labels: Indices, quota: Indices, key: Key) -> Indices:
    """`quota[k]` members of `pool` of each class k; a class's draw does not depend on the other classes."""
    chosen = [
        (key / label).numpy_generator().permutation(pool[labels[pool] == label])[:number]
        for label, number in enumerate(quota)
        if number
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64) if chosen else np.empty(0, np.int64)
