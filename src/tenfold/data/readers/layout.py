"""What the folders between a set's root and an image mean: a part of the data, a class, a patient, or nothing.

Only paths are looked at, so that whatever has paths (a folder, an archive) is read alike.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenfold.core.options import ClassFolders
from tenfold.core.types import Role

Parts = tuple[str, ...]
"""A path below the root, its file's name last."""

POOLED = "in folders such as train and val: studied together, as folds take the place of such parts"
SEALED = "in a folder called test: sealed as the external test"
READ_THROUGH = "in folders inside a class folder: of the class that the folder at the top names"
GROUPED = "in folders that look like patients: whatever lies in one of these stays in one fold"
NO_PATIENT = "in no patient's folder, while others are: taken as of a patient each"
NO_LABEL = "in a test or validation folder without class folders: unlabelled and not used"
UNNAMED = "that the table of labels beside them does not name: not used"
DOUBTS = (UNNAMED, READ_THROUGH, NO_PATIENT, NO_LABEL)
"""What is said as a warning: a guess, or images that are not used."""

_SPLIT = re.compile(r"(train|training|val|valid|validation|dev|test|testing)([ _-]?(set|data|split|images))?")
_PATIENT = re.compile(
    r"(p|pat|patient|sub|subj|subject|case|person|participant|individual|donor|animal|mouse|rat|pid|id)[ _-]*\d+\w*"
    r"|tcga-\w\w-\w{4}.*|\d{5,}|[a-z]{1,4}[_-]?\d{5,}",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"(series|serie|ser|study|scan|session|ses|visit|slice|slide|batch|part|roi|region|tile|patch|crop|frame|seq|"
    r"sequence|video|clip|run|plate|well|field|fov|exam|acquisition|img|image|date|replicate|rep|camera|cam|view|"
    r"position|pos|volume|vol|stack|group|folder|dir|set)[ _-]*\d+\w*|\d{3,}([ ._-]\d+)*|\d+(\.\d+)+|\d+x",
    re.IGNORECASE,
)
_CONTAINER_NAMES = (
    "imgs img images image data raw jpg jpeg png tif tiff bmp photos pictures files original originals crops "
    "mask masks label labels annotation annotations segmentation segmentations gt ground_truth groundtruth"
)
_CONTAINERS = frozenset(_CONTAINER_NAMES.split())


@dataclass(frozen=True, slots=True)
class Placed:
    """What an image's folders say of it."""

    label: str
    group: str | None
    """The folder that looks like a patient's."""
    part: str | None
    """The folder inside the class folder that names a part of the data, such as `test`."""
    deeper: bool
    """Whether folders stand between the class and the image that were read through."""


def split_role(folder: str) -> Role | None:
    """The role of the images in a folder of this name, if it names a part of the data and no class."""
    named = _SPLIT.fullmatch(folder.strip().lower())
    return None if named is None else "test" if named[1].startswith("test") else "train"


def split_folders(images: Iterable[Parts]) -> dict[str, Role]:
    """The folders at the top that are parts of the data; empty where they are classes.

    They are parts where all folders with images are called like parts. A folder `train` beside `bus` and `car` is
    a class of its own.
    """
    tops = {parts[0] for parts in images if len(parts) > 1}
    roles = {top: split_role(top) for top in sorted(tops)}
    return {top: role for top, role in roles.items() if role} if None not in roles.values() else {}


def doubtful_folder(images: Iterable[Parts]) -> str | None:
    """The first folder inside a class folder that may well be a class of its own; None where all is clear.

    It is clear where a class folder holds images itself, or a single folder, or folders that are called like
    patients, series or `images`.
    """
    inner: dict[str, set[Parts]] = defaultdict(set)
    for parts in images:
        inner[parts[0]].add(parts[1:-1])
    for top, folders in sorted(inner.items()):
        depth = 0
        while all(len(folder) > depth for folder in folders) and len({folder[depth] for folder in folders}) == 1:
            depth += 1
        if any(len(folder) == depth for folder in folders):
            continue
        odd = [folder for folder in folders if not _is_no_class(folder[depth])]
        if odd:
            return "/".join((top, *min(odd)[: depth + 1]))
    return None


def without_wrapper(images: Sequence[Parts], outer: str) -> int:
    """How many folders at the top say nothing: those called like the folder around them, as archives unpack."""
    depth = 0
    while images and all(len(parts) > depth + 2 and parts[depth] == outer for parts in images):
        depth += 1
    return depth


def placed(images: Sequence[Parts], named_by: ClassFolders = "auto") -> list[Placed]:
    """Class, patient and part of each image, in the same order; each lies in one folder at least."""
    has_parts = named_by == "auto" and _splits_in_classes(images)
    return [_place(parts, named_by, has_parts) for parts in images]


def _place(parts: Parts, named_by: ClassFolders, has_parts: bool) -> Placed:
    folders = list(parts[:-1])
    part = folders.pop(1) if has_parts else None
    named = {"path": "/".join(folders), "last": folders[-1]}
    label = named.get(named_by, folders[0])
    around = {"path": [], "last": folders[:-1]}.get(named_by, folders[1:])
    group = next((folder for folder in around if _PATIENT.fullmatch(folder)), None)
    return Placed(label, group, part, deeper=bool(around) and named_by != "last")


def _splits_in_classes(images: Sequence[Parts]) -> bool:
    """Whether every class folder holds train and test folders, and nothing else."""
    if not all(len(parts) > 2 and split_role(parts[1]) for parts in set(map(_two, images))):
        return False
    return len({split_role(parts[1]) for parts in images}) == 2


def _two(parts: Parts) -> Parts:
    return (*parts[:2], "") if len(parts) > 2 else parts


def _is_no_class(folder: str) -> bool:
    return folder.lower() in _CONTAINERS or any(shape.fullmatch(folder) for shape in (_PATIENT, _UNIT))
