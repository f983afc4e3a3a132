"""All diagnostics of generated images as flat figures; they explain a verdict and never take part in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.types import ImageDataset
from tenfold.data.duplicates import near_copies

Vectors = npt.NDArray[np.floating[Any]]
"""N x D."""
Squares = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

CHUNK_ROWS = 1024
SAME = 1e-10
"""Squared distances below this share of the squared lengths are rounding: a network's features of one image
differ by as much from batch to batch."""


@dataclass(frozen=True)
class Fidelity:
    """Precision, recall, density and coverage."""

    precision: float
    """Share of generated images within reach of a real one, 0..1."""
    recall: float
    """Share of real images within reach of a generated one, 0..1."""
    density: float
    """How many real images a generated one is in reach of, on average and over k; about 1 for real images."""
    coverage: float
    """Share of real images with a generated one in their reach, 0..1."""
    neighbours: int
    """k: an image reaches as far as the k-th nearest of its own kind."""


@dataclass(frozen=True)
class Memorisation:
    """Whether generated images are the training images again."""

    near_copies: float
    """Share of generated images that are nearer to a training image than 99 % of held-out images, 0..1."""
    heldout_near_copies: float
    """The same of the held-out images themselves: 0.01 by construction, or one image where they are fewer."""
    distance_ratio: float | None
    """Median distance generated -> train over held-out -> train; None where half of the latter are copies."""


def kid(real: Vectors, generated: Vectors) -> float:
    """Kernel inception distance: 0 on average where both have the same law, and then as often below as above.

    The unbiased estimate of the squared maximum mean discrepancy over all pairs, no blocks, with the kernel
    (x.y / D + 1)^3 (Binkowski et al. 2018).

    Raises:
        ValueError: fewer than two real or two generated rows.
    """
    _require_two(real, generated)
    return _mean_kernel(real, real) + _mean_kernel(generated, generated) - 2 * _mean_kernel(real, generated)


def prdc(real: Vectors, generated: Vectors, neighbours: int = 5) -> Fidelity:
    """Improved precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    `neighbours` is k, lowered where there are not that many other rows on both sides.

    Raises:
        ValueError: fewer than two real or two generated rows.
    """
    _require_two(real, generated)
    k = min(neighbours, len(real) - 1, len(generated) - 1)
    real_reach, generated_reach = _reach(real, k), _reach(generated, k)
    reached_by = np.zeros(len(generated), dtype=np.int64)
    recalled = np.zeros(len(real), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    for part, squares in _squared_distances(real, generated):
        reached = squares <= real_reach[part, None]
        reached_by += reached.sum(axis=0)
        covered[part] = reached.any(axis=1)
        recalled[part] = (squares <= generated_reach).any(axis=1)
    return Fidelity(
        precision=float(np.mean(reached_by > 0)),
        recall=float(recalled.mean()),
        density=float(reached_by.mean() / k),
        coverage=float(covered.mean()),
        neighbours=k,
    )


def diversity(real: Vectors, real_labels: Labels, generated: Vectors, labels: Labels) -> dict[int, float]:
    """For each class, how far generated rows spread around their centre, over how far real ones do; 1 is as far.

    The spread is the mean distance from the class's centroid, times sqrt(n / (n - 1)), since the centroid of few
    rows lies too near to them. A class with fewer than two real or generated rows, or whose real rows are all
    equal, has no entry.
    """
    ratios = {}
    for label in np.intersect1d(real_labels, labels):
        members, made = real[real_labels == label], generated[labels == label]
        if len(members) > 1 and len(made) > 1 and (spread := _spread(members)) > 0:
            ratios[int(label)] = _spread(made) / spread
    return ratios


def memorisation(generated: Vectors, train: Vectors, heldout: Vectors) -> Memorisation:
    """Compare generated -> train with held-out -> train, by nearest neighbours.

    Raises:
        ValueError: one of the three is empty.
    """
    copies = near_copies(generated, train, heldout)
    usual = float(np.median(copies.heldout_distances))
    return Memorisation(
        near_copies=copies.share,
        heldout_near_copies=float(np.mean(copies.heldout_distances <= copies.threshold)),
        distance_ratio=float(np.median(copies.distances)) / usual if usual > 0 else None,
    )


def _require_two(real: Vectors, generated: Vectors) -> None:
    if min(len(real), len(generated)) < 2:
        raise ValueError(f"two real and two generated images at least, not {len(real)} and {len(generated)}")


def _mean_kernel(first: Vectors, second: Vectors) -> float:
    """Mean of the kernel over all pairs; of one set with itself, over pairs of different rows."""
    total, size = 0.0, first.shape[1]
    columns = second.astype(np.float64).T
    for start in range(0, len(first), CHUNK_ROWS):
        rows = first[start : start + CHUNK_ROWS].astype(np.float64)
        total += float(((rows @ columns / size + 1) ** 3).sum())
        if first is second:
            total -= float(((np.einsum("nd,nd->n", rows, rows) / size + 1) ** 3).sum())
    return total / (len(first) * (len(second) - (first is second)))


def _squared_distances(first: Vectors, second: Vectors) -> Iterator[tuple[slice, Squares]]:
    """The rows of `first` in chunks, each with its squared distances to all rows of `second`."""
    centre = second.mean(axis=0, dtype=np.float64)  # shorter vectors lose fewer digits in the subtraction
    columns = second.astype(np.float64) - centre
    lengths = np.einsum("nd,nd->n", columns, columns)
    for start in range(0, len(first), CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        rows = first[part].astype(np.float64) - centre
        both = np.einsum("nd,nd->n", rows, rows)[:, None] + lengths
        squares = both - 2 * rows @ columns.T
        squares[squares < SAME * both] = 0.0
        yield part, squares


def _reach(rows: Vectors, k: int) -> Squares:
    """The squared distance of each row to the k-th nearest other row: N."""
    reach = np.zeros(len(rows))
    for part, squares in _squared_distances(rows, rows):
        # The nearest of all is the row itself.
        reach[part] = np.partition(squares, k, axis=1)[:, k]
    return reach


def _spread(rows: Vectors) -> float:
    values = rows.reshape(len(rows), -1).astype(np.float64)
    distances = np.linalg.norm(values - values.mean(axis=0), axis=1)
    return float(distances.mean() * np.sqrt(len(rows) / (len(rows) - 1)))


Features = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.floating[Any]]]
"""Images uint8 N x C x H x W -> one row an image, N x D."""


def diagnose(
    generated: ImageDataset,
    train: ImageDataset,
    heldout: ImageDataset,
    features: Features,
    other_features: Features | None = None,
) -> dict[str, float]:
    """Look at generated images beside the real ones of one training fold.

    KID, precision, recall, density and coverage compare with all these real images together: beside the 30 held
    out of a set of 200, k = 5 neighbours reach so far that pure noise passes for real (precision .87 on digits,
    against .01 here). Copies therefore look good in them; near copies and the distance ratio tell copies apart.
    What cannot be computed is left out.

    Args:
        generated: the method's images alone.
        train: the real images that the method learned from.
        heldout: the validation images, which it never saw. Test images have no business here.
        features: of a network that was trained without the generated images; those of one that was would pull
            them nearer to the training images than held-out ones can be.
        other_features: such as a backbone's trained on ImageNet, for a second KID.

    Returns:
        Finite values under: kid, kid_imagenet (with `other_features`), precision, recall, density, coverage;
        diversity (median over classes, 1 = as varied as real); near_copies (share of the generated images),
        heldout_near_copies (the same of held-out images: about .01), distance_ratio (1 = as far from the training
        images as held-out ones, 0 = copies).
    """
    made, learned, unseen = features(generated.images), features(train.images), features(heldout.images)
    if not all(np.isfinite(vectors).all() for vectors in (made, learned, unseen)):
        return {}  # comparisons with NaN are False, and would look like figures
    real = np.concatenate([learned, unseen])
    figures: dict[str, float | None] = {}
    if min(len(made), len(real)) > 1:
        fidelity = prdc(real, made)
        figures["kid"] = kid(real, made)
        if other_features is not None:
            others = np.concatenate([other_features(train.images), other_features(heldout.images)])
            figures["kid_imagenet"] = kid(others, other_features(generated.images))
        figures |= {
            "precision": fidelity.precision,
            "recall": fidelity.recall,
            "density": fidelity.density,
            "coverage": fidelity.coverage,
        }
    if ratios := diversity(learned, train.labels, made, generated.labels):
        figures["diversity"] = float(np.median(list(ratios.values())))
    if min(len(made), len(learned), len(unseen)) > 0:
        memory = memorisation(made, learned, unseen)
        figures |= {
            "near_copies": memory.near_copies,
            "heldout_near_copies": memory.heldout_near_copies,
            "distance_ratio": memory.distance_ratio,
        }
    return {name: value for name, value in figures.items() if value is not None and math.isfinite(value)}
