"""A folder of class folders, or of folders such as train/ and test/ that hold class folders or a metadata file."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tenfold.core.errors import InputError, listed
from tenfold.core.options import ClassFolders
from tenfold.core.types import Role, SetAside
from tenfold.data.decoding.pixels import DecodedImage
from tenfold.data.readers import UNLABELLED, Indices, Manifest, idx, index_labels, label_files, metadata, read_file
from tenfold.data.readers.layout import (
    GROUPED,
    NO_LABEL,
    NO_PATIENT,
    POOLED,
    READ_THROUGH,
    SEALED,
    Parts,
    Placed,
    doubtful_folder,
    placed,
    split_folders,
    split_role,
    without_wrapper,
)
from tenfold.data.readers.metadata import find_table
from tenfold.data.readers.shard_files import holds_shards
from tenfold.data.readers.walk import Contents, is_image_name, walk


def reads(path: Path) -> bool:
    others = (label_files.reads, idx.reads, holds_shards)
    return path.is_dir() and find_table(path) is None and not any(reads(path) for reads in others)


def read(root: Path, class_folders: ClassFolders = "auto") -> Manifest:
    """The images under `root`, labelled by the folders they are in.

    Raises:
        InputError: nothing there, images without a class folder, an empty class, or nesting that can be read
            in more than one way.
    """
    contents = walk(root)
    _reject_labelled_by_table(root, contents)
    return replace(read_contents(root, contents, class_folders), name=root.resolve().name)


def read_contents(root: Path, contents: Contents, class_folders: ClassFolders) -> Manifest:
    """The same of what was found in a folder or an archive.

    Raises:
        InputError: as for `read`.
    """
    stray = [name for name in contents.images if "/" not in name]
    if any(map(is_image_name, stray)):
        raise InputError(
            f"{stray[0]} and {len(stray) - 1} more images lie in {root} itself, without a label; "
            "put each into a folder named after its class or add a metadata.csv (file_name,label)"
        )
    contents.others += stray
    images = [tuple(name.split("/")) for name in contents.images if "/" in name]
    if not images and not contents.empty:
        raise InputError(f"{root} holds no class folders; put the images into one folder a class")
    skipped = without_wrapper(images, root.resolve().name)
    inner = [path[skipped:] for path in images]
    splits = split_folders(inner)
    _reject_empty(root, contents, skipped + (2 if splits else 1))
    if not images:
        raise InputError(f"{root} holds folders without images; put the images into one folder a class")
    if splits:
        wrapper = images[0][:skipped]
        manifest = _read_splits(root.joinpath(*wrapper), inner, splits, class_folders)
        manifest = replace(manifest, sources=tuple("/".join((*wrapper, name)) for name in manifest.sources))
    else:
        manifest = _read_classes(root, images, class_folders)
    return replace(
        manifest,
        set_aside=(*contents.set_aside, *manifest.set_aside),
        conversions={**manifest.conversions, **contents.not_read},
    )


def read_unlabelled(root: Path) -> Manifest:
    """All images anywhere under `root`, whatever their folders are called; none has a label.

    Where the folders at the top are parts such as train and test, what is in test is left out.

    Raises:
        InputError: there is none, or a folder cannot be read.
    """
    contents = walk(root)
    images = [tuple(name.split("/")) for name in contents.images]
    roles = split_folders(images)
    if set(roles.values()) == {"train", "test"}:
        images = [parts for parts in images if roles.get(parts[0]) != "test"]
    if not images:
        raise InputError(f"{root} holds no images; give a folder that does")
    everything = [Placed(UNLABELLED, None, None, deeper=False)] * len(images)
    manifest = _manifest(root, images, everything)
    return replace(manifest, set_aside=tuple(contents.set_aside), conversions=contents.not_read)


def _reject_labelled_by_table(root: Path, contents: Contents) -> None:
    """Refuse folders that are sets of their own, as tables beside them say what each of their images is."""
    if any(name.endswith(".csv") and "/" not in name for name in contents.others):
        for folder in sorted({name.split("/")[0] for name in contents.images if "/" in name}):
            if label_files.reads(root / folder):
                raise InputError(
                    f"a table in {root} labels the images of {folder!r}, so that it is no class; give {root / folder}"
                )


def _reject_empty(root: Path, contents: Contents, depth: int) -> None:
    """Refuse an empty class folder, so many folders deep; one of papers or models is named and passed over."""
    full = {tuple(name.split("/")[:depth]) for name in contents.images}
    other = {tuple(name.split("/")[:depth]) for name in contents.others if name.count("/") >= depth}
    lost = [*contents.empty, *(entry.source for entry in contents.set_aside if entry.source.count("/") >= depth)]
    for name in sorted(lost):
        folder = tuple(name.split("/")[:depth])
        if len(folder) == depth and folder not in full | other and split_role(folder[-1]) is None:
            raise InputError(f"class folder {'/'.join(folder)!r} is empty in {root}; add images to it or remove it")
    contents.set_aside += [SetAside("/".join(folder), "folder without images") for folder in sorted(other - full)]


def _read_splits(
    root: Path, images: Sequence[Parts], splits: Mapping[str, Role], class_folders: ClassFolders
) -> Manifest:
    parts: list[tuple[str, Role, Manifest]] = []
    unlabelled = 0
    for folder, role in splits.items():
        inside = [path[1:] for path in images if path[0] == folder]
        loose = sum(len(path) == 1 for path in inside)
        if find_table(root / folder):
            parts.append((folder, role, metadata.read(root / folder)))
        elif loose == len(inside) and not folder.lower().startswith("train"):
            unlabelled += loose
        elif loose:
            raise InputError(
                f"{root / folder} must hold class folders, as the name says that it is a part of the data; "
                "rename it if it is a class"
            )
        else:
            parts.append((folder, role, _read_classes(root / folder, inside, class_folders)))
    if all(role == "test" for _, role, _ in parts):
        raise InputError(f"{root} holds a test part only; give {root / next(iter(splits))} to study it")
    manifest = _joined(root, parts)
    counts = Counter(manifest.roles.tolist())
    notes = {POOLED: counts["train"], SEALED: counts["test"], NO_LABEL: unlabelled}
    return replace(manifest, conversions=_true({**notes, **manifest.conversions}))


def _read_classes(root: Path, images: Sequence[Parts], class_folders: ClassFolders) -> Manifest:
    skipped = without_wrapper(images, root.resolve().name)
    inner = [path[skipped:] for path in images]
    doubtful = doubtful_folder(inner) if class_folders == "auto" else None
    found = placed(inner, class_folders)
    if doubtful and not any(one.part for one in found):
        top, folder = doubtful.split("/")[0], root.joinpath(*images[0][:skipped])
        only = len({path[0] for path in inner}) == 1
        raise InputError(
            f"{doubtful} is a folder inside the class folder {top!r}: is it a class of its own? "
            + (f"Give {folder / doubtful.rpartition('/')[0]} instead, or say" if only else "Say")
            + " which folder names the class: --class-folders top, path (all of them) or last"
        )
    return _manifest(root, images, found)


def _manifest(root: Path, images: Sequence[Parts], found: Sequence[Placed]) -> Manifest:
    class_names, labels = index_labels([one.label for one in found])
    roles = np.array([split_role(one.part or "") or "train" for one in found], np.str_)
    names = [one.group for one in found]
    named = sum(name is not None for name in names)
    sources = tuple("/".join(path) for path in images)  # all that is held of a million files
    notes = {
        SEALED: int((roles == "test").sum()),
        READ_THROUGH: sum(one.deeper for one in found),
        GROUPED: named,
        NO_PATIENT: len(names) - named if named else 0,
    }
    return Manifest(
        name=root.resolve().name,
        class_names=class_names,
        labels=labels,
        sources=sources,
        decode=lambda index: read_file(root / sources[index]),
        roles=roles,
        groups=_numbered([f"/{index}" if name is None else name for index, name in enumerate(names)])
        if named
        else np.arange(len(names)),
        group_names=tuple(name for name in names if name is not None) if named == len(names) else (),
        conversions=_true(notes),
        roles_given_by_user=bool((roles == "test").any()),
    )


def _joined(root: Path, parts: Sequence[tuple[str, Role, Manifest]]) -> Manifest:
    """The parts as one set; groups of the same name are one, and a class must be among those that are studied."""
    labels: list[str] = []
    sources: list[str] = []
    roles: list[str] = []
    groups: list[str] = []
    conversions = Counter[str]()
    starts = np.cumsum([0, *(len(part.sources) for _, _, part in parts)]).tolist()
    for number, (folder, role, part) in enumerate(parts):
        labels += [part.class_names[label] for label in part.labels]
        sources += [f"{folder}/{source}" for source in part.sources]
        roles += [role if role == "test" else own for own in part.roles.tolist()]
        groups += part.group_names or [f"{number}/{group}" for group in part.groups.tolist()]
        conversions.update(part.conversions)
    studied = {label for label, role in zip(labels, roles, strict=True) if role == "train"}
    for label, source in zip(labels, sources, strict=True):
        if label not in studied:
            raise InputError(f"class {label!r} ({source}) has no images in {listed(_studied(parts))}; add some")

    def decode(index: int) -> DecodedImage:
        number = bisect_right(starts, index) - 1
        decode_part = parts[number][2].decode
        assert decode_part is not None  # parts are of images
        return decode_part(index - starts[number])

    class_names, indices = index_labels(labels)
    return Manifest(
        name=root.resolve().name,
        class_names=class_names,
        labels=indices,
        sources=tuple(sources),
        decode=decode,
        roles=np.array(roles, np.str_),
        groups=_numbered(groups),
        group_names=tuple(groups) if all(part.group_names for _, _, part in parts) else (),
        conversions=conversions,
        roles_given_by_user=True,
    )


def _studied(parts: Sequence[tuple[str, Role, Manifest]]) -> list[str]:
    return [folder for folder, role, _ in parts if role != "test"]


def _numbered(groups: Sequence[str]) -> Indices:
    """A number for each group in the order of their first images."""
    number = {name: index for index, name in enumerate(dict.fromkeys(groups))}
    return np.array([number[name] for name in groups], np.int64)


def _true(notes: Mapping[str, int]) -> dict[str, int]:
    return {what: count for what, count in notes.items() if count}
