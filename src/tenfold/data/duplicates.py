"""Images that are the same or nearly so: of one set, or made ones and those that they were made from.

In a set the measure of nearness is strict on purpose: a false alarm ties strangers into one group, and a few of
those tie whole classes together, which spoils the folds. A missed pair costs one image's worth of honesty.

A made image is called a near copy when it lies nearer to some training image than real images that the generator
never saw do, all but the nearest 1 % of them. Pixel distance misses shifted or mirrored copies; what takes vectors
(a network's features) sees those.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tenfold.core.rows import ImageRows

THUMBNAIL_SIDE = 32
LEAST_CORRELATION = 0.995
MOST_DIFFERENCE = 6.0
"""Root mean square over all values of the two images, grey levels of 255."""
LEAST_CONTRAST = 4.0
"""Standard deviation in grey levels; correlation means nothing for flatter images."""
CHUNK_ROWS = 1024
QUANTILE = 0.01
"""Share of unseen real images that lie so near to a training image by chance."""

Images = npt.NDArray[np.uint8]
Values = npt.NDArray[Any] | ImageRows
"""Images uint8 N x C x H x W, or vectors float N x D."""
Indices = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]
"""M x 2 indices."""
Distances = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float32]


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


def constant_images(images: Images) -> Indices:
    """Indices of the images in which no channel varies."""
    values = images.reshape(*images.shape[:2], -1)
    return np.flatnonzero((values.min(axis=2) == values.max(axis=2)).all(axis=1))


def exact_sets(images: Images) -> list[Indices]:
    """The sets of two or more images that are equal in every value."""
    return _sets([_digest(image) for image in images])


def equal_pairs(images: npt.NDArray[Any], others: npt.NDArray[Any]) -> Pairs:
    """Pairs (an image, the last of the others that equals it in every value); of other shapes none are equal."""
    position = {image.tobytes(): index for index, image in enumerate(others)}
    same_shape = images.shape[1:] == others.shape[1:]
    twins = ((index, position.get(image.tobytes())) for index, image in enumerate(images) if same_shape)
    return np.array([pair for pair in twins if pair[1] is not None], dtype=np.int64).reshape(-1, 2)


def orientations(images: Images) -> list[Images]:
    """The images as they are, then their turns and mirror images: eight, or four of images that are not square."""
    step = 1 if images.shape[2] == images.shape[3] else 2
    mirrored = images[..., ::-1]
    return [np.rot90(view, turn, axes=(2, 3)) for view in (images, mirrored) for turn in range(0, 4, step)]


def turned_pairs(images: Images) -> Pairs:
    """Pairs of which one is a mirror image or a quarter turn of the other, and not equal to it.

    Each image is paired with the first of its set, which is enough to join them.
    """
    if images.shape[2] != images.shape[3]:
        return np.empty((0, 2), np.int64)
    turns = orientations(images)
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
    thumbnails = standardised_thumbnails(images)
    is_row = np.zeros(len(images), dtype=bool)
    is_row[rows] = True
    pairs = [np.empty((0, 2), np.int64)]
    for part in _chunks(len(rows), CHUNK_ROWS):
        position, other = np.nonzero(thumbnails[rows[part]] @ thumbnails.T >= LEAST_CORRELATION)
        one = rows[part][position]
        # Among the rows each pair comes up twice: the one in rising order is kept.
        once = (one < other) | ~is_row[other]
        pairs.append(_truly_near(images, np.stack([one[once], other[once]], axis=1)))
    return np.concatenate(pairs)


def component_numbers(count: int, pairs: Sequence[tuple[int, int]]) -> Indices:
    """A group number for each of `count` items, equal within every pair, numbered by first member."""
    if not count:
        return np.empty(0, np.int64)
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def nearest(
    images: Values, real: Values, chunk: int = 512, groups: Indices | None = None
) -> tuple[Indices, Distances]:
    """The nearest real neighbour of each image: M indices into `real`, M rms distances in grey levels.

    `images` is M x C x H x W and `real` N x C x H x W; distances are taken `chunk` x `chunk` at a time. Vectors
    M x D and N x D are taken too, and their distances are in the vectors' unit.

    Args:
        groups: where `images` are the real ones themselves; neighbours are then of another group.

    Raises:
        ValueError: `real` is empty, or its images have another shape.
    """
    if len(real) == 0 or images.shape[1:] != real.shape[1:]:
        raise ValueError(f"cannot look for neighbours of images {images.shape[1:]} among {real.shape}")
    # Values around 0: shorter vectors lose fewer digits when squares are subtracted.
    centre = np.float32(127.5) if real.dtype == np.uint8 else real[:].mean(axis=0).astype(np.float32)
    indices = np.zeros(len(images), dtype=np.int64)
    distances = np.zeros(len(images), dtype=np.float32)
    for part in _chunks(len(images), chunk):
        rows = _flat(images[part]) - centre
        best, closest = np.full(len(rows), np.inf, dtype=np.float32), indices[part]
        for others_part in _chunks(len(real), chunk):
            others = _flat(real[others_part]) - centre
            # |a - b|^2 without |a|^2, which is the same for every b.
            squares = np.einsum("nd,nd->n", others, others) - 2 * rows @ others.T
            if groups is not None:
                squares[groups[part, None] == groups[None, others_part]] = np.inf
            lowest = squares.min(axis=1)
            nearer = lowest < best
            best[nearer], closest[nearer] = lowest[nearer], others_part.start + squares.argmin(axis=1)[nearer]
        # Taken from the pair itself: the product above cancels, and would call a perfect copy merely close.
        distances[part] = np.sqrt(np.mean((rows - (_flat(real[closest]) - centre)) ** 2, axis=1))
    return indices, distances


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
    threshold = copy_threshold(train, groups, quantile)
    return nearest(generated, train)[1] <= threshold, threshold


def copy_threshold(train: Values, groups: Indices, quantile: float = QUANTILE) -> float:
    """The distance at which, or nearer, `copies_among` calls an image a near copy."""
    if len(np.unique(groups)) < 2:
        return 0.0
    return float(np.quantile(nearest(train, train, groups=groups)[1], quantile))


def _chunks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _flat(values: npt.NDArray[Any]) -> Rows:
    return values.reshape(len(values), -1).astype(np.float32)


def _truly_near(images: Images, candidates: Pairs) -> Pairs:
    # In a loop: candidates are few, but whole images are large.
    kept = [pair for pair in candidates if 0 < _difference(images[pair[0]], images[pair[1]]) <= MOST_DIFFERENCE]
    return np.array(kept, dtype=np.int64).reshape(-1, 2)


def _difference(one: Images, other: Images) -> float:
    return float(np.sqrt(np.mean(np.square(one.astype(np.float32) - other))))


def standardised_thumbnails(images: Images, side: int = THUMBNAIL_SIDE) -> npt.NDArray[np.float32]:
    """N x D rows of mean 0 and length 1, so that a product is a correlation; flat images are zero rows."""
    height, width = images.shape[2:]
    down, across = _box(height, side), _box(width, side)
    rows = np.empty((len(images), len(down) * len(across)), np.float32)
    for part in _chunks(len(images), CHUNK_ROWS):
        grey = images[part].mean(axis=1, dtype=np.float32)
        rows[part] = (down @ grey @ across.T).reshape(len(grey), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    contrast = rows.std(axis=1, keepdims=True)
    rows /= np.where(contrast < LEAST_CONTRAST, np.inf, contrast) * np.float32(np.sqrt(rows.shape[1]))
    return rows


def _box(length: int, most: int) -> npt.NDArray[np.float32]:
    """The matrix that averages `length` pixels down to at most `most` by area."""
    side = min(length, most)
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
