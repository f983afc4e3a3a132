"""Several sets as one: an external test set beside the study, or sets that are to be learned from together.

An external test set is a second set of labelled images, sealed: the arms are tested on it and nothing learns from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError, did_you_mean, listed
from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset, SetAside, ValueRanges
from tenfold.data.audit import audit, cleaned
from tenfold.data.duplicates import equal_pairs, near_pairs
from tenfold.data.images import GREY_AS_RGB, with_channels
from tenfold.data.load import load
from tenfold.data.readers import has_table, index_labels, manifest_of
from tenfold.data.readers.known import KNOWN
from tenfold.data.readers.layout import POOLED, SEALED
from tenfold.data.readers.table import in_order
from tenfold.data.splits import in_drawn_groups
from tenfold.data.value_range import OWN_RANGE, SCALED, holds

COLOUR_AS_GREY = "colour image turned into grey, as the study is"
GROUPS_UNKNOWN = "of the external test set in named groups, which could not be looked for in the study"


def with_external_test(
    study: ImageDataset,
    test: str | Path,
    data: str | Path | ImageDataset | None = None,
    columns: Mapping[str, str] | None = None,
) -> ImageDataset:
    """The study with all images of the set `test` as its sealed test part, at its size and in its colours.

    `test` is anything that `load` reads; what it calls train or test makes no difference, and the study's own
    test part gives way. A group that has the same name in the metadata of both sets is one group, for which
    `data` must say where the study was read from. No file is changed. `columns` names those of both sets' tables.

    Raises:
        InputError: `test` cannot be read, has a class that the study lacks, or holds an image of the study.
    """
    kept = study.take(np.flatnonzero(study.roles != "test"))
    columns_of_test = columns if has_table(Path(test)) else None
    external = _load(study, test, columns_of_test)
    _reject_unknown_classes(study, external)
    sealed = external.with_columns(
        images=external.rows if study.is_vectors else _in_colours(external.rows, study.image_shape[0]),
        labels=np.array([study.class_names.index(name) for name in external.class_names])[external.labels],
        class_names=study.class_names,
        roles=np.full(len(external), "test"),
    )
    _reject_leaks(kept, sealed)
    conversions = Counter(study.conversions) + Counter(_conversions(study, external))
    names, names_of_study = group_names(test, columns_of_test), group_names(data, columns)
    if names and not names_of_study and len(np.unique(kept.groups)) < len(kept):
        conversions[GROUPS_UNKNOWN] = len(names)
    if replaced := len(study) - len(kept):
        conversions[f"of {study.name}'s own test part, which {external.name} takes the place of"] = replaced
    conversions[f"of {external.name}, sealed as the external test"] = len(sealed)
    for label in np.setdiff1d(kept.labels, sealed.labels):
        conversions[f"of class {study.class_names[label]!r} in the external test, which says nothing about it"] = 0
    prefix = _prefix(study)
    named = sealed.with_columns(
        groups=_groups(kept, sealed, names_of_study, names),
        sources=tuple(prefix + source for source in sealed.sources),
    )
    return kept.joined(named).with_columns(
        set_aside=(
            *study.set_aside,
            *(SetAside(prefix + entry.source, entry.reason) for entry in external.set_aside),
        ),
        conversions=dict(conversions),
    )


def group_names(data: str | Path | ImageDataset | None, columns: Mapping[str, str] | None = None) -> dict[str, str]:
    """The group of each image by its source, as the metadata, .npz or .csv at `data` names it; often empty."""
    if data is None or isinstance(data, ImageDataset) or data in KNOWN:
        return {}
    manifest = manifest_of(data, columns=columns)
    return dict(zip(manifest.sources, manifest.group_names, strict=False))


def _load(study: ImageDataset, test: str | Path, columns: Mapping[str, str] | None) -> ImageDataset:
    _, height, width = study.image_shape
    named: dict[str, Any] = {f"{what}_column": name for what, name in (columns or {}).items()}
    if height != width:
        raise InputError(f"an external test set needs square images; those of {study.name} are {height} x {width}")
    try:
        if not study.is_vectors:
            side = None if study.rows.large is None else study.rows.large.shape[-1]
            named |= {"value_ranges": study.value_ranges}
            external = load(test, size=height, large_side=side, **named)
            if side in (None, external.large.image_shape[-1]):
                return external
            return external.with_large(load(test, size=side, **named).rows)  # files of fewer pixels are enlarged
        external = load(test, **named)
        if not external.is_vectors:
            raise InputError(f"{external.name} holds images, but {study.name} holds vectors; give more such vectors")
        names, wanted = external.feature_names, study.feature_names
        ordered = in_order(external.images, names, wanted, study.image_shape[0], external.name)
        return external.with_columns(images=ordered, feature_names=wanted)
    except InputError as error:
        raise InputError(f"external test set: {error}") from error


def _in_colours(rows: ImageRows, channels: int) -> ImageRows:
    large = None if rows.large is None else _in_colours(rows.large, channels)
    return ImageRows((with_channels(rows[:], channels),), large=large)


def _reject_unknown_classes(study: ImageDataset, external: ImageDataset) -> None:
    unknown = [name for name in external.class_names if name not in study.class_names]
    if not unknown:
        return
    hint = did_you_mean(unknown[0], study.class_names)
    nearest = hint if hint.startswith(" Did you mean") else ""
    raise InputError(
        f"the external test set {external.name} has a class {unknown[0]!r} that {study.name} does not have.{nearest} "
        f"Rename or remove it. Classes studied: {listed(study.class_names)}; "
        f"in the external test set: {listed(external.class_names)}"
    )


def _reject_leaks(kept: ImageDataset, sealed: ImageDataset) -> None:
    """Refuse an image that is both studied (or in reserve) and in the external test set."""
    pairs = equal_pairs(sealed.images, kept.images)
    if len(pairs):
        other, one = sealed.sources[pairs[0, 0]], kept.sources[pairs[0, 1]]
        more = f" (and {len(pairs) - 1} more like these)" if len(pairs) > 1 else ""
        raise InputError(
            f"{one} of {kept.name} and {other} of the external test set {sealed.name} are the same "
            f"{'row' if kept.is_vectors else 'image'}{more}; remove one of them"
        )


def _conversions(study: ImageDataset, external: ImageDataset) -> dict[str, int]:
    """What was done to the external images; which of them their set would study or test on is not true of them."""
    conversions = {
        what: count
        for what, count in external.conversions.items()
        if not what.startswith(("studied, ", POOLED, SEALED))
    }
    channels, given = study.image_shape[0], external.image_shape[0]
    if channels < given:
        conversions.pop(GREY_AS_RGB, None)
        conversions[COLOUR_AS_GREY] = int((external.images != external.images[:, :1]).any(axis=(1, 2, 3)).sum())
    elif channels > given:
        conversions[GREY_AS_RGB] = len(external)
    return conversions


def _groups(
    kept: ImageDataset, sealed: ImageDataset, names_of_study: dict[str, str], names: dict[str, str]
) -> npt.NDArray[np.int64]:
    """The groups of the external images: numbers of their own, but the study's where both name the same."""
    known = {
        names_of_study[source]: int(group)
        for source, group in zip(kept.sources, kept.groups, strict=True)
        if source in names_of_study
    }
    fresh = int(kept.groups.max(initial=-1)) + 1
    groups = [
        known.get(names.get(source, ""), fresh + int(group))
        for source, group in zip(sealed.sources, sealed.groups, strict=True)
    ]
    return np.array(groups, dtype=np.int64)


def _prefix(study: ImageDataset) -> str:
    """What stands before the external images' sources, so that none is taken for one of the study's."""
    prefix = "test/"
    while any(source.startswith(prefix) for source in study.sources):
        prefix = f"external-{prefix}"
    return prefix


Images = npt.NDArray[np.uint8]
ALL = 1_000_000_000
"""More images than any set has: known sets are used whole unless told otherwise."""
LARGEST_AUDITED = 3_000
"""Images whose duplicates are looked for, which takes time that grows with the square of their number."""
FEWEST_TO_SPARE = 5
"""Groups of a class; of fewer none is held out."""


def read_related(
    data: str | Path | ImageDataset,
    *,
    per_class: int | None = None,
    images: int | None = None,
    seed: int = 0,
    value_ranges: ValueRanges | None = None,
) -> ImageDataset:
    """The images of a labelled set that are to be learned from, without faults and without its own test part.

    They are scaled by `value_ranges`, those of the set that they are to serve, where these hold all their values,
    or else by their own.

    Raises:
        InputError: it cannot be read, or holds vectors.
    """
    limit: dict[str, Any] = {"per_class": per_class or ALL} if images is None else {"images": images}
    dataset = data if isinstance(data, ImageDataset) else load(data, **limit, seed=seed)
    if value_ranges is not None and dataset.value_ranges != value_ranges and not isinstance(data, ImageDataset):
        dataset = _scaled_alike(
            dataset, value_ranges, lambda: load(data, **limit, seed=seed, value_ranges=value_ranges)
        )
    if dataset.is_vectors:
        raise InputError(f"{dataset.name} holds vectors; this takes images")
    studied = dataset.part("train")
    return cleaned(studied, audit(studied)) if len(studied) <= LARGEST_AUDITED else studied


def _scaled_alike(dataset: ImageDataset, wanted: ValueRanges, again: Callable[[], ImageDataset]) -> ImageDataset:
    """The set read again by the range that is wanted, or as it is, which is told, where that would cut values off."""
    if not dataset.value_ranges:
        return dataset
    if holds(wanted, dataset.value_ranges):
        return again()
    deep = sum(count for what, count in dataset.conversions.items() if what.startswith(tuple(SCALED.values())))
    return dataset.with_columns(conversions={OWN_RANGE: deep, **dataset.conversions})


def all_classes(sets: Sequence[ImageDataset]) -> tuple[str, ...]:
    """The classes that any of the sets has an image of, in order."""
    names = {data.class_names[label] for data in sets for label in np.unique(data.labels)}
    return index_labels(sorted(names))[0]


def in_classes(data: ImageDataset, class_names: Sequence[str]) -> ImageDataset:
    """The images of classes of these names, labelled by their place among them; the others are left out."""
    place = {name: index for index, name in enumerate(class_names)}
    moved = np.array([place.get(name, -1) for name in data.class_names], dtype=np.int64)[data.labels]
    kept = np.flatnonzero(moved >= 0)
    part = data.take(kept)
    return part.with_columns(labels=moved[kept], class_names=tuple(class_names))


def missing_classes(data: ImageDataset, class_names: Sequence[str]) -> list[str]:
    """Those of the names that the set has no image of."""
    present = {data.class_names[label] for label in np.unique(data.labels)}
    return [name for name in class_names if name not in present]


def hold_out(data: ImageDataset, share: float, key: Key) -> tuple[ImageDataset, ImageDataset]:
    """About so much of every class by whole groups: what is trained on, and what is held out.

    Classes of fewer than five groups are trained on whole.
    """
    out = in_drawn_groups(data, lambda groups: max(1, round(share * groups)) if groups >= FEWEST_TO_SPARE else 0, key)
    # A group of several classes may take the last images of a small one along.
    left = np.bincount(data.labels[~out], minlength=data.class_count)
    out &= left[data.labels] > 0
    return data.take(np.flatnonzero(~out)), data.take(np.flatnonzero(out))


def equal_to_any(images: Images, others: Images) -> npt.NDArray[np.bool_]:
    """N marks of images that are the same, value by value, as one of the others; of another shape none is."""
    return np.isin(np.arange(len(images)), equal_pairs(images, others)[:, 0])


def copies_of(images: Images, others: Images) -> npt.NDArray[np.int64]:
    """Pairs M x 2 (one of the images, one of the others) that are equal, or as close as a re-saved JPEG."""
    near = near_pairs(np.concatenate([others, images]), np.arange(len(others)))
    near = np.sort(near, axis=1)
    across = near[(near[:, 0] < len(others)) & (near[:, 1] >= len(others))]
    return np.unique(np.concatenate([equal_pairs(images, others), across[:, ::-1] - [len(others), 0]]), axis=0)
