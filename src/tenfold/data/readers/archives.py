"""The file formats of the known sets, read whole into memory; nothing is ever unpacked onto the disk."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """An idx file of bytes, gzipped or not: N, or N x H x W.

    Raises:
        InputError: the file is not an idx file, or it ends early.
    """
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        if content[:3] != b"\0\0\x08":
            raise ValueError("not an idx file of bytes")
        dimensions = content[3]
        shape = np.frombuffer(content, ">u4", dimensions, offset=4)
        return np.frombuffer(content, np.uint8, int(shape.prod()), offset=4 + 4 * dimensions).reshape(shape)
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, error) from error


def read_libsvm(path: Path, features: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """A libsvm text file, bz2 or plain: values N x features, labels N.

    Raises:
        InputError: the file cannot be read as such.
    """
    from sklearn.datasets import load_svmlight_file

    try:
        values, labels = load_svmlight_file(str(path), n_features=features)
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, error) from error
    return values.toarray(), labels.astype(np.int64)


def read_tar(path: Path, endings: str | tuple[str, ...]) -> dict[str, bytes]:
    """The files of a tar archive whose names end so, sorted by name; links and devices are passed over.

    Raises:
        InputError: the archive is damaged.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isreg() and member.name.endswith(endings):
                    file = archive.extractfile(member)
                    found[member.name] = file.read() if file else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _damaged(path, error) from error
    return dict(sorted(found.items()))


def read_zip(path: Path, ending: str) -> dict[str, bytes]:
    """The files of a zip archive whose names end so, sorted by name.

    Raises:
        InputError: the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in sorted(archive.namelist()) if name.endswith(ending)}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise _damaged(path, error) from error


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an .npz, by name.

    Raises:
        InputError: it is damaged, unpacks to more than 16 GB, or holds pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked_bytes = sum(member.file_size for member in archive.infolist())
        if unpacked_bytes > 16 << 30:
            raise InputError(f"{path} unpacks to {unpacked_bytes >> 30} GB; give a smaller part of it")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise _damaged(path, error) from error
    except ValueError as error:
        if "pickle" not in str(error):
            raise _damaged(path, error) from error
        raise InputError(
            f"{path} holds pickled objects, which can run code and are refused; "
            "save plain arrays: numbers, or text as dtype str instead of object"
        ) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is damaged ({error}); fetch or save it again")
