"""Sheets of pictures as PNG files that fit into a page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

SMALLEST_SIDE = 48
"""Pixels; pictures below are enlarged by whole factors, so that each of their pixels stays a square."""
GAP = 3
"""Transparent pixels between pictures: they show the page's own colour, light or dark."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A table of pictures with words at its edges."""

    title: str
    caption: str
    images: npt.NDArray[np.uint8]
    """Rows x columns x C x H x W, C = 1 (grey) or 3 (RGB)."""
    row_labels: Sequence[str] = ()
    """One a row, or none at all."""
    column_labels: Sequence[str] = ()
    """One a column, or none at all."""

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 5 or self.images.shape[2] not in (1, 3):
            found = f"{self.images.dtype} {self.images.shape}"
            raise ValueError(f"a sheet is uint8 rows x columns x (1|3) x H x W, not {found}")
        for side, words, length in (
            ("row", self.row_labels, self.images.shape[0]),
            ("column", self.column_labels, self.images.shape[1]),
        ):
            if len(words) not in (0, length):
                raise ValueError(f"{len(words)} {side} labels for {length} {side}s")


def sheet_png(sheet: Sheet, largest_side: int = 160) -> bytes:
    """One PNG of all pictures of a sheet; pictures larger than `largest_side` pixels are shrunk to it."""
    rows, columns = sheet.images.shape[:2]
    if rows * columns == 0:
        return _encode(np.zeros((1, 1, 2), dtype=np.uint8), "LA")
    tiles = [[_tile(image, largest_side) for image in row] for row in sheet.images]
    height, width, channels = tiles[0][0].shape
    canvas = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels + 1), dtype=np.uint8)
    for row, pictures in enumerate(tiles):
        for column, picture in enumerate(pictures):
            top, left = row * (height + GAP), column * (width + GAP)
            canvas[top : top + height, left : left + width, :-1] = picture
            canvas[top : top + height, left : left + width, -1] = 255
    return _encode(canvas, "LA" if channels == 1 else "RGBA")


def _tile(image: npt.NDArray[np.uint8], largest_side: int) -> npt.NDArray[np.uint8]:
    """C x H x W to H x W x C, at the size in which it is shown."""
    pixels = image.transpose(1, 2, 0)
    longer = max(pixels.shape[:2])
    if longer < SMALLEST_SIDE:
        factor = -(-SMALLEST_SIDE // longer)
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    if longer <= largest_side:
        return pixels
    height, width = (max(1, round(side * largest_side / longer)) for side in pixels.shape[:2])
    picture = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
    shrunk = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
    return shrunk.reshape(height, width, -1)


def _encode(canvas: npt.NDArray[np.uint8], mode: str) -> bytes:
    height, width = canvas.shape[:2]
    file = io.BytesIO()
    Image.frombytes(mode, (width, height), canvas.tobytes()).save(file, "PNG", optimize=True)
    return file.getvalue()
