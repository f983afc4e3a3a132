"""Known sets by name: `digits` ships with scikit-learn, the others lie in the directory TENFOLD_DATA.

Where a set has an official test part, that part is the sealed external test.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.data.decoding import decode
from tenfold.data.decoding.pixels import from_array
from tenfold.data.readers import Manifest, index_labels, npz

CELLS = {"1": "neutrophil", "2": "lymphocyte", "3": "monocyte", "4": "eosinophil", "5": "basophil"}
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class KnownSet:
    """Where a known set lies and how it is read."""

    read: Callable[[str, Sequence[Path]], Manifest]
    files: tuple[str, ...] = ()
    """Relative to TENFOLD_DATA; a trailing .gz may be missing there."""
    address: str = ""
    """Of its publisher, with a hole for a file's name; empty where there is none to rely on."""
    md5: tuple[str, ...] = ()
    """Of each file."""
    without_test_part: bool = False
    """Half of what is not studied becomes the sealed external test."""
    large: bool = False
    """Studied in part unless told otherwise: the question is what a *small* set gains."""


def read(name: str) -> Manifest:
    """The images of a known set.

    Raises:
        InputError: its files are neither in TENFOLD_DATA nor to be fetched.
    """
    known = KNOWN[name]
    hashes = known.md5 or [""] * len(known.files)
    pairs = zip(known.files, hashes, strict=True)
    return known.read(name, [_find(name, file, known.address, md5) for file, md5 in pairs])


def data_directory() -> Path | None:
    """The directory of known sets that the environment names, if any."""
    named = os.environ.get("TENFOLD_DATA")
    return Path(named) if named else None


def _find(name: str, file: str, address: str, md5: str) -> Path:
    directory = data_directory()
    if directory is not None:
        for candidate in (directory / file, directory / file.removesuffix(".gz")):
            if candidate.is_file():
                return candidate
    wanted = f"{name} needs {file} in the directory that the environment variable TENFOLD_DATA names"
    if not address:
        raise InputError(f"{wanted} (now: {directory or 'not set'})")
    import pooch

    try:
        cache, last = pooch.os_cache("tenfold") / name, Path(file).name
        return Path(pooch.retrieve(address.format(last), known_hash=f"md5:{md5}", fname=last, path=cache))
    except (OSError, ValueError) as error:
        reason = type(error).__name__
        raise InputError(f"{wanted}; fetching it from {address.split('/')[2]} failed ({reason})") from error


def _digits(name: str, files: Sequence[Path]) -> Manifest:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return _of_arrays(name, [(np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target)])


def _mnist(name: str, files: Sequence[Path]) -> Manifest:
    arrays = [read_idx(path) for path in files]
    return _of_arrays(name, [(arrays[0], arrays[1]), (arrays[2], arrays[3])])


def _usps(name: str, files: Sequence[Path]) -> Manifest:
    from sklearn.datasets import load_svmlight_file

    parts = []
    for path in files:
        with _damage_told(path):
            values, labels = load_svmlight_file(str(path), n_features=256)
        images = values.toarray().reshape(-1, 16, 16)
        parts.append((np.rint((images + 1) * 127.5).astype(np.uint8), labels - 1))
    return _of_arrays(name, parts)


def _omniglot(name: str, files: Sequence[Path]) -> Manifest:
    contents = {path: content for file in files for path, content in read_zip(file, ".png").items()}
    return _of_files(name, contents, ["/".join(path.split("/")[1:3]) for path in contents])


def _cifar10(name: str, files: Sequence[Path]) -> Manifest:
    contents = read_tar(files[0], ".jpg")
    parts = [path.split("/") for path in contents]
    return _of_files(name, contents, [part[-2] for part in parts], [part[-3] for part in parts])


def _faces(name: str, files: Sequence[Path]) -> Manifest:
    contents = read_tar(files[0], ".pgm")
    return _of_files(name, contents, [path.split("/")[-2] for path in contents])


def _cells(number: int) -> Callable[[str, Sequence[Path]], Manifest]:
    """White blood cells in one of two stains."""

    def read(name: str, files: Sequence[Path]) -> Manifest:
        everything = read_tar(files[0], (".bmp", ".csv"))
        table = everything[f"wbc/Class Labels of Dataset {number}.csv"].decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(table)))[1:]
        contents = {
            path: everything[path] for path in (f"wbc/Dataset {number}/{int(row[0]):03d}.bmp" for row in rows)
        }
        return _of_files(name, contents, [CELLS[row[1]] for row in rows])

    return read


def _of_arrays(name: str, parts: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]]) -> Manifest:
    """Digits N x H x W with their labels: those to study and, if there are any, those to test on."""
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Manifest(
        name=name,
        class_names=DIGITS,
        labels=labels.astype(np.int64),
        sources=tuple(f"{name}[{index}]" for index in range(len(images))),
        decode=lambda index: from_array(images[index]),
        roles=np.repeat(["train", "test"][: len(parts)], [len(labels) for _, labels in parts]),
    )


def _of_files(name: str, contents: Mapping[str, bytes], labels: Sequence[str], roles: Sequence[str] = ()) -> Manifest:
    """Image files in memory, each with the name of its class."""
    sources = tuple(contents)
    class_names, indices = index_labels(labels)
    return Manifest(
        name=name,
        class_names=class_names,
        labels=indices,
        sources=sources,
        decode=lambda index: decode(contents[sources[index]]),
        roles=np.array(roles, np.str_),
    )


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """An idx file of bytes, gzipped or not: N, or N x H x W.

    Raises:
        InputError: the file is not an idx file, or it ends early.
    """
    content = path.read_bytes()
    with _damage_told(path):
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        if content[:3] != b"\0\0\x08":
            raise ValueError("not an idx file of bytes")
        dimensions = content[3]
        shape = np.frombuffer(content, ">u4", dimensions, offset=4)
        return np.frombuffer(content, np.uint8, int(shape.prod()), offset=4 + 4 * dimensions).reshape(shape)


def read_tar(path: Path, endings: str | tuple[str, ...]) -> dict[str, bytes]:
    """The files of a tar archive whose names end so, sorted by name; links and devices are passed over.

    Raises:
        InputError: the archive is damaged.
    """
    files: dict[str, bytes] = {}
    with _damage_told(path), tarfile.open(path) as archive:
        for member in archive:
            if member.isreg() and member.name.endswith(endings):
                file = archive.extractfile(member)
                files[member.name] = file.read() if file else b""
    return dict(sorted(files.items()))


def read_zip(path: Path, ending: str) -> dict[str, bytes]:
    """The files of a zip archive whose names end so, sorted by name; nothing is ever unpacked onto the disk.

    Raises:
        InputError: the archive is damaged.
    """
    with _damage_told(path), zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in sorted(archive.namelist()) if name.endswith(ending)}


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError) as error:
        raise InputError(f"{path} is damaged ({error}); fetch or save it again") from error


def _npz(*class_names: str) -> Callable[[str, Sequence[Path]], Manifest]:
    return lambda name, files: npz.read(files[0], name=name, class_names=class_names)


_MNIST_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")

KNOWN: dict[str, KnownSet] = {
    "digits": KnownSet(_digits, without_test_part=True, large=True),
    "mnist": KnownSet(
        _mnist,
        tuple(f"mnist/MNIST/raw/{part}-ubyte.gz" for part in _MNIST_FILES),
        "https://ossci-datasets.s3.amazonaws.com/mnist/{}",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        large=True,
    ),
    "usps": KnownSet(
        _usps,
        ("usps/usps.bz2", "usps/usps.t.bz2"),
        "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/{}",
        ("ec16c51db3855ca6c91edd34d0e9b197", "8ea070ee2aca1ac39742fdd1ef5ed118"),
        large=True,
    ),
    "pneumoniamnist": KnownSet(
        _npz("normal", "pneumonia"),
        ("pneumoniamnist/pneumoniamnist.npz",),
        "https://zenodo.org/records/10519652/files/{}?download=1",
        ("28209eda62fecd6e6a2d98b1501bb15f",),
    ),
    "svhn": KnownSet(_npz(*DIGITS), ("svhn/svhn_test_part.npz",), large=True),
    "emnist_letters": KnownSet(
        _npz(*"abcdefghijklmnopqrstuvwxyz"), ("emnist_letters/emnist_letters_part.npz",), large=True
    ),
    "omniglot": KnownSet(_omniglot, ("omniglot/images_background.zip", "omniglot/images_evaluation.zip")),
    "cifar10": KnownSet(_cifar10, ("cifar10/cifar10_jpg.tar.gz",), large=True),
    "faces": KnownSet(_faces, ("faces/att_faces.tar.gz",)),
    "wbc": KnownSet(_cells(1), ("wbc/wbc.tar.gz",)),
    "wbc2": KnownSet(_cells(2), ("wbc/wbc.tar.gz",)),
}
