"""Sheets of images as PNG files: plain ones for a page that has words of its own, and captioned ones for a folder."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tenfold.core.types import ImageDataset
from tenfold.report.lettering import DOTS_PER_INCH, Lettering
from tenfold.report.share_law import ShareLaw, draw_law

SMALLEST_SIDE, SMALLEST_CAPTIONED = 48, 112
"""Pixels; images below are enlarged by whole factors, so that each of their pixels stays a square."""
LARGEST_SIDE, LARGEST_CAPTIONED = 160, 224
"""Larger ones are shrunk."""
GAP = 3
"""Transparent pixels between the images of a plain sheet: they show the page's own colour, light or dark."""
COLUMN_GAP, MARGIN, NARROWEST_CELL, NARROWEST_SHEET, LAW_HEIGHT = 14, 20, 124, 560, 190
"""Of a captioned sheet."""
INK, SOFT = "#1b1d21", "#5c626c"
OWN = "its own class"


@dataclass(frozen=True, eq=False)
class Cell:
    """One image and what is said under it."""

    image: npt.NDArray[np.uint8]
    """C x H x W, C = 1 (grey) or 3 (RGB)."""
    caption: tuple[str, ...] = ()
    """In parts, which stand on one line where they fit."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A table of images with words around them."""

    title: str
    note: str
    headings: Sequence[str]
    """One a column, or none at all."""
    rows: Sequence[Sequence[Cell | None]]
    """Equally long; None leaves a place empty."""
    row_labels: Sequence[str] = ()
    """One a row, for a page; a file has captions instead."""
    law: ShareLaw | None = None


def images_png(rows: Iterable[Iterable[npt.NDArray[np.uint8]]], largest_side: int = LARGEST_SIDE) -> bytes:
    """One PNG of R rows of images of one size; those larger than `largest_side` pixels are shrunk to it."""
    tiles = np.array([[_tile(image, SMALLEST_SIDE, largest_side) for image in row] for row in rows])
    opaque = np.concatenate([tiles, np.full_like(tiles[..., :1], 255)], axis=-1)
    spaced = np.pad(opaque, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0))).swapaxes(1, 2)
    rows_high, height, columns, width, channels = spaced.shape
    canvas = spaced.reshape(rows_high * height, columns * width, channels)[:-GAP, :-GAP]
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(canvas)).save(file, "PNG", optimize=True)
    return file.getvalue()


def preview_png(sheet: Sheet) -> bytes:
    """The sheet as a PNG; the same sheet gives the same bytes on one machine."""
    captions = [part for row in sheet.rows for cell in row if cell for part in cell.caption]
    small = Lettering([*captions, *sheet.headings, sheet.note], points=7.5)
    large = Lettering([sheet.title], points=11)
    tiles = [
        [_tile(cell.image, SMALLEST_CAPTIONED, LARGEST_CAPTIONED) if cell else None for cell in row]
        for row in sheet.rows
    ]
    column_width = max(NARROWEST_CELL, *(tile.shape[1] for row in tiles for tile in row if tile is not None))
    width = max(NARROWEST_SHEET, len(sheet.headings) * (column_width + COLUMN_GAP) - COLUMN_GAP + 2 * MARGIN)
    page = _Page(width)
    page.write(large.paragraph(sheet.title, width - 2 * MARGIN), MARGIN, large, INK)
    page.down += 6
    page.write(small.paragraph(sheet.note, width - 2 * MARGIN), MARGIN, small, SOFT)
    page.down += COLUMN_GAP
    places = [MARGIN + column * (column_width + COLUMN_GAP) for column in range(len(sheet.headings))]
    page.write_beside([small.lines([heading], column_width) for heading in sheet.headings], places, small, SOFT)
    for cells, row in zip(sheet.rows, tiles, strict=True):
        page.down += 4
        page.show(row, places)
        page.down += 4
        words = [small.lines(cell.caption, column_width) if cell else [] for cell in cells]
        page.write_beside(words, places, small, INK)
        page.down += COLUMN_GAP
    if sheet.law is not None:
        page.down += COLUMN_GAP
        page.keep_room(LAW_HEIGHT)
        page.write(small.paragraph(sheet.law.sentence, width - 2 * MARGIN), MARGIN, small, INK)
    page.down += MARGIN
    return page.png(sheet.law, small)


def style_grid(
    images: ImageDataset, rows: npt.NDArray[np.int64], restyled: npt.NDArray[np.uint8], *, seen: bool
) -> Sheet:
    """A row for the style of one image: the image, then what it is as each class, its own one marked.

    Args:
        images: the set whose styles are shown.
        rows: R indices of them.
        restyled: R x K x C x H x W, under the first K labels.
        seen: whether the autoencoder learned from these images.
    """
    columns = restyled.shape[1]
    table: list[list[Cell | None]] = []
    for row, made in zip(rows, restyled, strict=True):
        own = int(images.labels[row])
        cells = [Cell(image, (OWN,) if label == own else ()) for label, image in enumerate(made)]
        table.append([Cell(images.images[row], (images.class_names[own],)), *cells])
    which = "of those that it learned from" if seen else "from which nothing learned"
    missing = images.class_count - columns
    return Sheet(
        f"restyle on {images.name}",
        f"Left a real image, {which}; beside it its style under the label of each column."
        + (f" {missing} more classes are not shown." if missing else ""),
        ["real", *images.class_names[:columns]],
        table,
    )


class _Page:
    """Laid out from the top in whole pixels, then drawn at once, when its height is known."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.down = MARGIN
        self._words: list[tuple[int, int, str, Lettering, str]] = []
        self._tiles: list[tuple[int, int, npt.NDArray[np.uint8]]] = []
        self._room = (0, 0)

    def write(self, lines: Sequence[str], left: int, lettering: Lettering, colour: str) -> None:
        for line in lines:
            self._words.append((left, self.down, line, lettering, colour))
            self.down += lettering.line_height

    def write_beside(
        self, blocks: Sequence[Sequence[str]], places: Sequence[int], lettering: Lettering, colour: str
    ) -> None:
        top, lowest = self.down, self.down
        for left, lines in zip(places, blocks, strict=True):
            self.down = top
            self.write(lines, left, lettering, colour)
            lowest = max(lowest, self.down)
        self.down = lowest

    def show(self, tiles: Sequence[npt.NDArray[np.uint8] | None], places: Sequence[int]) -> None:
        shown = [(self.down, left, tile) for left, tile in zip(places, tiles, strict=True) if tile is not None]
        self._tiles += shown
        self.down += max((tile.shape[0] for _, _, tile in shown), default=0)

    def keep_room(self, height: int) -> None:
        self._room = (self.down, height)
        self.down += height

    def png(self, law: ShareLaw | None, lettering: Lettering) -> bytes:
        width, height = self.width, self.down
        figure = Figure(figsize=(width / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH, facecolor="white")
        canvas: Any = FigureCanvasAgg(figure)  # its methods carry no types
        pixels = np.full((height, width, 3), 255, dtype=np.uint8)
        for top, left, tile in self._tiles:
            pixels[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        figure.figimage(pixels, origin="upper", zorder=-1)  # pixel by pixel: nothing is smoothed
        for left, top, text, letters, colour in self._words:
            # A "$" in a class name begins no formula.
            figure.text(
                left / width, 1 - top / height, text,
                fontproperties=letters.font, color=colour, va="top", parse_math=False,
            )  # fmt: skip
        if law is not None:
            top, room = self._room
            left, below, above = MARGIN + 40, 44, 24
            box = (left / width, 1 - (top + room - below) / height)
            size = ((width - left - MARGIN) / width, (room - below - above) / height)
            draw_law(law, figure.add_axes((*box, *size)), lettering)
        file = io.BytesIO()
        canvas.print_png(file)
        return file.getvalue()


def _tile(image: npt.NDArray[np.uint8], smallest: int, largest: int) -> npt.NDArray[np.uint8]:
    """C x H x W to H x W x C at the size in which it is shown."""
    pixels = image.transpose(1, 2, 0)
    longer = max(pixels.shape[:2])
    if longer < smallest:
        factor = -(-smallest // longer)
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    if longer <= largest:
        return pixels
    height, width = (max(1, round(side * largest / longer)) for side in pixels.shape[:2])
    drawn = Image.fromarray(np.ascontiguousarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]))
    return np.asarray(drawn.resize((width, height), Image.Resampling.LANCZOS)).reshape(height, width, -1)
