"""The sheets that `sample` draws: new pictures beside their sources, and a walk from one draw to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tenfold.core.types import ImageDataset
from tenfold.generators import Generator, Images
from tenfold.methods import Grown
from tenfold.report.image_sheet import Cell, PreviewSheet

ROWS = 6
NEW_A_ROW = 6
WALK = 9
"""Steps from one draw of the noise to another, both ends included."""


def new_pictures(real: ImageDataset, grown: Grown, title: str) -> PreviewSheet:
    """A few new pictures a row: of one source picture, which stands first, or of one class."""
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
    explanation = "Left a real picture; beside it new ones made from it." if name else "New pictures, a class a row."
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
