"""One walk of a folder for every command: the files that may be images, and what is not read of the others.

Hidden files and what systems leave behind are passed over in silence; everything else that is not read is told.
Folders are never entered through a link, and nothing but regular files is ever opened: there is no loop to run
into and no pipe to wait for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from tenfold.core.errors import InputError
from tenfold.core.types import SetAside

_CLUTTER = (
    "thumbs.db/ehthumbs.db/desktop.ini/icon\r/__macosx/__pycache__/@eadir/#recycle/$recycle.bin/lost+found/"
    "system volume information"
)
_NOT_IMAGES = (
    "bib c cfg conf cpp css csv doc docx htm html ini ipynb js json jsonl log m md odp ods odt pdf ppt pptx py r rst "
    "rtf sh tex toml tsv txt url xls xlsx xml yaml yml bin ckpt h5 hdf hdf5 joblib keras mat npy npz onnx parquet pb "
    "pickle pkl pt pth safetensors tflite avi flac m4v mkv mov mp3 mp4 mpeg mpg ogg wav webm wmv "
    "7z bat bz2 dat db dll exe gz lnk rar sqlite tar tgz tmp xz zip"
)
_NOTICES = "readme license licence copying notice authors changelog changes version makefile"
CLUTTER = frozenset(_CLUTTER.split("/"))
NOT_IMAGES = frozenset("." + suffix for suffix in _NOT_IMAGES.split())
"""What no reader of images should be given: papers, tables, models, films, archives."""
NOTICES = frozenset(_NOTICES.split())
"""The same of files without an extension."""
MEDICAL = frozenset({".dcm", ".dicom", ".nii", ".gz", ".heic", ".heif"})
"""Images that need an extra package, or a converter that is named when one is met."""
NOT_READ = "files that are no images by their names, not read"
"""Of `ImageDataset.conversions`."""
NAMED_SUFFIXES = 6


@dataclass
class Contents:
    """What lies under a folder; every path is relative to it, with forward slashes."""

    root: Path
    images: list[str] = field(default_factory=list)
    """All that may be images, by their names, folder by folder."""
    others: list[str] = field(default_factory=list)
    """Regular files that are none."""
    empty: list[str] = field(default_factory=list)
    """Folders that hold nothing, or nothing but what systems leave behind."""
    set_aside: list[SetAside] = field(default_factory=list)
    """Links, pipes and devices."""

    @property
    def not_read(self) -> dict[str, int]:
        """How many files are no images by their names, and which kinds: an entry of `conversions`, if any."""
        if not self.others:
            return {}
        kinds = sorted({Path(name).suffix.lower() or Path(name).name for name in self.others})
        more = ", ..." if len(kinds) > NAMED_SUFFIXES else ""
        return {f"{NOT_READ} ({', '.join(kinds[:NAMED_SUFFIXES])}{more})": len(self.others)}


def walk(root: Path) -> Contents:
    """Everything under `root` that is worth a word.

    Raises:
        InputError: a folder cannot be read.
    """
    contents = Contents(root)
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        entries = list(_entries(root / folder))
        if not entries and folder:
            contents.empty.append(folder[:-1])
        for entry in entries:
            name = folder + entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{name}/")
            elif reason := _why_not(entry, root):
                contents.set_aside.append(SetAside(name, reason))
            elif may_be_image(entry.name):
                contents.images.append(name)
            else:
                contents.others.append(name)
    for names in (contents.images, contents.others, contents.empty):
        names.sort(key=lambda name: name.split("/"))
    contents.set_aside.sort(key=lambda entry: entry.source.split("/"))
    return contents


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or what a system has left behind."""
    return name.startswith(".") or name.lower() in CLUTTER


def may_be_image(name: str) -> bool:
    """Whether a file is worth opening: its name is not that of a paper, a table, a model, a film or an archive."""
    stem, suffix = os.path.splitext(name.lower())
    if suffix == ".gz":
        return stem.endswith(".nii")
    return suffix not in NOT_IMAGES and (bool(suffix) or stem not in NOTICES)


def is_image_name(name: str) -> bool:
    """Whether the extension is one of images, so that the file can be meant as nothing else."""
    suffix = os.path.splitext(name)[1].lower()
    return may_be_image(name) and (suffix in Image.registered_extensions() or suffix in MEDICAL)


def stays_inside(path: Path, root: Path) -> bool:
    """Whether `path`, its links followed, is still under `root`."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_clutter(entry.name):
                    yield entry
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}; give it read permission") from error


def _why_not(entry: os.DirEntry[str], root: Path) -> str | None:
    """Why an entry that is no folder is not read; None of a regular file, or of a link to one inside the data."""
    if entry.is_symlink():
        if not stays_inside(Path(entry.path), root):
            return "symbolic link that leaves the data, not followed"
        if os.path.isdir(entry.path):
            return "symbolic link to a folder, not followed"
        return None if os.path.isfile(entry.path) else "symbolic link to nothing that can be read"
    return None if entry.is_file(follow_symlinks=False) else "not a regular file, skipped"
