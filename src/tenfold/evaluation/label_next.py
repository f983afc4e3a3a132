"""Which unlabelled images to label next: those the classifier is least sure of, no two of them alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

POOL = 10
"""The least sure images that are chosen among, times as many as are asked for."""


def label_next(
    probabilities: npt.NDArray[np.float32], features: npt.NDArray[np.float32], count: int
) -> npt.NDArray[np.int64]:
    """Rows of `count` images (all, where there are fewer) whose labels would teach most, the first one first.

    By the margin between the two most probable classes the least sure are taken to choose among. The first is the
    least sure of all; each next one has the greatest product of unsureness, 1 less the margin, and distance to the
    nearest of those chosen before. So copies of an image come last.

    Args:
        probabilities: N x K.
        features: N x F, in which near images look alike to the classifier.
    Source: Citovsky et al. 2021 (Cluster-Margin: a pool of ten times the batch, by margin, then diversity); Sener and
        Savarese 2018 (the farthest first). The product in place of clusters is tenfold's.
    """
    highest = np.sort(probabilities, axis=1)[:, ::-1]
    margins = highest[:, 0] - (highest[:, 1] if highest.shape[1] > 1 else 0)
    pool = np.argsort(margins, kind="stable")[: POOL * count]
    unsure, vectors = 1 - margins[pool], features[pool].astype(np.float64)
    nearest, left, chosen = np.ones(len(pool)), np.ones(len(pool), bool), list[int]()
    for number in range(min(count, len(pool))):
        one = int(np.where(left, unsure * nearest, -1).argmax()) if number else 0
        distances = np.linalg.norm(vectors - vectors[one], axis=1)
        nearest, left[one] = np.minimum(nearest, distances) if number else distances, False
        chosen.append(one)
    return pool[np.array(chosen, np.int64)]
