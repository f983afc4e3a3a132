"""A picture of how the features of two domains lie to one another, before and after."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tenfold.report.lettering import DOTS_PER_INCH, Lettering

WIDTH, HEIGHT = 860, 440
SOURCE, TARGET, INK, SOFT = "#2d4fa8", "#c65d07", "#1b1d21", "#5c626c"


@dataclass(frozen=True, eq=False)
class Panel:
    """One network's view of the two domains."""

    title: str
    source: npt.NDArray[np.float64]
    """N x 2."""
    target: npt.NDArray[np.float64]
    """M x 2."""


def embedding_png(panels: Sequence[Panel], sources: Sequence[str], target: str) -> bytes:
    """The panels beside each other; a domain's pictures share a colour and a mark."""
    words = [f"source ({', '.join(sources)})", f"target ({target})"]
    lettering = Lettering([*words, *(panel.title for panel in panels)], points=8.5)
    figure = Figure(figsize=(WIDTH / DOTS_PER_INCH, HEIGHT / DOTS_PER_INCH), dpi=DOTS_PER_INCH, facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)  # its methods carry no types
    for number, panel in enumerate(panels):
        axes: Any = figure.add_subplot(1, len(panels), number + 1)
        for points, colour, mark, word in (
            (panel.source, SOURCE, "o", words[0]),
            (panel.target, TARGET, "^", words[1]),
        ):
            label = lettering.written(word) if number == 0 else None
            axes.scatter(*points.T, s=9, c=colour, marker=mark, alpha=0.45, linewidths=0, label=label)
        axes.set_title(
            lettering.written(panel.title), loc="left", fontproperties=lettering.font, color=INK, parse_math=False
        )
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_color("#d5d8de")
    legend = figure.legend(loc="lower center", ncols=2, prop=lettering.font, frameon=False, markerscale=1.8)
    for text in legend.get_texts():
        text.set_color(SOFT)
        text.set_parse_math(False)
    figure.subplots_adjust(left=0.02, right=0.98, top=0.92, bottom=0.1, wspace=0.04)
    file = io.BytesIO()
    canvas.print_png(file)
    return file.getvalue()
