"""Images that belong together: masks beside what they mask, augmented copies beside one another.

Names alone can mislead: "cat (1)" to "cat (500)" is how many people number their images. A family of names is joined
where its names say what was done (`_aug_3`, `_rotated`, Roboflow's `.rf.<hash>`), other names are asked about; and
whatever would tie more than half of a class together is asked about too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from tenfold.data.alignment import aligned_pairs
from tenfold.data.duplicates import Images, Pairs, component_numbers

LARGEST_FAMILY = 64
LARGEST_SHARE = 0.5
"""Of a class: where one name would hold more of it, the name is that of the class and not of an image."""

_DONE = (
    r"aug|augm|augmented|flip|flipped|hflip|vflip|fliph|flipv|mirror|mirrored|rot|rotate|rotated|rotation|bright|"
    r"brightness|brighter|dark|darker|contrast|noise|noisy|blur|blurred|zoom|zoomed|shift|shifted|shear|sheared|"
    r"jitter|gamma|hue|saturation|elastic|distorted|warp|warped|translated|copy|kopie|duplicate"
)
_AUGMENTED = re.compile(
    rf"(?:[ ._-]rf[._-][0-9a-f]{{8,}}|(?:[ _-]+(?:{_DONE})[ _-]?-?\d*(?:[._]\d+)*(?: ?\(\d+\))?)+)$", re.IGNORECASE
)
_NUMBERED = re.compile(r"(?: ?\(\d+\)|_\d{1,3}_\d{1,5})$")
"""What file managers append to copies and Keras to what it makes of an image, but people to anything too."""
_MASK = re.compile(
    r"[ ._-]+(?:mask|masks|seg|segm|segmentation|gt|groundtruth|annotation|roi)[ _-]?\d*$", re.IGNORECASE
)
_MASK_FOLDERS = frozenset(("mask", "masks", "segmentation", "segmentations", "gt", "groundtruth", "ground_truth"))
_IMAGE_FOLDERS = frozenset(("image", "images", "img", "imgs", "original", "originals"))
_LOSSY = (".jpg", ".jpeg")


def mask_pairs(sources: Sequence[str], labels: npt.NDArray[np.int64]) -> Pairs:
    """Pairs (an image, its mask) of one class: `x_mask.png` or `masks/x.png` of `x`, or `x.png` beside `x.jpg`."""
    families: dict[tuple[int, str, str], list[tuple[bool, int]]] = defaultdict(list)
    for index, (source, label) in enumerate(zip(sources, labels.tolist(), strict=True)):
        path = PurePosixPath(source)
        folders = [folder for folder in path.parts[:-1] if folder.lower() not in _MASK_FOLDERS | _IMAGE_FOLDERS]
        named = _MASK.sub("", path.stem)
        is_mask = (bool(named) and named != path.stem) or any(
            part.lower() in _MASK_FOLDERS for part in path.parts[:-1]
        )
        families[label, "/".join(folders), (named or path.stem).lower()].append((is_mask, index))
    pairs = []
    for family in families.values():
        masks = [index for is_mask, index in family if is_mask]
        images = [index for is_mask, index in family if not is_mask]
        if not masks and len(images) == 2:  # the same stem: one of them is a JPEG, which no mask survives
            lossy = [sources[index].lower().endswith(_LOSSY) for index in images]
            masks = [index for index, is_lossy in zip(images, lossy, strict=True) if not is_lossy]
            images = [index for index, is_lossy in zip(images, lossy, strict=True) if is_lossy]
        if images:
            pairs += [(images[0], mask) for mask in masks]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def sibling_pairs(
    images: Images, sources: Sequence[str], labels: npt.NDArray[np.int64], studied: npt.NDArray[np.int64]
) -> tuple[Pairs, Pairs]:
    """Pairs of one class that were made of one image, by their pixels or names; and pairs that may have been."""
    named = _in_pairs(_families(sources, labels, _AUGMENTED))
    found = np.unique(np.concatenate([aligned_pairs(images, labels, studied), named]), axis=0)
    component = component_numbers(len(labels), [(int(one), int(other)) for one, other in found])
    too_many = np.bincount(component)[component] > np.maximum(2, LARGEST_SHARE * np.bincount(labels)[labels])
    joined, asked = found[~too_many[found[:, 0]]], found[too_many[found[:, 0]]]
    numbered = _in_pairs(_families(sources, labels, _NUMBERED))
    apart = component[numbered[:, 0]] != component[numbered[:, 1]]
    return joined, np.concatenate([asked, numbered[apart]])


def _families(sources: Sequence[str], labels: npt.NDArray[np.int64], mark: re.Pattern[str]) -> list[list[int]]:
    """The images of a class and folder that share a name once the mark is off, small families beside their class."""
    families: dict[tuple[int, str], list[int]] = defaultdict(list)
    marked: set[tuple[int, str]] = set()
    for index, (source, label) in enumerate(zip(sources, labels.tolist(), strict=True)):
        path = PurePosixPath(source)
        stem = mark.sub("", path.stem)
        key = (label, str(path.parent / stem))
        if stem and not stem.lower().startswith(("aug", "copy")):
            families[key].append(index)
            if stem != path.stem:
                marked.add(key)
    counts = np.bincount(labels)
    return [
        members
        for (label, _), members in ((key, families[key]) for key in families if key in marked)
        if 1 < len(members) <= min(LARGEST_FAMILY, max(2, LARGEST_SHARE * counts[label]))
    ]


def _in_pairs(families: Sequence[Sequence[int]]) -> Pairs:
    pairs = [(members[0], other) for members in families for other in members[1:]]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
