"""The sheets of images that reports show and `sample` leaves: real, changed and new ones, and walks between draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from tenfold.augment.tensors import to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.duplicates import nearest
from tenfold.generators import Generator, Images
from tenfold.methods import Grown, make_method
from tenfold.report.image_sheet import Cell, PreviewSheet, Sheet

MOST_CLASSES = 12
COLUMNS = 8


def real_sheet(images: ImageDataset) -> Sheet:
    """A row a class of the images as the classifier gets them."""
    rows = [_first(images.labels == label, COLUMNS) for label in _shown(images)]
    return Sheet(
        "Real images",
        f"As the classifier gets them, {_size(images)}.{_left_out(images)}",
        _with_blanks([images.images[row] for row in rows], COLUMNS),
        [images.class_names[label] for label in _shown(images)],
    )


def augmented_sheet(images: ImageDataset, options: Mapping[str, str]) -> Sheet:
    """One image a class beside what classical augmentation with these options makes of it."""
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
    """Generated images, each with its nearest real neighbour: twins mean that the generator only copies."""
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
    """Rows of unequal length as one array; missing images are mid-grey."""
    sheet = np.full((len(rows), columns, *rows[0].shape[1:]), 128, dtype=np.uint8)
    for row, images in enumerate(rows):
        sheet[row, : len(images)] = images
    return sheet


ROWS = 6
NEW_A_ROW = 6
WALK = 9
"""Steps from one draw of the noise to another, both ends included."""


def new_images(real: ImageDataset, grown: Grown, title: str) -> PreviewSheet:
    """A few new images a row: of one source image, which stands first, or of one class."""
    if any(grown.parents):
        first = np.array([parents[0] for parents in grown.parents])
        kinds = _spread_over(real.labels[np.unique(first)], np.unique(first))
        name, groups = "source", [np.flatnonzero(first == parent) for parent in kinds]
        sources: list[Cell | None] = [_cell(real.images[parent], real, int(real.labels[parent])) for parent in kinds]
    else:
        kinds = np.unique(grown.labels)[:ROWS]
        name, groups = "", [np.flatnonzero(grown.labels == label) for label in kinds]
        sources = []
    columns = min(NEW_A_ROW, max(map(len, groups)))
    rows: list[list[Cell | None]] = []
    for row, group in enumerate(groups):
        shown = group[:columns]
        cells: list[Cell | None] = [_cell(grown.images[i], real, int(grown.labels[i])) for i in shown]
        rows.append([*sources[row : row + 1], *cells, *[None] * (columns - len(shown))])
    explanation = "Left a real image; beside it new ones made from it." if name else "New images, a class a row."
    return PreviewSheet(title, explanation, [*([name] if name else []), *["new"] * columns], rows)


def interpolation(rows: Images, shown: Sequence[Cell], generator: Generator, title: str) -> PreviewSheet:
    """Rows of images on the way from one draw to another, under one condition each.

    Args:
        rows: R x steps x C x H x W.
        shown: R cells with the condition in words; its image stands first where the condition is that image.
    """
    given, steps = generator.keeps_class, rows.shape[1]
    table = [
        [*([cell] if given else []), *(Cell(image, () if given else cell.caption) for image in row)]
        for cell, row in zip(shown, rows, strict=True)
    ]
    headings = [f"{step}/{steps - 1}" for step in range(steps)]
    explanation = f"Each row goes from one {generator.varied} (0) to another (1)" + (
        ", for the real image at the left." if given else ", for one class."
    )
    return PreviewSheet(title, explanation, [*(["source"] if given else []), *headings], table)


def walk_of(real: ImageDataset, labels: Sequence[int], from_images: bool) -> tuple[npt.NDArray[np.int64], list[Cell]]:
    """The real images (or the labels alone) under which walks are drawn, and the cells that show them."""
    if not from_images:
        chosen = np.array(labels[:ROWS], dtype=np.int64)
        blank = np.zeros(real.image_shape, np.uint8)
        return chosen, [_cell(blank, real, label) for label in chosen.tolist()]
    members = np.flatnonzero(np.isin(real.labels, labels))
    chosen = _spread_over(real.labels[members], members)
    return chosen, [_cell(real.images[i], real, int(real.labels[i])) for i in chosen]


def _spread_over(labels: npt.NDArray[np.int64], members: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """At most six of the members, class by class: one of each class before any class has two."""
    rank = np.array([np.count_nonzero(labels[:i] == label) for i, label in enumerate(labels)], dtype=np.int64)
    order = np.argsort(rank, kind="stable")[:ROWS]
    chosen: npt.NDArray[np.int64] = members[order[np.argsort(labels[order], kind="stable")]]
    return chosen


def _cell(image: npt.NDArray[np.uint8], real: ImageDataset, label: int) -> Cell:
    return Cell(image, (real.class_names[label],))
