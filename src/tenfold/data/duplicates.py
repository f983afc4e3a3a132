"""Images that are the same, or so nearly that one in training would give away the other in testing.

The measure of nearness is strict on purpose: a false alarm ties strangers into one group, and a few of those
tie whole classes together, which spoils the folds. A missed pair costs one image's worth of honesty.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict

import numpy as np
import numpy.typing as npt

THUMBNAIL_SIDE = 32
LEAST_CORRELATION = 0.995
MOST_DIFFERENCE = 6.0
"""Root mean square over all values of the two images, grey levels of 255."""
LEAST_CONTRAST = 4.0
"""Standard deviation in grey levels; correlation means nothing for flatter images."""
CHUNK_ROWS = 1024

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]
"""M x 2 indices."""


def constant_images(images: Images) -> Indices:
    """Indices of the images in which no channel varies."""
    values = images.reshape(*images.shape[:2], -1)
    return np.flatnonzero((values.min(axis=2) == values.max(axis=2)).all(axis=1))


def exact_sets(images: Images) -> list[Indices]:
    """The sets of two or more images that are equal in every value."""
    return _sets([_digest(image) for image in images])


def turned_pairs(images: Images) -> Pairs:
    """Pairs of which one is a mirror image or a quarter turn of the other, and not equal to it.

    Each image is paired with the first of its set, which is enough to join them.
    """
    if images.shape[2] != images.shape[3]:
        return np.empty((0, 2), np.int64)
    turns = [np.rot90(view, quarter, axes=(2, 3)) for view in (images, images[..., ::-1]) for quarter in range(4)]
    forms = [[_digest(turn[index]) for turn in turns] for index in range(len(images))]
    pairs = [
        (members[0], other)
        for members in _sets([min(form) for form in forms])
        for other in members[1:]
        if forms[members[0]][0] != forms[other][0]
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def near_pairs(images: Images, rows: Indices) -> Pairs:
    """Pairs (one of `rows`, any image) as close as a re-saved JPEG; equal ones are left out."""
    thumbnails = _standardised_thumbnails(images)
    is_row = np.zeros(len(images), dtype=bool)
    is_row[rows] = True
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[start : start + CHUNK_ROWS]
        position, other = np.nonzero(thumbnails[chunk] @ thumbnails.T >= LEAST_CORRELATION)
        one = chunk[position]
        # Among the rows each pair comes up twice: the one in rising order is kept.
        once = (one < other) | ~is_row[other]
        found.append(_truly_near(images, np.stack([one[once], other[once]], axis=1)))
    return np.concatenate(found)


def _truly_near(images: Images, candidates: Pairs) -> Pairs:
    # In a loop: candidates are few, but whole images are large.
    kept = [pair for pair in candidates if 0 < _difference(images[pair[0]], images[pair[1]]) <= MOST_DIFFERENCE]
    return np.array(kept, dtype=np.int64).reshape(-1, 2)


def _difference(one: Images, other: Images) -> float:
    return float(np.sqrt(np.mean(np.square(one.astype(np.float32) - other))))


def _standardised_thumbnails(images: Images) -> npt.NDArray[np.float32]:
    """N x D rows of mean 0 and length 1, so that a product is a correlation; flat images are zero rows."""
    height, width = images.shape[2:]
    down, across = _box(height), _box(width)
    rows = np.empty((len(images), len(down) * len(across)), np.float32)
    for start in range(0, len(images), CHUNK_ROWS):
        grey = images[start : start + CHUNK_ROWS].mean(axis=1, dtype=np.float32)
        rows[start : start + CHUNK_ROWS] = (down @ grey @ across.T).reshape(len(grey), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    contrast = rows.std(axis=1, keepdims=True)
    rows /= np.where(contrast < LEAST_CONTRAST, np.inf, contrast) * np.float32(np.sqrt(rows.shape[1]))
    return rows


def _box(length: int) -> npt.NDArray[np.float32]:
    """The matrix that averages `length` pixels down to at most THUMBNAIL_SIDE by area."""
    side = min(length, THUMBNAIL_SIDE)
    edges = np.arange(side + 1) * (length / side)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(overlap, 0, None) * (side / length), dtype=np.float32)


def _digest(image: Images) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _sets(digests: list[bytes]) -> list[Indices]:
    members: dict[bytes, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        members[digest].append(index)
    return [np.array(indices, dtype=np.int64) for indices in members.values() if len(indices) > 1]
