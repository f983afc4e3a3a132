"""How two domains lie in the eyes of a network, as a plot for a file of its own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tenfold.report.figures import INK, SOFT, WIDTH
from tenfold.report.lettering import DOTS_PER_INCH, Lettering

SOURCE_AND_TARGET = ("#2d4fa8", "o"), ("#c65d07", "^")
"""Colour and mark."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One network's view of the two domains."""

    title: str
    source: npt.NDArray[np.float64]
    """N x 2."""
    target: npt.NDArray[np.float64]
    """M x 2."""


def embedding_png(panels: Sequence[Panel], sources: Sequence[str], target: str) -> bytes:
    """The panels beside each other; a domain's images share a colour and a mark."""
    words = [f"source ({', '.join(sources)})", f"target ({target})"]
    lettering = Lettering([*words, *(panel.title for panel in panels)], points=8.5)
    size = (WIDTH / DOTS_PER_INCH, 440 / DOTS_PER_INCH)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, facecolor="white")
    for number, panel in enumerate(panels):
        axes: Any = figure.add_subplot(1, len(panels), number + 1)
        for points, (colour, mark), word in zip((panel.source, panel.target), SOURCE_AND_TARGET, words, strict=True):
            label = lettering.written(word) if number == 0 else None
            axes.scatter(*points.T, s=9, c=colour, marker=mark, alpha=0.45, linewidths=0, label=label)
        title = lettering.written(panel.title)
        axes.set_title(title, loc="left", fontproperties=lettering.font, color=INK, parse_math=False)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("#d5d8de")
    legend = figure.legend(loc="lower center", ncols=2, prop=lettering.font, frameon=False, markerscale=1.8)
    for text in legend.get_texts():
        text.set_color(SOFT)
        text.set_parse_math(False)
    figure.subplots_adjust(left=0.02, right=0.98, top=0.92, bottom=0.1, wspace=0.04)
    file = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)  # its methods carry no types
    canvas.print_png(file)
    return file.getvalue()
