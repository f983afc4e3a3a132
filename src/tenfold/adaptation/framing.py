"""How the images of two sets are framed: which way round, how much of the side they fill, how much contrast.

What looks like another domain is often another frame: digits that fill the image beside digits with a margin, dark
on light beside light on dark. That is seen without a label and mended without a training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from tenfold.core.configuration import read_strictly
from tenfold.core.types import ImageDataset
from tenfold.data.images import with_channels

Images = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]
Ground = Literal["any", "dark", "light"]

INK = 0.25
"""Of the image's own range: what differs from the ground by more is what the image shows."""
CHUNK = 1024
QUANTILES = (0.02, 0.98)


@dataclass(frozen=True)
class Frame:
    """What is done to every image before a network sees it; the same for all sets and for later images."""

    side: int
    """Of the images that come out, in pixels."""
    channels: int
    read_side: int
    """To which later images are first brought, as the target's were."""
    ground: Ground = "any"
    """Images on the other ground are turned into their negatives."""
    fill: float = 0.0
    """What is shown is moved to the middle and scaled to fill so much of the side; 0 leaves it where it is."""
    contrast: float = 0.0
    """Values are stretched until they span so much of the range; 0 leaves them."""

    def of(self, images: Images) -> Images:
        """N x C x H x W of any one size -> N x channels x side x side."""
        coloured = with_channels(images, self.channels)
        parts = [_framed(coloured[start : start + CHUNK], self) for start in range(0, len(images), CHUNK)]
        empty = np.empty((0, self.channels, self.side, self.side), np.uint8)
        return np.concatenate(parts) if parts else empty

    def on(self, data: ImageDataset) -> ImageDataset:
        """The set with every image framed."""
        return replace(data, images=self.of(data.images))

    def to_json(self) -> dict[str, Any]:
        """As it is kept beside a classifier."""
        return asdict(self)


def frame_of(values: Mapping[str, Any] | None) -> Frame | None:
    """The inverse of `Frame.to_json`; None stays None.

    Raises:
        InputError: it is none.
    """
    return None if values is None else read_strictly(Frame, values, "frame")


def _framed(images: Images, frame: Frame) -> Images:
    grey = grey_values(images)
    ground, _ = borders(grey)
    values = torch.tensor(images, dtype=torch.float32) / 255
    if frame.ground != "any":
        turned = on_light_ground(grey, ground) == (frame.ground == "dark")
        values = torch.where(torch.from_numpy(turned)[:, None, None, None], 1 - values, values)
    if frame.contrast:
        flat = values.flatten(1)
        low, high = (torch.quantile(flat, q, dim=1)[:, None, None, None] for q in QUANTILES)
        values = ((values - low) / (high - low).clamp(min=1e-3)).clamp(0, 1)
        values = 0.5 + (values - 0.5) * frame.contrast
    count, height, width = grey.shape
    boxes = shown_boxes(grey, ground) if frame.fill else np.tile([0, height, 0, width], (count, 1))
    if not frame.fill and height == width == frame.side:
        return _as_bytes(values)
    top, bottom, left, right = boxes.T.astype(np.float32)
    longer = np.maximum(bottom - top, right - left).clip(2)
    # How many pixels of the old side the new one spans.
    seen = longer / frame.fill if frame.fill else np.full(count, max(height, width), np.float32)
    theta = np.zeros((count, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 1, 1] = seen / width, seen / height
    theta[:, 0, 2] = (left + right) / width - 1
    theta[:, 1, 2] = (top + bottom) / height - 1
    # Resampled around the ground, so that what lies outside the image is ground.
    level = _level(values)
    finer = 2 if max(seen, default=0) > frame.side else 1
    side = finer * frame.side
    grid = F.affine_grid(torch.from_numpy(theta), [count, 1, side, side], align_corners=False)
    moved = F.grid_sample(values - level, grid, padding_mode="zeros", align_corners=False) + level
    return _as_bytes(F.avg_pool2d(moved, finer) if finer > 1 else moved)


def _as_bytes(values: torch.Tensor) -> Images:
    result: Images = (values.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return result


def _level(values: torch.Tensor) -> torch.Tensor:
    """The median of each channel's outermost pixels: N x C x 1 x 1."""
    edge = torch.cat([values[:, :, 0], values[:, :, -1], values[:, :, 1:-1, 0], values[:, :, 1:-1, -1]], dim=2)
    return edge.median(dim=2).values[:, :, None, None]


def grey_values(images: Images) -> Rows:
    """N x H x W in 0..1."""
    grey: Rows = images.mean(axis=1, dtype=np.float32) / 255
    return grey


def borders(grey: Rows) -> tuple[Rows, Rows]:
    """The median of each image's outermost pixels, and how far the middle half of them spreads."""
    edge = np.concatenate([grey[:, 0], grey[:, -1], grey[:, 1:-1, 0], grey[:, 1:-1, -1]], axis=1)
    low, middle, high = np.percentile(edge, (25, 50, 75), axis=1).astype(np.float32)
    return middle, high - low


def on_light_ground(grey: Rows, ground: Rows) -> npt.NDArray[np.bool_]:
    """Whether the ground is lighter than what differs most from it in the image's middle half."""
    _, height, width = grey.shape
    middle = grey[:, height // 4 : height - height // 4, width // 4 : width - width // 4] - ground[:, None, None]
    above, below = middle.clip(min=0).sum(axis=(1, 2)), -middle.clip(max=0).sum(axis=(1, 2))
    light: npt.NDArray[np.bool_] = below > above
    return light


def shown_boxes(grey: Rows, ground: Rows) -> npt.NDArray[np.int64]:
    """N x (top, bottom, left, right) around what differs from the ground; the whole image where nothing does."""
    apart = np.abs(grey - ground[:, None, None])
    shown = apart > INK * apart.max(axis=(1, 2), keepdims=True).clip(1e-6)
    boxes = np.empty((len(grey), 4), np.int64)
    for axis, (first, last) in ((2, (0, 1)), (1, (2, 3))):
        lines = shown.any(axis=axis)
        boxes[:, first] = lines.argmax(axis=1)
        boxes[:, last] = lines.shape[1] - lines[:, ::-1].argmax(axis=1)
    return boxes


PLAIN_GROUND = 0.15
"""Of the range of values: a border whose values spread less shows a ground and not a scene."""
FILLED = 20 / 28
"""Of the side: what reframed images fill, as in MNIST."""
LOOKED_AT = 2_000
"""Images of a set that are measured, spread over all of it."""


@dataclass(frozen=True)
class Framing:
    """What is alike in the images of a set; medians, each as a share."""

    plain: float
    """Of the images, those on an even ground; of others nothing is said of how much of the side they fill."""
    light: float
    """Of the images, those whose border is lighter than their middle."""
    filled: float
    """Of the side, by the longer side of what is shown."""
    contrast: float
    """Between the 2nd and the 98th percentile of an image's values."""
    side: int
    """Pixels."""
    channels: int

    @property
    def both_ways(self) -> bool:
        """Whether light and dark grounds both occur."""
        return 0.1 < self.light < 0.9


def framing(data: ImageDataset) -> Framing:
    """Measured on a set's images alone, without their labels."""
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
    """What sets the sources' images apart from the target's, as far as a frame can mend it; often nothing."""
    by_kind: dict[str, Mend] = {}
    for source, look in product(sources, (_polarity, _size, _contrast, _colours)):
        mend = look(source, target)
        if mend is not None:
            by_kind.setdefault(look.__name__, mend)
    return tuple(by_kind.values())


def shared_frame(
    sources: Sequence[Framing], target: Framing, mending: Sequence[Mend], side: int | None, *, reframed: bool = True
) -> Frame:
    """One frame for all sets, with these mends; pixels as the largest set has them, unless given.

    Where nothing is `reframed`, images still have to share their channels.
    """
    every = (*sources, target)
    kinds = {mend.kind for mend in mending if reframed or mend.kind == "grey"}
    return Frame(
        side=side or max(one.side for one in every),
        channels=1 if "grey" in kinds else max(one.channels for one in every),
        read_side=target.side,
        ground="dark" if "ground" in kinds else "any",
        fill=FILLED if "fill" in kinds else 0.0,
        contrast=1.0 if "contrast" in kinds else 0.0,
    )


def frame_like(source: Framing, target: Framing) -> Frame:
    """What makes the source's images look framed as the target's are, which stay as they are."""
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
        f"{source.light:.0%} of the source's images lie on a ground lighter than what they show, of the target's "
        f"{target.light:.0%}",
        "every image is turned to a dark ground",
    )


def _size(source: Framing, target: Framing) -> Mend | None:
    both_plain = min(source.plain, target.plain) > 0.8
    if not both_plain or max(source.filled, target.filled) < 1.1 * min(source.filled, target.filled):
        return None
    return Mend(
        "fill",
        f"what is shown fills {source.filled:.0%} of the side in the source and {target.filled:.0%} in the target",
        f"every image is cropped and scaled to fill {FILLED:.0%}",
    )


def _contrast(source: Framing, target: Framing) -> Mend | None:
    if max(source.contrast, target.contrast) < 1.25 * min(source.contrast, target.contrast):
        return None
    return Mend(
        "contrast",
        f"values span {source.contrast:.0%} of the range in the source and {target.contrast:.0%} in the target",
        "every image is stretched to the whole range",
    )


def _colours(source: Framing, target: Framing) -> Mend | None:
    if source.channels == target.channels:
        return None
    which = "source" if source.channels == 3 else "target"
    return Mend("grey", f"only the {which} is coloured", "all images are made grey")
