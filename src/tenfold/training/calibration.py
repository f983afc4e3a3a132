"""Probabilities that can be taken at their word: one temperature, fitted on images that were not learned from.

Long training makes a classifier surer than it is right, mixing less sure. Dividing the logits by one number mends
most of both, and changes no predicted class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

Labels = npt.NDArray[np.int64]

BOUNDS = (0.2, 20.0)
"""Of a temperature; a fit that ends there has no images that say otherwise."""
LEAST_PROBABILITY = 1e-7
"""Where trials were rounded to 0, and what a smaller one is taken for while fitting."""


def at_temperature(probabilities: npt.NDArray[np.float32], temperature: float) -> npt.NDArray[np.float32]:
    """N x K: the softmax of the logits divided by `temperature`, from that of the logits; the same array at 1.

    Source: Guo et al. 2017, section 4.2.
    """
    if temperature == 1:
        return probabilities
    logs = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float64).tiny))
    scaled: npt.NDArray[np.float32] = softmax(logs / temperature, axis=1).astype(np.float32)
    return scaled


def fit_temperature(probabilities: npt.NDArray[np.floating], labels: Labels, images: int | None = None) -> float:
    """The temperature at which these predictions have the least log loss; 1 where that is less by chance as likely.

    Among n images without one mistake the least loss would be at a temperature of 0, as if there were no mistakes in
    the world. So each label leaves a share of 1 / (n + 2) to the other classes: the rule of succession. And what does
    not lower the mean loss by a standard error is left alone.

    Args:
        probabilities: M x K, of images that were not learned from, at a temperature of 1.
        labels: M.
        images: how many different images these are; M unless given.
    Source: Guo et al. 2017; Platt 1999 (the labels' shares, there for two classes). The standard error is tenfold's.
    """
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), LEAST_PROBABILITY))
    rows, classes = logs.shape
    n = images or rows
    if n < 2 or classes < 2:
        return 1.0
    missed = 1 / (n + 2)
    of_label = logs[np.arange(rows), labels]
    expected = (1 - missed) * of_label + missed * (logs.sum(1) - of_label) / (classes - 1)

    def losses(temperature: float) -> npt.NDArray[np.float64]:
        each: npt.NDArray[np.float64] = logsumexp(logs / temperature, axis=1) - expected / temperature
        return each

    found = minimize_scalar(lambda log: losses(np.exp(log)).mean(), bounds=np.log(BOUNDS), method="bounded")
    best = float(np.exp(found.x))
    gains = losses(1.0) - losses(best)
    return best if gains.mean() > gains.std() / np.sqrt(n) else 1.0
