"""A made-up set whose style and label are known apart: the label is a row, the style a column and a brightness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset

SIDE = 8


def drawn(
    labels: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], light: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """A bright bar in the label's rows, three pixels wide from the column on: N x 1 x 8 x 8."""
    images = np.full((len(labels), 1, SIDE, SIDE), 10, np.uint8)
    for index, (label, column) in enumerate(zip(labels, columns, strict=True)):
        images[index, 0, 2 * label : 2 * label + 2, column : column + 3] = light[index]
    return images


def styled_set(count: int = 120, classes: int = 4, key: str = "styles") -> ImageDataset:
    random = Key(f"tests/{key}").numpy_generator()
    labels = (np.arange(count) % classes).astype(np.int64)
    images = drawn(labels, random.integers(0, 6, count), random.integers(120, 256, count))
    return ImageDataset(
        name="made-up styles",
        images=images,
        labels=labels,
        class_names=tuple("abcdefgh"[:classes]),
        groups=np.arange(count),
        sources=tuple(f"picture-{index}" for index in range(count)),
        roles=np.full(count, "train"),
    )
