"""Sheets of pictures as PNG files that fit into a page."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from tenfold.report.content import Sheet

SMALLEST_SIDE = 48
"""Pixels; pictures below are enlarged by whole factors, so that each of their pixels stays a square."""
GAP = 3
"""Transparent pixels between pictures: they show the page's own colour, light or dark."""


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
