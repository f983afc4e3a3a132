"""Memorisation: is what a generator made new, or are they its training images again?

A generated image is called a near copy when it lies nearer to some training image than real images that the
generator never saw do, all but the nearest 1 % of them. Pixel distance misses shifted or mirrored copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NearCopies:
    """How many of G generated images are near copies, and which training image each is nearest to."""

    share: float
    threshold: float
    """Grey levels; an image at this distance or nearer is a near copy."""
    nearest: Indices
    """G indices of training images."""
    distances: Distances
    """G rms pixel distances to these, grey levels."""


def nearest(images: Images, real: Images, chunk: int = 512) -> tuple[Indices, Distances]:
    """The nearest real neighbour of each image: M indices into `real`, M rms pixel distances in grey levels.

    `images` is M x C x H x W and `real` N x C x H x W; distances are taken `chunk` x `chunk` at a time.

    Raises:
        ValueError: `real` is empty, or its images have another shape.
    """
    if len(real) == 0 or images.shape[1:] != real.shape[1:]:
        raise ValueError(f"cannot look for neighbours of images {images.shape[1:]} among {real.shape}")
    indices = np.zeros(len(images), dtype=np.int64)
    distances = np.zeros(len(images), dtype=np.float32)
    for start in range(0, len(images), chunk):
        part = slice(start, start + chunk)
        indices[part] = _nearest_indices(_rows(images[part]), real, chunk)
        # Taken from the pair itself: the product below cancels, and would call a perfect copy merely close.
        apart = _rows(images[part]) - _rows(real[indices[part]])
        distances[part] = np.sqrt(np.mean(apart**2, axis=1))
    return indices, distances


def near_copies(generated: Images, train: Images, heldout: Images, quantile: float = 0.01) -> NearCopies:
    """Compare the distances generated -> train with those of real images held out -> train.

    Raises:
        ValueError: one of the three is empty, or their images differ in shape.
    """
    if len(generated) == 0 or len(heldout) == 0:
        raise ValueError(f"near copies take generated ({len(generated)}) and held-out ({len(heldout)}) images")
    indices, distances = nearest(generated, train)
    threshold = float(np.quantile(nearest(heldout, train)[1], quantile))
    return NearCopies(float(np.mean(distances <= threshold)), threshold, indices, distances)


def _rows(images: Images) -> npt.NDArray[np.float32]:
    # Grey levels around 0: shorter vectors lose fewer digits when squares are subtracted.
    return images.reshape(len(images), -1).astype(np.float32) - np.float32(127.5)


def _nearest_indices(rows: npt.NDArray[np.float32], real: Images, chunk: int) -> Indices:
    best = np.full(len(rows), np.inf, dtype=np.float32)
    indices = np.zeros(len(rows), dtype=np.int64)
    for start in range(0, len(real), chunk):
        others = _rows(real[start : start + chunk])
        # |a - b|^2 without |a|^2, which is the same for every b.
        squares = np.einsum("nd,nd->n", others, others) - 2 * rows @ others.T
        found = squares.argmin(axis=1)
        lowest = squares[np.arange(len(rows)), found]
        nearer = lowest < best
        best[nearer], indices[nearer] = lowest[nearer], start + found[nearer]
    return indices
