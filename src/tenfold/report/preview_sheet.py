"""The picture that `tenfold preview` leaves: a table of captioned images and, for mixing, the law of the shares."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import beta

from tenfold.report.lettering import DOTS_PER_INCH, Lettering

SMALLEST_SIDE = 112
"""Pixels; pictures below are enlarged by whole factors, so that each of their pixels stays a square."""
LARGEST_SIDE = 224
"""Larger ones are shrunk."""
NARROWEST_CELL = 124
GAP = 14
MARGIN = 20
LAW_HEIGHT = 190
NARROWEST_SHEET = 560
BINS = 40
INK, SOFT, ACCENT, BAND = "#1b1d21", "#5c626c", "#2d4fa8", "#b9c6e4"


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture and what is said under it."""

    image: npt.NDArray[np.uint8]
    """C x H x W, C = 1 (grey) or 3 (RGB)."""
    caption: tuple[str, ...]
    """In parts, which stand on one line where they fit."""


@dataclass(frozen=True, eq=False)
class ShareLaw:
    """How much of each picture a blend holds: Dirichlet(alpha, ..., alpha), for two pictures Beta(alpha, alpha)."""

    alpha: float
    shares: npt.NDArray[np.float64]
    """Draws x pictures; each row sums to 1."""
    before: str = ""
    """What still changes the shares after they are drawn: `boxes are cut off at the edge`."""

    @property
    def name(self) -> str:
        pictures = self.shares.shape[1]
        return f"{'Beta' if pictures == 2 else 'Dirichlet'}({', '.join([f'{self.alpha:g}'] * pictures)})"

    @property
    def largest_shares(self) -> npt.NDArray[np.float64]:
        """Of each drawn blend the share of the picture that it holds most of."""
        largest: npt.NDArray[np.float64] = self.shares.max(axis=1)
        return largest

    @property
    def sentence(self) -> str:
        largest = self.largest_shares
        opening = f"Before {self.before}, half" if self.before else "Half"
        return (
            f"{opening} of all blends keep at least {np.median(largest):.0%} of one picture; "
            f"{np.mean(largest < 0.8):.0%} of them keep less than 80%."
        ).replace("%", " %")

    def density(self, share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Of the share of one picture."""
        others = self.shares.shape[1] - 1
        return np.array(beta.pdf(share, self.alpha, others * self.alpha), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class PreviewSheet:
    """All that is drawn."""

    title: str
    note: str
    headings: Sequence[str]
    """One a column."""
    rows: Sequence[Sequence[Cell | None]]
    """Equally long; None leaves a place empty."""
    law: ShareLaw | None = None


def preview_png(sheet: PreviewSheet) -> bytes:
    """The sheet as a PNG; the same sheet gives the same bytes on one machine."""
    captions = [part for row in sheet.rows for cell in row if cell for part in cell.caption]
    small = Lettering([*captions, *sheet.headings, sheet.note], points=7.5)
    large = Lettering([sheet.title], points=11)
    tiles = [[_tile(cell.image) if cell else None for cell in row] for row in sheet.rows]
    column_width = max(NARROWEST_CELL, *(tile.shape[1] for row in tiles for tile in row if tile is not None))
    width = max(NARROWEST_SHEET, len(sheet.headings) * (column_width + GAP) - GAP + 2 * MARGIN)
    page = _Page(width)
    page.write(large.paragraph(sheet.title, width - 2 * MARGIN), MARGIN, large, INK)
    page.down += 6
    page.write(small.paragraph(sheet.note, width - 2 * MARGIN), MARGIN, small, SOFT)
    page.down += GAP
    places = [MARGIN + column * (column_width + GAP) for column in range(len(sheet.headings))]
    page.write_beside([small.lines([heading], column_width) for heading in sheet.headings], places, small, SOFT)
    for cells, row in zip(sheet.rows, tiles, strict=True):
        page.down += 4
        page.show(row, places)
        page.down += 4
        words = [small.lines(cell.caption, column_width) if cell else [] for cell in cells]
        page.write_beside(words, places, small, INK)
        page.down += GAP
    if sheet.law is not None:
        page.down += GAP
        page.keep_room(LAW_HEIGHT)
        page.write(small.paragraph(sheet.law.sentence, width - 2 * MARGIN), MARGIN, small, INK)
    page.down += MARGIN
    return page.png(sheet.law, small)


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
            _draw(law, figure.add_axes((*box, *size)), lettering)
        file = io.BytesIO()
        canvas.print_png(file)
        return file.getvalue()


def _draw(law: ShareLaw, axes: Any, lettering: Lettering) -> None:
    share = law.shares[:, 0]
    edges = np.linspace(0, 1, BINS + 1)
    heights = np.histogram(share, edges, density=True)[0]
    bars = f"{len(share):,} draws"
    axes.bar(edges[:-1], heights, 1 / BINS, align="edge", color=BAND, edgecolor="white", label=bars)
    inside = np.linspace(0, 1, 401)[1:-1]  # at the ends the density of a small alpha is infinite
    axes.plot(inside, law.density(inside), color=ACCENT, linewidth=1.4, label="density")
    axes.set(xlim=(0, 1), ylim=(0, 1.08 * heights.max()))
    title = f"Shares are drawn from {law.name}, alpha = {law.alpha:g}"
    axes.set_title(title, loc="left", fontproperties=lettering.font, color=INK)
    axes.set_xlabel("share of one picture in a blend (lambda)", fontproperties=lettering.font, color=SOFT)
    axes.set_ylabel("density", fontproperties=lettering.font, color=SOFT)
    axes.tick_params(labelsize=7, colors=SOFT)
    axes.spines[["top", "right"]].set_visible(False)
    # Above the axes: a flat law fills them.
    axes.legend(prop=lettering.font, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.96), ncols=2)


def _tile(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """C x H x W to H x W x 3, at the size in which it is shown."""
    pixels = np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3))
    longer = max(pixels.shape[:2])
    if longer < SMALLEST_SIDE:
        factor = -(-SMALLEST_SIDE // longer)
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    if longer <= LARGEST_SIDE:
        return pixels
    height, width = (max(1, round(side * LARGEST_SIDE / longer)) for side in pixels.shape[:2])
    shrunk = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(shrunk)
