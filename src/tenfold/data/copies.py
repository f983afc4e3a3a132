"""Memorisation: is what a generator made new, or are they its training images again?

A generated image is called a near copy when it lies nearer to some training image than real images that the
generator never saw do, all but the nearest 1 % of them. Pixel distance misses shifted or mirrored copies;
everything here also takes vectors (a network's features), which see those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
"""Images uint8 N x C x H x W, or vectors float N x D."""
Indices = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float32]

QUANTILE = 0.01
"""Share of unseen real images that lie so near to a training image by chance."""


@dataclass(frozen=True, eq=False)
class NearCopies:
    """How many of G generated images are near copies, and which training image each is nearest to."""

    share: float
    threshold: float
    """Grey levels for images; an image at this distance or nearer is a near copy."""
    nearest: Indices
    """G indices of training images."""
    distances: Distances
    """G rms distances to these, grey levels for images."""
    heldout_distances: Distances
    """The same of the held-out images."""


def nearest(images: Values, real: Values, chunk: int = 512) -> tuple[Indices, Distances]:
    """The nearest real neighbour of each image: M indices into `real`, M rms distances in grey levels.

    `images` is M x C x H x W and `real` N x C x H x W; distances are taken `chunk` x `chunk` at a time. Vectors
    M x D and N x D are taken too, and their distances are in the vectors' unit.

    Raises:
        ValueError: `real` is empty, or its images have another shape.
    """
    return _nearest(images, real, chunk)


def near_copies(generated: Values, train: Values, heldout: Values, quantile: float = QUANTILE) -> NearCopies:
    """Compare the distances generated -> train with those of real images held out -> train.

    Raises:
        ValueError: one of the three is empty, or their images differ in shape.
    """
    if len(generated) == 0 or len(heldout) == 0:
        raise ValueError(f"near copies take generated ({len(generated)}) and held-out ({len(heldout)}) images")
    indices, distances = nearest(generated, train)
    heldout_distances = nearest(heldout, train)[1]
    threshold = float(np.quantile(heldout_distances, quantile))
    return NearCopies(float(np.mean(distances <= threshold)), threshold, indices, distances, heldout_distances)


def copies_among(
    generated: Values, train: Values, groups: Indices, quantile: float = QUANTILE
) -> tuple[npt.NDArray[np.bool_], float]:
    """Which generated images are near copies where no real image was held out: a mask of G, and the threshold.

    Each real image stands in for a held-out one: the threshold is the 1 % quantile of its distance to the
    nearest real image of another group. Other images of its own group do not count, since a held-out image
    would have none. Classes are not told apart, because a copy is a copy whatever label it carries, and the
    generated images look for their neighbours among all classes too. With a single group there is nothing to
    compare with, and only equal images are called copies (threshold 0).

    Args:
        generated: G x C x H x W, or vectors G x D.
        train: N x C x H x W or N x D, what the generator learned from.
        groups: N.

    Raises:
        ValueError: `train` is empty, or the images differ in shape.
    """
    _, distances = nearest(generated, train)
    threshold = 0.0
    if len(np.unique(groups)) > 1:
        threshold = float(np.quantile(_nearest(train, train, groups=groups)[1], quantile))
    return distances <= threshold, threshold


def _nearest(
    images: Values, real: Values, chunk: int = 512, groups: Indices | None = None
) -> tuple[Indices, Distances]:
    """As `nearest`; with `groups`, `images` are the real ones themselves and neighbours are of another group."""
    if len(real) == 0 or images.shape[1:] != real.shape[1:]:
        raise ValueError(f"cannot look for neighbours of images {images.shape[1:]} among {real.shape}")
    # Values around 0: shorter vectors lose fewer digits when squares are subtracted.
    centre = 127.5 if real.dtype == np.uint8 else real.mean(axis=0)
    indices = np.zeros(len(images), dtype=np.int64)
    distances = np.zeros(len(images), dtype=np.float32)
    for start in range(0, len(images), chunk):
        part = slice(start, start + chunk)
        rows = _rows(images[part], centre)
        indices[part] = _nearest_indices(rows, real, centre, chunk, groups, part)
        # Taken from the pair itself: the product below cancels, and would call a perfect copy merely close.
        apart = rows - _rows(real[indices[part]], centre)
        distances[part] = np.sqrt(np.mean(apart**2, axis=1))
    return indices, distances


def _rows(values: Values, centre: Any) -> Rows:
    flat = values.reshape(len(values), -1)
    return flat.astype(np.float32) - np.asarray(centre, dtype=np.float32)


def _nearest_indices(
    rows: Rows, real: Values, centre: Any, chunk: int, groups: Indices | None, part: slice
) -> Indices:
    best = np.full(len(rows), np.inf, dtype=np.float32)
    indices = np.zeros(len(rows), dtype=np.int64)
    for start in range(0, len(real), chunk):
        others = _rows(real[start : start + chunk], centre)
        # |a - b|^2 without |a|^2, which is the same for every b.
        squares = np.einsum("nd,nd->n", others, others) - 2 * rows @ others.T
        if groups is not None:
            squares[groups[part, None] == groups[None, start : start + chunk]] = np.inf
        found = squares.argmin(axis=1)
        lowest = squares[np.arange(len(rows)), found]
        nearer = lowest < best
        best[nearer], indices[nearer] = lowest[nearer], start + found[nearer]
    return indices
