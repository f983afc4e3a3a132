"""Known sets by name: `digits` ships with scikit-learn, the others lie in the directory TENFOLD_DATA.

Where a set has an official test part, that part is the sealed external test.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.core.errors import InputError
from tenfold.data.readers import Listing, list_arrays, list_contents
from tenfold.data.readers.archives import read_idx, read_libsvm, read_tar, read_zip
from tenfold.data.readers.npz import list_npz

CELLS = {"1": "neutrophil", "2": "lymphocyte", "3": "monocyte", "4": "eosinophil", "5": "basophil"}
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class KnownSet:
    """Where a known set lies and how it is read."""

    read: Callable[[str, Sequence[Path]], Listing]
    files: tuple[str, ...] = ()
    """Relative to TENFOLD_DATA; a trailing .gz may be missing there."""
    downloads: tuple[tuple[str, str], ...] = ()
    """For each file the address and md5 of its publisher; empty where there is none to rely on."""
    without_test_part: bool = False
    """Half of what is not studied becomes the sealed external test."""
    large: bool = False
    """Studied in part unless told otherwise: the question is what a *small* set gains."""


def list_known(name: str) -> Listing:
    """The images of a known set.

    Raises:
        InputError: its files are neither in TENFOLD_DATA nor to be fetched.
    """
    known = KNOWN[name]
    addresses = known.downloads or (None,) * len(known.files)
    return known.read(name, [_find(name, *pair) for pair in zip(known.files, addresses, strict=True)])


def data_directory() -> Path | None:
    """The directory of known sets that the environment names, if any."""
    named = os.environ.get("TENFOLD_DATA")
    return Path(named) if named else None


def _find(name: str, file: str, download: tuple[str, str] | None) -> Path:
    directory = data_directory()
    if directory is not None:
        for candidate in (directory / file, directory / file.removesuffix(".gz")):
            if candidate.is_file():
                return candidate
    wanted = f"{name} needs {file} in the directory that the environment variable TENFOLD_DATA names"
    if download is None:
        raise InputError(f"{wanted} (now: {directory or 'not set'})")
    import pooch

    address, md5 = download
    try:
        cache = pooch.os_cache("tenfold") / name
        return Path(pooch.retrieve(address, known_hash=f"md5:{md5}", fname=Path(file).name, path=cache))
    except (OSError, ValueError) as error:
        reason = type(error).__name__
        raise InputError(f"{wanted}; fetching it from {address.split('/')[2]} failed ({reason})") from error


def _digits(name: str, files: Sequence[Path]) -> Listing:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return list_arrays(name, np.rint(bunch.images * (255 / 16)).astype(np.uint8), bunch.target, DIGITS)


def _mnist(name: str, files: Sequence[Path]) -> Listing:
    train_images, train_labels, test_images, test_labels = map(read_idx, files)
    return list_arrays(
        name,
        np.concatenate([train_images, test_images]),
        np.concatenate([train_labels, test_labels]),
        DIGITS,
        roles=np.repeat(["train", "test"], [len(train_images), len(test_images)]),
    )


def _usps(name: str, files: Sequence[Path]) -> Listing:
    parts = [read_libsvm(path, features=256) for path in files]
    values = np.concatenate([values for values, _ in parts]).reshape(-1, 16, 16)
    return list_arrays(
        name,
        np.rint((values + 1) * 127.5).astype(np.uint8),
        np.concatenate([labels for _, labels in parts]) - 1,
        DIGITS,
        roles=np.repeat(["train", "test"], [len(labels) for _, labels in parts]),
    )


def _omniglot(name: str, files: Sequence[Path]) -> Listing:
    contents = {path: content for file in files for path, content in read_zip(file, ".png").items()}
    return list_contents(name, contents, ["/".join(path.split("/")[1:3]) for path in contents])


def _cifar10(name: str, files: Sequence[Path]) -> Listing:
    contents = read_tar(files[0], ".jpg")
    parts = [path.split("/") for path in contents]
    return list_contents(name, contents, [part[-2] for part in parts], roles=[part[-3] for part in parts])


def _faces(name: str, files: Sequence[Path]) -> Listing:
    contents = read_tar(files[0], ".pgm")
    return list_contents(name, contents, [path.split("/")[-2] for path in contents])


def _cells(number: int) -> Callable[[str, Sequence[Path]], Listing]:
    """White blood cells in one of two stains."""

    def read(name: str, files: Sequence[Path]) -> Listing:
        everything = read_tar(files[0], (".bmp", ".csv"))
        table = everything[f"wbc/Class Labels of Dataset {number}.csv"].decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(table)))[1:]
        paths = [f"wbc/Dataset {number}/{int(row[0]):03d}.bmp" for row in rows]
        contents = {path: everything[path] for path in paths}
        return list_contents(name, contents, [CELLS[row[1]] for row in rows])

    return read


def _npz(*class_names: str) -> Callable[[str, Sequence[Path]], Listing]:
    return lambda name, files: list_npz(files[0], name=name, class_names=class_names)


_MNIST_HOST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_USPS_HOST = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass"
_MEDMNIST_HOST = "https://zenodo.org/records/10519652/files"

KNOWN: dict[str, KnownSet] = {
    "digits": KnownSet(_digits, without_test_part=True, large=True),
    "mnist": KnownSet(
        _mnist,
        (
            "mnist/MNIST/raw/train-images-idx3-ubyte.gz",
            "mnist/MNIST/raw/train-labels-idx1-ubyte.gz",
            "mnist/MNIST/raw/t10k-images-idx3-ubyte.gz",
            "mnist/MNIST/raw/t10k-labels-idx1-ubyte.gz",
        ),
        (
            (f"{_MNIST_HOST}/train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            (f"{_MNIST_HOST}/train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            (f"{_MNIST_HOST}/t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
            (f"{_MNIST_HOST}/t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
        large=True,
    ),
    "usps": KnownSet(
        _usps,
        ("usps/usps.bz2", "usps/usps.t.bz2"),
        (
            (f"{_USPS_HOST}/usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"),
            (f"{_USPS_HOST}/usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"),
        ),
        large=True,
    ),
    "pneumoniamnist": KnownSet(
        _npz("normal", "pneumonia"),
        ("pneumoniamnist/pneumoniamnist.npz",),
        ((f"{_MEDMNIST_HOST}/pneumoniamnist.npz?download=1", "28209eda62fecd6e6a2d98b1501bb15f"),),
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
