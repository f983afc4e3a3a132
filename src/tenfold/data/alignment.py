"""Images that are one another but for a small turn, shift, zoom or change of brightness.

Each image is compared with those of its class that look most like it, never with all. It is turned and zoomed by
steps and shifted over the other; what counts is the correlation of the middle part, which no brightness or contrast
changes. A coarse look at 16 x 16 pixels says which pairs get a fine one at 32 x 32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

from tenfold.data.duplicates import Images, Pairs, standardised_thumbnails

SMALLEST_SIDE = 24
"""Of smaller images too little is left to tell siblings from look-alikes."""
MOST_IMAGES = 2_000
NEIGHBOURS = 4
COARSE, FINE = 0.9, 0.99
"""Correlations of the middle part. Of mnist, emnist_letters, svhn, cifar10 and faces no two strangers reach FINE (in
up to 2,000 images each; the nearest: 0.989), of wbc 6 pairs in 300 images do. Of made siblings nine in ten do."""
LEAST_DETAIL = 0.05
ANGLES, ZOOMS = (-15.0, -10.0, -5.0, 0.0, 5.0, 10.0, 15.0), (0.87, 0.93, 1.0, 1.07, 1.15)
FINE_ANGLES, FINE_ZOOMS = (-4.0, -2.0, 0.0, 2.0, 4.0), (0.95, 0.98, 1.0, 1.02, 1.05)

Rows = npt.NDArray[np.float32]
Warp = tuple[float, float]
"""Degrees, and by how much the image is enlarged."""


def aligned_pairs(images: Images, labels: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> Pairs:
    """Pairs M x 2 among `rows` of one class each; none of images that are small, many or not square."""
    if len(rows) > MOST_IMAGES or images.shape[2] != images.shape[3] or images.shape[3] < SMALLEST_SIDE:
        return np.empty((0, 2), np.int64)
    coarse, fine = (standardised_thumbnails(images[rows], side) for side in (16, min(32, images.shape[3])))
    pairs: dict[tuple[int, int], None] = {}
    for label in np.unique(labels[rows]):
        members = np.flatnonzero(labels[rows] == label)
        for one, others in _candidates(coarse[members]):
            for other, warp in _coarse_matches(coarse[members[one]], coarse[members[others]], members[others]):
                key = (int(min(members[one], other)), int(max(members[one], other)))
                if key not in pairs and _fine_match(fine[members[one]], fine[other], warp) >= FINE:
                    pairs[key] = None
    return rows[np.array(list(pairs), dtype=np.int64).reshape(-1, 2)]


def _candidates(thumbnails: Rows) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Of each image those that look most like it, blurred so that a small shift changes little."""
    side = int(np.sqrt(thumbnails.shape[1]))
    blurred = thumbnails.reshape(-1, side // 4, 4, side // 4, 4).mean(axis=(2, 4)).reshape(len(thumbnails), -1)
    blurred /= np.maximum(np.linalg.norm(blurred, axis=1, keepdims=True), 1e-6)
    likeness = blurred @ blurred.T
    np.fill_diagonal(likeness, -1)
    count = min(NEIGHBOURS, len(thumbnails) - 1)
    for one, row in enumerate(likeness):
        if count:
            yield one, np.argpartition(row, -count)[-count:]


def _coarse_matches(image: Rows, others: Rows, indices: npt.NDArray[np.int64]) -> Iterator[tuple[int, Warp]]:
    warps = tuple(product(ANGLES, ZOOMS))
    scores = _scores(image, others, warps)  # warps x others
    for position, index in enumerate(indices):
        best = int(scores[:, position].argmax())
        if scores[best, position] >= COARSE:
            yield int(index), warps[best]


def _fine_match(image: Rows, other: Rows, near: Warp) -> float:
    warps = tuple((near[0] + angle, near[1] * zoom) for angle, zoom in product(FINE_ANGLES, FINE_ZOOMS))
    return float(_scores(image, other[np.newaxis], warps).max())


def _scores(image: Rows, others: Rows, warps: Sequence[Warp]) -> Rows:
    """The best correlation over shifts of the middle of each other with the warped image: warps x others."""
    side = int(np.sqrt(image.shape[0]))
    most = max(2, round(side * 0.15))
    window = side - 2 * most
    warped = np.stack([_warped(image, side, warp) for warp in warps]).reshape(-1, side, side)
    views = np.lib.stride_tricks.sliding_window_view(warped, (window, window), axis=(1, 2))
    found = _standardised(views.reshape(-1, window * window))
    middle = others.reshape(-1, side, side)[:, most:-most, most:-most].reshape(len(others), -1)
    scores: Rows = (found @ _standardised(middle).T).reshape(len(warps), -1, len(others)).max(axis=1)
    return scores


def _standardised(rows: Rows) -> Rows:
    """Rows of mean 0 and length 1; of what is all but flat beside its image, zeros."""
    rows = rows - rows.mean(axis=1, keepdims=True, dtype=np.float32)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Rows = (rows / np.where(length < LEAST_DETAIL, np.inf, length)).astype(np.float32)
    return scaled


def _warped(image: Rows, side: int, warp: Warp) -> Rows:
    places, shares = _taps(side, warp)
    values: Rows = (image[places] * shares).sum(axis=0)
    return values


@cache
def _taps(side: int, warp: Warp) -> tuple[npt.NDArray[np.int64], Rows]:
    """For each pixel of a side x side image that is turned and enlarged the four that it lies between: 4 x pixels."""
    angle, zoom = np.deg2rad(warp[0]), warp[1]
    places = np.arange(side) - (side - 1) / 2
    down, across = np.meshgrid(places, places, indexing="ij")
    turned = np.stack([np.cos(angle) * down - np.sin(angle) * across, np.sin(angle) * down + np.cos(angle) * across])
    exact = np.clip(turned.reshape(2, -1) / zoom + (side - 1) / 2, 0, side - 1)
    low = np.minimum(np.floor(exact).astype(np.int64), side - 2)
    rest = exact - low
    indices, shares = [], []
    for step_down, step_across in product((0, 1), (0, 1)):
        indices.append((low[0] + step_down) * side + low[1] + step_across)
        shares.append((rest[0] if step_down else 1 - rest[0]) * (rest[1] if step_across else 1 - rest[1]))
    return np.stack(indices), np.stack(shares).astype(np.float32)
