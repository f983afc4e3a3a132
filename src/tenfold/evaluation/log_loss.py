"""A proper score beside accuracy: the log loss, at the temperature that suits an arm's other images.

Accuracy sees of an image only whether it was recognised. The loss sees how nearly, and so tells two arms apart on
about half as many images. It is evidence of whether an arm is better; accuracy says by how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tenfold.core.types import Trial
from tenfold.evaluation.crossed import Indices, Table

Place = tuple[int, int]

MOST_LOSS = 3.0
"""One image that was named wrongly for certain is not to outweigh all others."""
TEMPERATURES = np.geomspace(0.2, 5.0, 13)
LEAST_LOG = -60.0
"""Of a probability that was rounded to 0."""


def losses(
    arm: Mapping[Place, Trial],
    places: Sequence[Place],
    labels: Indices,
    weights: npt.NDArray[np.float64],
    image_folds: Indices,
) -> Table:
    """N x R: the log loss of each image, at most `MOST_LOSS`; 0 where an image was not tested.

    Over- and underconfidence is no arm's merit, so each fold's probabilities are taken at the temperature with the
    least loss on the arm's images outside the fold: an image has no say in the temperature that judges it.

    Args:
        weights: N, what an image counts for.
        image_folds: N x R, in which fold an image was tested.
    Source: Guo et al. 2017 (temperature scaling).
    """
    repeats = sorted({repeat for repeat, _ in places})
    at = np.zeros((len(TEMPERATURES), len(labels), len(repeats)))
    for place in places:
        trial, column = arm[place], repeats.index(place[0])
        at[:, trial.test_indices, column] = _losses_at_temperatures(trial, labels[trial.test_indices])
    weighted = at * weights[:, None]
    of_images = weighted.sum(axis=2)
    result = np.zeros(at.shape[1:])
    for repeat, fold in places:
        column = repeats.index(repeat)
        inside = image_folds[:, column] == fold
        best = of_images[:, ~inside].sum(axis=1).argmin()
        result[inside, column] = at[best, inside, column]
    return result


def _losses_at_temperatures(trial: Trial, labels: Indices) -> Table:
    """Temperatures x the trial's test images."""
    logs = np.log(np.clip(np.array(trial.test_probabilities, dtype=np.float64), np.exp(LEAST_LOG), None))
    scaled = logs / TEMPERATURES[:, None, None]
    scaled -= scaled.max(axis=2, keepdims=True)
    of_truth = np.take_along_axis(scaled, labels[None, :, None], axis=2)[:, :, 0]
    result: Table = np.minimum(np.log(np.exp(scaled).sum(axis=2)) - of_truth, MOST_LOSS)
    return result
