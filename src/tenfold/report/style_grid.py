"""The grid of styles by classes that `tenfold restyle` leaves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenfold.core.types import ImageDataset
from tenfold.report.preview_sheet import Cell, PreviewSheet

OWN = "its own class"


def style_grid(
    images: ImageDataset, rows: npt.NDArray[np.int64], pictures: npt.NDArray[np.uint8], *, seen: bool
) -> PreviewSheet:
    """A row for the style of one picture: the picture, then what it is as each class, its own one marked.

    Args:
        images: with the pictures whose styles are shown.
        rows: R indices of them.
        pictures: R x K x C x H x W, under the first K labels.
        seen: whether the autoencoder learned from these pictures.
    """
    columns = pictures.shape[1]
    table: list[list[Cell | None]] = []
    for row, made in zip(rows, pictures, strict=True):
        own = int(images.labels[row])
        cells = [Cell(picture, (OWN,) if label == own else ()) for label, picture in enumerate(made)]
        table.append([Cell(images.images[row], (images.class_names[own],)), *cells])
    which = "of those that it learned from" if seen else "from which nothing learned"
    missing = images.class_count - columns
    return PreviewSheet(
        f"restyle on {images.name}",
        f"Left a real picture, {which}; beside it its style under the label of each column."
        + (f" {missing} more classes are not shown." if missing else ""),
        ["real", *images.class_names[:columns]],
        table,
    )
