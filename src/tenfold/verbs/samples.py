"""The sheets of sample pictures that a report shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from tenfold.augment.tensors import to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.duplicates import nearest
from tenfold.methods import make_method
from tenfold.report.image_sheet import Sheet

MOST_CLASSES = 12
COLUMNS = 8


def real_sheet(images: ImageDataset) -> Sheet:
    """A row a class of the pictures as the classifier gets them."""
    rows = [_first(images.labels == label, COLUMNS) for label in _shown(images)]
    return Sheet(
        "Real images",
        f"As the classifier gets them, {_size(images)}.{_left_out(images)}",
        _with_blanks([images.images[row] for row in rows], COLUMNS),
        [images.class_names[label] for label in _shown(images)],
    )


def augmented_sheet(images: ImageDataset, options: Mapping[str, str]) -> Sheet:
    """One picture a class beside what classical augmentation with these options makes of it."""
    key = Key("report/augmented")
    originals = [int(_first(images.labels == label, 1)[0]) for label in _shown(images)]
    batch = to_float(torch.tensor(images.images[originals])).repeat_interleave(COLUMNS - 1, dim=0)
    (change,) = make_method("classical", dict(options)).fit(images, None, key).transforms
    changed = to_uint8(change(batch, torch.zeros(len(batch)), key.torch_generator())[0])
    changed = changed.reshape(len(originals), COLUMNS - 1, *images.image_shape)
    return Sheet(
        "Classical augmentation",
        "Left a real image; the others are what the arm classical shows the classifier in its place.",
        np.concatenate([images.images[originals][:, None], changed], axis=1),
        [images.class_names[label] for label in _shown(images)],
        ["real", *[""] * (COLUMNS - 1)],
    )


def generated_sheet(
    images: ImageDataset,
    made: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    *,
    title: str = "Generated images",
) -> Sheet:
    """Generated pictures, each with its nearest real neighbour: twins mean that the generator only copies."""
    rows = []
    for label in _shown(images):
        some = made[_first(labels == label, COLUMNS // 2)]
        neighbours, _ = nearest(some, images.images) if len(some) else (np.zeros(0, np.int64), None)
        pairs = np.stack([some, images.images[neighbours]], axis=1)
        rows.append(pairs.reshape(-1, *images.image_shape))
    return Sheet(
        title,
        "Each generated image stands left of the real image that is nearest to it in pixels. "
        "Pairs that look the same are copies, not new images.",
        _with_blanks(rows, COLUMNS),
        [images.class_names[label] for label in _shown(images)],
        ["new", "real"] * (COLUMNS // 2),
    )


def _size(images: ImageDataset) -> str:
    channels, height, width = images.image_shape
    return f"{'grey' if channels == 1 else 'colour'}, {height} x {width} pixels"


def _shown(images: ImageDataset) -> list[int]:
    return [int(label) for label in np.unique(images.labels)[:MOST_CLASSES]]


def _left_out(images: ImageDataset) -> str:
    more = images.class_count - MOST_CLASSES
    return f" {more} more classes are not shown." if more > 0 else ""


def _first(mask: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.int64]:
    return np.flatnonzero(mask)[:count]


def _with_blanks(rows: list[npt.NDArray[np.uint8]], columns: int) -> npt.NDArray[np.uint8]:
    """Rows of unequal length as one array; missing pictures are mid-grey."""
    sheet = np.full((len(rows), columns, *rows[0].shape[1:]), 128, dtype=np.uint8)
    for row, pictures in enumerate(rows):
        sheet[row, : len(pictures)] = pictures
    return sheet
