"""A folder of class folders, or of train/ and test/ folders that hold class folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tenfold.core.errors import InputError
from tenfold.core.types import Role, SetAside
from tenfold.data.readers import UNLABELLED, Manifest, index_labels, read_file, stays_inside
from tenfold.data.readers.metadata import find_table

ROLE_OF_FOLDER: dict[str, Role] = {"train": "train", "val": "train", "valid": "train", "test": "test"}
CLUTTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass
class _Contents:
    """What a directory holds, once links, pipes and hidden files are dealt with."""

    folders: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)


def reads(path: Path) -> bool:
    return path.is_dir() and find_table(path) is None


def read(root: Path) -> Manifest:
    """The images under `root`, labelled by the folder they are in.

    Raises:
        InputError: nothing there, images without a class folder, an empty class, or nesting that can be read
            in more than one way.
    """
    top = _look_into(root, root)
    stray = [path for path in top.files if is_image_name(path)]
    if stray:
        raise InputError(
            f"{show(stray[0], root)} and {len(stray) - 1} more images lie in {root} itself, without a label; "
            "put each into a folder named after its class or add a metadata.csv (file_name,label)"
        )
    if not top.folders:
        raise InputError(f"{root} holds no class folders; put the images into one folder a class")
    names = {folder.name.lower() for folder in top.folders}
    if {"train", "test"} <= names <= set(ROLE_OF_FOLDER):
        return _list_roles(root, top)
    labelled = _list_classes(root, top.folders, top.set_aside, "train")
    return _assemble(root, labelled, top.set_aside, roles_given=False)


def read_unlabelled(root: Path) -> Manifest:
    """All images anywhere under `root`, whatever their folders are called; none has a label.

    Where there is a folder train and a folder test at the top, what is in test is left out.

    Raises:
        InputError: there is none, or a folder cannot be read.
    """
    waiting, paths, set_aside = [root], [], []
    while waiting:
        folder = waiting.pop()
        inside = _look_into(folder, root)
        names = {inner.name.lower() for inner in inside.folders}
        sealed = folder == root and {"train", "test"} <= names
        waiting += [inner for inner in inside.folders if not (sealed and inner.name.lower() == "test")]
        set_aside += inside.set_aside
        paths += [path for path in inside.files if is_image_name(path)]
    if not paths:
        raise InputError(f"{root} holds no images")
    paths.sort()
    labelled: list[tuple[Path, str, Role]] = [(path, UNLABELLED, "train") for path in paths]
    return _assemble(root, labelled, set_aside, roles_given=False)


def is_image_name(path: Path) -> bool:
    """Whether the file's extension is one of an image."""
    return path.suffix.lower() in Image.registered_extensions()


def show(path: Path, root: Path) -> str:
    """The path inside the data, with forward slashes."""
    return path.relative_to(root).as_posix()


def _list_roles(root: Path, top: _Contents) -> Manifest:
    labelled: list[tuple[Path, str, Role]] = []
    for folder in top.folders:
        inside = _look_into(folder, root)
        top.set_aside += inside.set_aside
        images = [path for path in inside.files if is_image_name(path)]
        if images or not inside.folders:
            raise InputError(
                f"{folder} must hold class folders, as the name says that it is a part of the data; "
                "rename it if it is a class"
            )
        labelled += _list_classes(root, inside.folders, top.set_aside, ROLE_OF_FOLDER[folder.name.lower()])
    studied = {label for _, label, role in labelled if role == "train"}
    for path, label, _ in labelled:
        if label not in studied:
            raise InputError(f"class {label!r} ({show(path, root)}) has no folder in train; add one")
    return _assemble(root, labelled, top.set_aside, roles_given=True)


def _list_classes(
    root: Path, folders: Sequence[Path], set_aside: list[SetAside], role: Role
) -> list[tuple[Path, str, Role]]:
    labelled: list[tuple[Path, str, Role]] = []
    for folder in folders:
        inside = _look_into(folder, root)
        set_aside += inside.set_aside
        deeper = [subfolder for subfolder in inside.folders if _look_into(subfolder, root).files]
        if deeper:
            raise InputError(
                f"{show(deeper[0], root)} is a folder inside the class folder {folder.name!r}: is it a class "
                f"of its own? Give {folder} instead, or move its files one level up"
            )
        if not inside.files:
            raise InputError(f"class folder {show(folder, root)!r} is empty; add images to it or remove it")
        labelled += [(path, folder.name, role) for path in inside.files]
    return labelled


def _assemble(
    root: Path,
    labelled: Sequence[tuple[Path, str, Role]],
    set_aside: Sequence[SetAside],
    *,
    roles_given: bool,
) -> Manifest:
    class_names, labels = index_labels([label for _, label, _ in labelled])
    paths = [path for path, _, _ in labelled]
    return Manifest(
        name=root.resolve().name,
        class_names=class_names,
        labels=labels,
        sources=tuple(show(path, root) for path in paths),
        decode=lambda index: read_file(paths[index]),
        roles=np.array([role for _, _, role in labelled]),
        set_aside=tuple(set_aside),
        roles_given_by_user=roles_given,
    )


def _look_into(folder: Path, root: Path) -> _Contents:
    contents = _Contents()
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}; give it read permission") from error
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith(".") or entry.name.lower() in CLUTTER:
            continue
        if entry.is_symlink() and not stays_inside(path, root):
            reason = "symbolic link that leaves the data, not followed"
            contents.set_aside.append(SetAside(show(path, root), reason))
        elif entry.is_dir():
            contents.folders.append(path)
        elif entry.is_file():
            contents.files.append(path)
        else:
            contents.set_aside.append(SetAside(show(path, root), "not a regular file, skipped"))
    return contents
