"""A folder of idx files named as MNIST's: train-images-idx3-ubyte and its labels, maybe t10k-..., gzipped or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tenfold.core.errors import InputError
from tenfold.data.decoding.pixels import from_array
from tenfold.data.readers import Manifest, index_labels
from tenfold.data.readers.known import read_idx

PARTS = {"train": "train", "t10k": "test", "test": "test"}
PLACES = (".", "raw", "MNIST/raw")
"""Below the folder that is given; torchvision puts them there."""


def reads(path: Path) -> bool:
    return bool(_found(path, "train"))


def read(path: Path) -> Manifest:
    """The images of a folder of idx files; those of t10k are the sealed test part.

    Raises:
        InputError: a file is damaged, or there are not as many labels as images.
    """
    images, labels, roles = [], [], []
    for prefix, role in PARTS.items():
        if pair := _found(path, prefix):
            pixels, words = map(read_idx, pair)
            if pixels.ndim != 3 or len(pixels) != len(words):
                raise InputError(
                    f"{pair[0]} does not hold one image for each label of {pair[1].name}; fetch both again"
                )
            images.append(pixels)
            labels += [str(word) for word in words]
            roles += [role] * len(words)
    if len({pixels.shape[1:] for pixels in images}) != 1:
        raise InputError(f"the idx files in {path} hold images of different sizes; give one set")
    everything = np.concatenate(images)
    class_names, indices = index_labels(labels)
    return Manifest(
        name=path.resolve().name,
        class_names=class_names,
        labels=indices,
        sources=tuple(f"{path.resolve().name}[{index}]" for index in range(len(labels))),
        decode=lambda index: from_array(everything[index]),
        roles=np.array(roles),
    )


def _found(path: Path, prefix: str) -> tuple[Path, Path] | None:
    """The files of images and of labels of one part."""
    for place in PLACES:
        pair = []
        for kind, rank in (("images", 3), ("labels", 1)):
            names = (f"{prefix}-{kind}{mark}idx{rank}-ubyte{end}" for mark in "-." for end in ("", ".gz"))
            pair += [path / place / name for name in names if (path / place / name).is_file()][:1]
        if len(pair) == 2:
            return pair[0], pair[1]
    return None
