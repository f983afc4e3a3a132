"""How much of each image a blend holds: the law that the shares are drawn from, in words and as a plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from tenfold.report.lettering import Lettering

BINS = 40
INK, SOFT, ACCENT, BAND = "#1b1d21", "#5c626c", "#2d4fa8", "#b9c6e4"


@dataclass(frozen=True, eq=False)
class ShareLaw:
    """How much of each image a blend holds: Dirichlet(alpha, ..., alpha), for two images Beta(alpha, alpha)."""

    alpha: float
    shares: npt.NDArray[np.float64]
    """Draws x images; each row sums to 1."""
    before: str = ""
    """What still changes the shares after they are drawn: `boxes are cut off at the edge`."""

    @property
    def name(self) -> str:
        images = self.shares.shape[1]
        return f"{'Beta' if images == 2 else 'Dirichlet'}({', '.join([f'{self.alpha:g}'] * images)})"

    @property
    def largest_shares(self) -> npt.NDArray[np.float64]:
        """Of each drawn blend the share of the image that it holds most of."""
        largest: npt.NDArray[np.float64] = self.shares.max(axis=1)
        return largest

    @property
    def sentence(self) -> str:
        largest = self.largest_shares
        opening = f"Before {self.before}, half" if self.before else "Half"
        return (
            f"{opening} of all blends keep at least {np.median(largest):.0%} of one image; "
            f"{np.mean(largest < 0.8):.0%} of them keep less than 80%."
        ).replace("%", " %")

    def density(self, share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Of the share of one image."""
        others = self.shares.shape[1] - 1
        return np.array(beta.pdf(share, self.alpha, others * self.alpha), dtype=np.float64)


def draw_law(law: ShareLaw, axes: Any, lettering: Lettering) -> None:
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
    axes.set_xlabel("share of one image in a blend (lambda)", fontproperties=lettering.font, color=SOFT)
    axes.set_ylabel("density", fontproperties=lettering.font, color=SOFT)
    axes.tick_params(labelsize=7, colors=SOFT)
    axes.spines[["top", "right"]].set_visible(False)
    # Above the axes: a flat law fills them.
    axes.legend(prop=lettering.font, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.96), ncols=2)
