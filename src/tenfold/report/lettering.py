"""Words in images: how wide they are, where their lines break, and a font that has their letters.

Class names are in any language and of any length; a caption must neither run into its neighbour nor lose its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from tenfold.core.progress import one_line

FAMILY = "DejaVu Sans"
"""Comes with matplotlib."""
DOTS_PER_INCH = 100
BETWEEN = " · "
NO_SUCH_LETTER = "□"
LINES_A_PART = 2


class Lettering:
    """Letters of one size, in fonts that have every letter of the given texts, as far as the machine holds any."""

    def __init__(self, texts: Sequence[str], points: float) -> None:
        missing = {letter for text in texts for letter in one_line(text)} - _letters(findfont(FAMILY))
        families = [FAMILY]
        for font in fontManager.ttflist if missing else []:
            # matplotlib's last resort has a placeholder for every letter, and no letter.
            if "Last Resort" not in font.name and missing & _letters(font.fname):
                families.append(font.name)
                missing -= _letters(font.fname)
            if not missing:
                break
        self.font = FontProperties(family=families, size=points)
        self.line_height = round(points * DOTS_PER_INCH / 72 * 1.3)
        self._missing = missing
        renderer: Any = RendererAgg  # carries no types
        self._renderer = renderer(1, 1, DOTS_PER_INCH)

    def written(self, text: str) -> str:
        """The text on one line, with a box for each letter that no font has."""
        return "".join(NO_SUCH_LETTER if letter in self._missing else letter for letter in one_line(text))

    def width(self, text: str) -> float:
        """Pixels."""
        return float(self._renderer.get_text_width_height_descent(text, self.font, ismath=False)[0])

    def lines(self, parts: Sequence[str], width: int) -> list[str]:
        """The parts of a caption on lines of at most `width` pixels.

        Parts that fit stand beside each other. A long one gets two lines of its own; if that is not enough, its
        middle goes, since names that begin alike differ at their ends.
        """
        lines: list[str] = []
        open_line = False
        for part in map(self.written, parts):
            joined = lines[-1] + BETWEEN + part if open_line else part
            if self.width(joined) <= width:
                lines[-1 if open_line else len(lines) :] = [joined]
                open_line = True
            elif self.width(part) <= width:
                lines.append(part)
                open_line = True
            else:
                lines += self._broken(part, width)
                open_line = False
        return lines

    def paragraph(self, text: str, width: int) -> list[str]:
        """The words of a text on as many lines as they take."""
        lines = [""]
        for word in self.written(text).split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.width(longer) > width:
                lines.append("")
                longer = word
            lines[-1] = self._shortened(longer, width)
        return lines

    def _broken(self, part: str, width: int) -> list[str]:
        first, *rest = self.paragraph(part, width)
        if len(rest) < LINES_A_PART:
            return [first, *rest]
        return [first, self._shortened(" ".join(part.split()[len(first.split()) :]), width)]

    def _shortened(self, text: str, width: int) -> str:
        if self.width(text) <= width:
            return text
        for left_out in range(1, len(text)):
            head = (len(text) - left_out + 1) // 2
            short = text[:head].rstrip() + "…" + text[head + left_out :].lstrip()
            if self.width(short) <= width:
                return short
        return "…"


@lru_cache
def _letters(file: str) -> frozenset[str]:
    return frozenset(map(chr, get_font(file).get_charmap()))
