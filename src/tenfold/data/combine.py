"""Several sets of pictures that are to be learned from together: classes matched by their names, copies found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tenfold.core.errors import InputError, did_you_mean
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, SetAside
from tenfold.data.audit import audit, cleaned
from tenfold.data.duplicates import near_pairs
from tenfold.data.images import GREY_AS_RGB, SCALED_FLOATS, SCALED_INTEGERS
from tenfold.data.load import load
from tenfold.data.readers import index_labels
from tenfold.data.readers.archives import read_npz
from tenfold.data.readers.known import KNOWN
from tenfold.data.readers.metadata import find_table, read_row, records
from tenfold.data.readers.npz import array_kind
from tenfold.data.readers.table import TABLE_SUFFIXES, in_order, read_table

MOST_CLASSES_NAMED = 20
COLOUR_AS_GREY = "colour image turned into grey, as the study is"
OWN_RANGE = "of the external test set scaled to 0..255 by its own range of values, not by the study's"
GROUPS_UNKNOWN = "of the external test set in named groups, which could not be looked for in the study"


def with_external_test(
    study: ImageDataset, test: str | Path, data: str | Path | ImageDataset | None = None
) -> ImageDataset:
    """The study with all images of the set `test` as its sealed test part, at its size and in its colours.

    `test` is anything that `load` reads; what it calls train or test makes no difference, and the study's own
    test part gives way. A group that has the same name in the metadata of both sets is one group, for which
    `data` must say where the study was read from. No file is changed.

    Raises:
        InputError: `test` cannot be read, has a class that the study lacks, or holds an image of the study.
    """
    kept = study.take(np.flatnonzero(study.roles != "test"))
    found = _load(study, test)
    _reject_unknown_classes(study, found)
    sealed = replace(
        found,
        images=_in_colours_of(study, found.images),
        labels=np.array([study.class_names.index(name) for name in found.class_names])[found.labels],
        class_names=study.class_names,
        roles=np.full(len(found), "test"),
    )
    _reject_leaks(kept, sealed)
    told = Counter(study.conversions) + Counter(_conversions(study, found))
    names, names_of_study = group_names(test), group_names(data)
    if names and not names_of_study and len(np.unique(kept.groups)) < len(kept):
        told[GROUPS_UNKNOWN] = len(names)
    if replaced := len(study) - len(kept):
        told[f"of {study.name}'s own test part, which {found.name} takes the place of"] = replaced
    told[f"of {found.name}, sealed as the external test"] = len(sealed)
    for label in np.setdiff1d(kept.labels, sealed.labels):
        told[f"of class {study.class_names[label]!r} in the external test, which says nothing about it"] = 0
    prefix = _prefix(study)
    named = replace(
        sealed,
        groups=_groups(kept, sealed, names_of_study, names),
        sources=tuple(prefix + source for source in sealed.sources),
    )
    return replace(
        kept.joined(named),
        set_aside=(*study.set_aside, *(SetAside(prefix + entry.source, entry.reason) for entry in found.set_aside)),
        conversions=dict(told),
    )


def group_names(data: str | Path | ImageDataset | None) -> dict[str, str]:
    """The group of each image by its source, as the metadata, .npz or .csv at `data` names it; often empty."""
    if data is None or isinstance(data, ImageDataset) or (isinstance(data, str) and data in KNOWN):
        return {}
    path = Path(data)
    if path.is_dir() and (table := find_table(path)):
        rows = [read_row(record, f"{table.name} line {line}") for line, record in records(table)]
        return {row.file_name: row.group.strip() for row in rows if row.group is not None}
    if path.is_file() and path.suffix.lower() == ".npz":
        arrays = read_npz(path)
        if "groups" in arrays and array_kind(arrays) in arrays:
            return {
                f"{path.stem}[{index}]": str(group).strip() for index, group in enumerate(arrays["groups"].ravel())
            }
    if path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
        found = read_table(path)
        return dict(zip(found.sources, (found.words or {}).get("group", ()), strict=False))
    return {}


def _load(study: ImageDataset, test: str | Path) -> ImageDataset:
    _, height, width = study.image_shape
    if height != width:
        raise InputError(f"an external test set needs square images; those of {study.name} are {height} x {width}")
    try:
        if not study.is_vectors:
            return load(test, size=height)
        found = load(test)
        if not found.is_vectors:
            raise InputError(f"{found.name} holds pictures, but {study.name} holds vectors; give more such vectors")
        names, wanted = found.feature_names, study.feature_names
        ordered = in_order(found.images, names, wanted, study.image_shape[0], found.name)
        return replace(found, images=ordered, feature_names=wanted)
    except InputError as error:
        raise InputError(f"external test set: {error}") from error


def _reject_unknown_classes(study: ImageDataset, found: ImageDataset) -> None:
    unknown = [name for name in found.class_names if name not in study.class_names]
    if not unknown:
        return
    hint = did_you_mean(unknown[0], study.class_names)
    nearest = hint if hint.startswith(" Did you mean") else ""
    raise InputError(
        f"the external test set {found.name} has a class {unknown[0]!r} that {study.name} does not have.{nearest} "
        f"Rename or remove it. Classes studied: {_listed(study.class_names)}; "
        f"in the external test set: {_listed(found.class_names)}"
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_CLASSES_NAMED
    return ", ".join(map(repr, names[:MOST_CLASSES_NAMED])) + (f" and {more} more" if more > 0 else "")


def _reject_leaks(kept: ImageDataset, sealed: ImageDataset) -> None:
    """Refuse an image that is both studied (or in reserve) and in the external test set."""
    position = {image.tobytes(): index for index, image in enumerate(kept.images)}
    twins = [(position.get(image.tobytes()), index) for index, image in enumerate(sealed.images)]
    pairs = [(kept.sources[one], sealed.sources[other]) for one, other in twins if one is not None]
    if pairs:
        one, other = pairs[0]
        more = f" (and {len(pairs) - 1} more like these)" if len(pairs) > 1 else ""
        raise InputError(
            f"{one} of {kept.name} and {other} of the external test set {sealed.name} are the same "
            f"{'row' if kept.is_vectors else 'image'}{more}; remove one of them"
        )


def _in_colours_of(study: ImageDataset, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    channels = study.image_shape[0]
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=1)
    # The luminance that PIL takes; equal channels keep their value to the bit, so that copies stay equal.
    grey = [np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L")) for image in images]
    return np.stack(grey)[:, np.newaxis]


def _conversions(study: ImageDataset, found: ImageDataset) -> dict[str, int]:
    """What was done to the external images; that some of a known set would be studied is not true of them."""
    told = {what: count for what, count in found.conversions.items() if not what.startswith("studied, ")}
    channels, given = study.image_shape[0], found.image_shape[0]
    if channels < given:
        told.pop(GREY_AS_RGB, None)
        told[COLOUR_AS_GREY] = int((found.images != found.images[:, :1]).any(axis=(1, 2, 3)).sum())
    elif channels > given:
        told[GREY_AS_RGB] = len(found)
    if scaled := told.get(SCALED_INTEGERS, 0) + told.get(SCALED_FLOATS, 0):
        told[OWN_RANGE] = scaled
    return told


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
"""Pictures whose duplicates are looked for, which takes time that grows with the square of their number."""
FEWEST_TO_SPARE = 5
"""Groups of a class; of fewer none is held out."""


def read_related(
    data: str | Path | ImageDataset, *, per_class: int | None = None, images: int | None = None, seed: int = 0
) -> ImageDataset:
    """The pictures of a labelled set that are to be learned from, without faults and without its own test part.

    Raises:
        InputError: it cannot be read, or holds vectors.
    """
    if isinstance(data, ImageDataset):
        found = data
    elif images is not None:
        found = load(data, images=images, seed=seed)
    else:
        found = load(data, per_class=per_class or ALL, seed=seed)
    if found.is_vectors:
        raise InputError(f"{found.name} holds vectors; this takes pictures")
    studied = found.part("train")
    return cleaned(studied, audit(studied)) if len(studied) <= LARGEST_AUDITED else studied


def all_classes(sets: Sequence[ImageDataset]) -> tuple[str, ...]:
    """The classes that any of the sets has a picture of, in order."""
    names = {data.class_names[label] for data in sets for label in np.unique(data.labels)}
    return index_labels(sorted(names))[0]


def in_classes(data: ImageDataset, class_names: Sequence[str]) -> ImageDataset:
    """The pictures of classes of these names, labelled by their place among them; the others are left out."""
    place = {name: index for index, name in enumerate(class_names)}
    moved = np.array([place.get(name, -1) for name in data.class_names], dtype=np.int64)[data.labels]
    kept = np.flatnonzero(moved >= 0)
    part = data.take(kept)
    return replace(part, labels=moved[kept], class_names=tuple(class_names))


def missing_classes(data: ImageDataset, class_names: Sequence[str]) -> list[str]:
    """Those of the names that the set has no picture of."""
    present = {data.class_names[label] for label in np.unique(data.labels)}
    return [name for name in class_names if name not in present]


def hold_out(data: ImageDataset, share: float, key: Key) -> tuple[ImageDataset, ImageDataset]:
    """About so much of every class by whole groups: what is trained on, and what is held out.

    Classes of fewer than five groups are trained on whole.
    """
    chosen: set[int] = set()
    for label in np.unique(data.labels):
        groups = np.unique(data.groups[data.labels == label])
        if len(groups) >= FEWEST_TO_SPARE:
            count = max(1, round(share * len(groups)))
            chosen.update((key / int(label)).numpy_generator().permutation(groups)[:count].tolist())
    out = np.isin(data.groups, list(chosen))
    # A group of several classes may take the last pictures of a small one along.
    left = np.bincount(data.labels[~out], minlength=data.class_count)
    out &= left[data.labels] > 0
    return data.take(np.flatnonzero(~out)), data.take(np.flatnonzero(out))


def equal_to_any(images: Images, others: Images) -> npt.NDArray[np.bool_]:
    """N marks of pictures that are the same, value by value, as one of the others; of another shape none is."""
    if images.shape[1:] != others.shape[1:]:
        return np.zeros(len(images), np.bool_)
    known = {image.tobytes() for image in others}
    return np.array([image.tobytes() in known for image in images], dtype=np.bool_)


def copies_of(images: Images, others: Images) -> npt.NDArray[np.int64]:
    """Pairs M x 2 (one of the images, one of the others) that are equal, or as close as a re-saved JPEG."""
    known = {image.tobytes(): index for index, image in enumerate(others)}
    equal = [(index, known[key]) for index, image in enumerate(images) if (key := image.tobytes()) in known]
    joined = np.concatenate([others, images])
    near = near_pairs(joined, np.arange(len(others)))
    near = np.sort(near, axis=1)
    across = near[(near[:, 0] < len(others)) & (near[:, 1] >= len(others))]
    pairs = [
        np.array(equal, dtype=np.int64).reshape(-1, 2),
        np.stack([across[:, 1] - len(others), across[:, 0]], axis=1),
    ]
    return np.unique(np.concatenate(pairs), axis=0)
