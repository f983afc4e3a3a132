"""The sheets of images that reports show and `sample` and `preview` leave: real, changed and new ones, and walks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

import numpy as np
import numpy.typing as npt
import torch

from tenfold.augment.tensors import to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.duplicates import nearest
from tenfold.evaluation.out_of_fold import OutOfFold
from tenfold.generators import Generator, Images
from tenfold.methods import Grown, make_method
from tenfold.report.image_sheet import Cell, Sheet

MOST_CLASSES, COLUMNS = 12, 8
"""Of a sheet in a report."""
ROWS, NEW_A_ROW = 6, 6
"""Of a sheet that `sample` leaves."""
COMPARED = 3
"""Images of each class beside one that may be of either."""
WALK = 9
"""Steps from one draw of the noise to another, both ends included."""

Row = list[Cell | None]


def real_sheet(images: ImageDataset) -> Sheet:
    """A row a class of the images as the classifier gets them."""
    shown = _shown(images)
    rows = [real_cells(images, np.flatnonzero(images.labels == label)[:COLUMNS]) for label in shown]
    channels, height, width = images.image_shape
    more = images.class_count - MOST_CLASSES
    return Sheet(
        "Real images",
        f"As the classifier gets them, {'grey' if channels == 1 else 'colour'}, {height} x {width} pixels."
        + (f" {more} more classes are not shown." if more > 0 else ""),
        (),
        [filled(row, COLUMNS, _grey(images)) for row in rows],
        [images.class_names[label] for label in shown],
    )


def augmented_sheet(images: ImageDataset, options: Mapping[str, str]) -> Sheet:
    """One image a class beside what classical augmentation with these options makes of it."""
    key, shown = Key("report/augmented"), _shown(images)
    originals = [int(np.argmax(images.labels == label)) for label in shown]
    batch = to_float(torch.tensor(images.images[originals])).repeat_interleave(COLUMNS - 1, dim=0)
    (change,) = make_method("classical", dict(options)).fit(images, None, key).transforms
    changed = to_uint8(change(batch, torch.zeros(len(batch)), key.torch_generator())[0])
    changed = changed.reshape(len(originals), COLUMNS - 1, *images.image_shape)
    return Sheet(
        "Classical augmentation",
        "Left a real image; the others are what the arm classical shows the classifier in its place.",
        ["real", *[""] * (COLUMNS - 1)],
        [[real, *map(Cell, others)] for real, others in zip(real_cells(images, originals), changed, strict=True)],
        [images.class_names[label] for label in shown],
    )


def generated_sheet(
    images: ImageDataset,
    made: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    *,
    title: str = "Generated images",
) -> Sheet:
    """Generated images, each with its nearest real neighbour: twins mean that the generator only copies."""
    shown, pairs = _shown(images), COLUMNS // 2
    return Sheet(
        title,
        "Each generated image stands left of the real image that is nearest to it in pixels. "
        "Pairs that look the same are copies, not new images.",
        ["new", "real"] * pairs,
        [filled(row, COLUMNS, _grey(images)) for row in beside_nearest(images, made, labels, shown, pairs)],
        [images.class_names[label] for label in shown],
    )


def mistakes_sheets(images: ImageDataset, found: OutOfFold) -> list[Sheet]:
    """Images whose labels look wrong, and then the worst of the other mistakes, beside images of both classes."""
    suspicious = found.suspicious
    others = found.mistakes[~np.isin(found.mistakes, suspicious)]
    titles = (("Labels to look at", suspicious), ("The worst mistakes", others))
    return [
        _mistakes(images, found, positions[:MOST_CLASSES], title) for title, positions in titles if len(positions)
    ]


def _mistakes(images: ImageDataset, found: OutOfFold, positions: npt.NDArray[np.int64], title: str) -> Sheet:
    def compared(label: int) -> Row:
        return filled(real_cells(images, found.surest(label)[:COMPARED]), COMPARED, _grey(images))

    pairs = [(int(found.labels[position]), int(found.predicted[position])) for position in positions]
    firsts = real_cells(images, found.indices[positions])
    return Sheet(
        title,
        "Left the image, then some that were surely recognised of the class that it is labelled as, and of the class "
        "that it was taken for.",
        ["image", "labelled", *[""] * (COMPARED - 1), "taken for", *[""] * (COMPARED - 1)],
        [
            [first, *compared(label), *compared(predicted)]
            for first, (label, predicted) in zip(firsts, pairs, strict=True)
        ],
        [f"{images.class_names[label]} or {images.class_names[predicted]}?" for label, predicted in pairs],
    )


def new_images(real: ImageDataset, grown: Grown, title: str) -> Sheet:
    """A few new images a row: of one source image, which stands first, or of one class."""
    from_images = any(grown.parents)
    if from_images:
        made_of = np.array([parents[0] for parents in grown.parents])
        sources = np.unique(made_of)
        kinds = sources[spread_over_classes(real.labels[sources], ROWS)]
        firsts = [[cell] for cell in real_cells(real, kinds)]
    else:
        made_of, kinds = grown.labels, np.unique(grown.labels)[:ROWS]
        firsts = [[] for _ in kinds]
    groups = [np.flatnonzero(made_of == kind)[:NEW_A_ROW] for kind in kinds]
    columns = max(map(len, groups))
    rows = [
        [*first, *filled([named(grown.images[i], real, grown.labels[i]) for i in group], columns)]
        for first, group in zip(firsts, groups, strict=True)
    ]
    note = "Left a real image; beside it new ones made from it." if from_images else "New images, a class a row."
    return Sheet(title, note, [*["source"] * from_images, *["new"] * columns], rows)


def interpolation(rows: Images, shown: Sequence[Cell], generator: Generator, title: str) -> Sheet:
    """Rows of images on the way from one draw to another, under one condition each.

    Args:
        rows: R x steps x C x H x W.
        shown: R cells with the condition in words; its image stands first where the condition is that image.
    """
    given, steps = generator.keeps_class, rows.shape[1]
    table = [
        [*[cell] * given, *(Cell(image, () if given else cell.caption) for image in row)]
        for cell, row in zip(shown, rows, strict=True)
    ]
    headings = [*["source"] * given, *(f"{step}/{steps - 1}" for step in range(steps))]
    note = f"Each row goes from one {generator.varied} (0) to another (1)"
    return Sheet(
        title, note + (", for the real image at the left." if given else ", for one class."), headings, table
    )


def walk_of(real: ImageDataset, labels: Sequence[int], from_images: bool) -> tuple[npt.NDArray[np.int64], list[Cell]]:
    """The real images (or the labels alone) under which walks are drawn, and the cells that show them."""
    if not from_images:
        chosen = np.array(labels[:ROWS], dtype=np.int64)
        blank = np.zeros(real.image_shape, np.uint8)
        return chosen, [named(blank, real, label) for label in chosen]
    members = np.flatnonzero(np.isin(real.labels, labels))
    chosen = members[spread_over_classes(real.labels[members], ROWS)]
    return chosen, real_cells(real, chosen)


def beside_nearest(
    real: ImageDataset,
    made: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: Iterable[int],
    pairs: int,
) -> list[Row]:
    """A row a class: at most `pairs` of the generated images, each left of the real one that is nearest in pixels."""
    rows: list[Row] = []
    for label in classes:
        some = made[np.flatnonzero(labels == label)[:pairs]]
        twins = real_cells(real, nearest(some, real.images)[0]) if len(some) else []
        rows.append(
            [cell for image, twin in zip(some, twins, strict=True) for cell in (named(image, real, label), twin)]
        )
    return rows


def spread_over_classes(labels: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most so many places in `labels`, class by class: one of each class before any class has two."""
    places: defaultdict[int, count[int]] = defaultdict(count)
    rank = np.array([next(places[label]) for label in labels.tolist()], dtype=np.int64)
    chosen = np.argsort(rank, kind="stable")[:most]
    return chosen[np.argsort(labels[chosen], kind="stable")]


def real_cells(real: ImageDataset, indices: Iterable[int]) -> list[Cell]:
    """These real images with the names of their classes."""
    return [named(real.images[i], real, real.labels[i]) for i in indices]


def named(image: npt.NDArray[np.uint8], real: ImageDataset, label: int) -> Cell:
    return Cell(image, (real.class_names[label],))


def filled(row: Sequence[Cell | None], columns: int, blank: Cell | None = None) -> Row:
    """The row, made so long with blank places."""
    return [*row, *[blank] * (columns - len(row))]


def _shown(images: ImageDataset) -> list[int]:
    return [int(label) for label in np.unique(images.labels)[:MOST_CLASSES]]


def _grey(images: ImageDataset) -> Cell:
    """Where a page has no image."""
    return Cell(np.full(images.image_shape, 128, np.uint8))
