"""How the pictures of two sets are framed: which way round, how much of the side they fill, how much contrast.

What looks like another domain is often another frame: digits that fill the picture beside digits with a margin, dark
on light beside light on dark. That is seen without a label and mended without a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from tenfold.core.types import ImageDataset
from tenfold.data.frames import Frame, Ground, borders, grey_values, on_light_ground, shown_boxes

PLAIN_GROUND = 0.15
"""Of the range of values: a border whose values spread less shows a ground and not a scene."""
FILLED = 20 / 28
"""Of the side: what reframed pictures fill, as in MNIST."""
LOOKED_AT = 2_000
"""Pictures of a set that are measured, spread over all of it."""


@dataclass(frozen=True)
class Framing:
    """What is alike in the pictures of a set; medians, each as a share."""

    plain: float
    """Of the pictures, those on an even ground; of others nothing is said of how much of the side they fill."""
    light: float
    """Of the pictures, those whose border is lighter than their middle."""
    filled: float
    """Of the side, by the longer side of what is shown."""
    contrast: float
    """Between the 2nd and the 98th percentile of a picture's values."""
    side: int
    """Pixels."""
    channels: int

    @property
    def both_ways(self) -> bool:
        """Whether light and dark grounds both occur."""
        return 0.1 < self.light < 0.9


def framing(data: ImageDataset) -> Framing:
    """Measured on a set's pictures alone, without their labels."""
    images = data.images[:: max(1, len(data) // LOOKED_AT)]
    grey = grey_values(images)
    ground, spread = borders(grey)
    boxes = shown_boxes(grey, ground)
    sides = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2])
    low, high = np.percentile(grey.reshape(len(grey), -1), (2, 98), axis=1)
    return Framing(
        plain=float((spread < PLAIN_GROUND).mean()),
        light=float(on_light_ground(grey, ground).mean()),
        filled=float(np.median(sides) / grey.shape[1]),
        contrast=float(np.median(high - low)),
        side=images.shape[2],
        channels=images.shape[1],
    )


@dataclass(frozen=True)
class Mend:
    """One difference between two sets and what takes it away in both."""

    kind: Literal["ground", "fill", "contrast", "grey"]
    difference: str
    remedy: str


def mends(sources: Sequence[Framing], target: Framing) -> tuple[Mend, ...]:
    """What sets the sources' pictures apart from the target's, as far as a frame can mend it; often nothing."""
    found: dict[str, Mend] = {}
    for source, look in product(sources, (_polarity, _size, _contrast, _colours)):
        mend = look(source, target)
        if mend is not None:
            found.setdefault(look.__name__, mend)
    return tuple(found.values())


def shared_frame(sources: Sequence[Framing], target: Framing, mending: Sequence[Mend], side: int | None) -> Frame:
    """One frame for all sets, with these mends; pixels as the largest set has them, unless given."""
    every = (*sources, target)
    kinds = {mend.kind for mend in mending}
    return Frame(
        side=side or max(one.side for one in every),
        channels=1 if "grey" in kinds else max(one.channels for one in every),
        read_side=target.side,
        ground="dark" if "ground" in kinds else "any",
        fill=FILLED if "fill" in kinds else 0.0,
        contrast=1.0 if "contrast" in kinds else 0.0,
    )


def frame_like(source: Framing, target: Framing) -> Frame:
    """What makes the source's pictures look framed as the target's are, which stay as they are."""
    kinds = {mend.kind for mend in mends([source], target)}
    ground: Ground = "any" if target.both_ways else "light" if target.light > 0.5 else "dark"
    return Frame(
        side=target.side,
        channels=target.channels,
        read_side=source.side,
        ground=ground if "ground" in kinds else "any",
        fill=target.filled if "fill" in kinds else 0.0,
        contrast=target.contrast if "contrast" in kinds else 0.0,
    )


def _polarity(source: Framing, target: Framing) -> Mend | None:
    if abs(source.light - target.light) < 0.2:
        return None
    return Mend(
        "ground",
        f"{source.light:.0%} of the source's pictures lie on a ground lighter than what they show, of the target's "
        f"{target.light:.0%}",
        "every picture is turned to a dark ground",
    )


def _size(source: Framing, target: Framing) -> Mend | None:
    both_plain = min(source.plain, target.plain) > 0.8
    if not both_plain or max(source.filled, target.filled) < 1.1 * min(source.filled, target.filled):
        return None
    return Mend(
        "fill",
        f"what is shown fills {source.filled:.0%} of the side in the source and {target.filled:.0%} in the target",
        f"every picture is cropped and scaled to fill {FILLED:.0%}",
    )


def _contrast(source: Framing, target: Framing) -> Mend | None:
    if max(source.contrast, target.contrast) < 1.25 * min(source.contrast, target.contrast):
        return None
    return Mend(
        "contrast",
        f"values span {source.contrast:.0%} of the range in the source and {target.contrast:.0%} in the target",
        "every picture is stretched to the whole range",
    )


def _colours(source: Framing, target: Framing) -> Mend | None:
    if source.channels == target.channels:
        return None
    which = "source" if source.channels == 3 else "target"
    return Mend("grey", f"only the {which} is coloured", "all pictures are made grey")
