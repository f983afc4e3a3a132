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
PRIOR = 0.5
"""Standard deviation of a temperature's logarithm among classifiers."""
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

    Among images without one mistake the least loss would be at a temperature of 0, as if there were no mistakes in
    the world. So its logarithm has a normal prior of mean 0, which many images outvote. And what does not lower the
    mean loss by a standard error is left alone.

    Args:
        probabilities: M x K, of images that were not learned from, at a temperature of 1.
        labels: M.
        images: how many different images these are; M unless given.
    Source: Guo et al. 2017. The prior and the standard error are tenfold's: smoothed labels (Platt 1999), the usual
        guard, take one of n sure images for a mistake, and made classifiers of 200 digits too timid.
    """
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), LEAST_PROBABILITY))
    rows, classes = logs.shape
    n = images or rows
    if n < 2 or classes < 2:
        return 1.0
    of_label = logs[np.arange(rows), labels]

    def losses(temperature: float) -> npt.NDArray[np.float64]:
        each: npt.NDArray[np.float64] = logsumexp(logs / temperature, axis=1) - of_label / temperature
        return each

    def penalised(log_temperature: float) -> float:
        return float(losses(np.exp(log_temperature)).mean() + (log_temperature / PRIOR) ** 2 / (2 * n))

    found = minimize_scalar(penalised, bounds=np.log(BOUNDS), method="bounded")
    best = float(np.exp(found.x))
    gains = losses(1.0) - losses(best)
    return best if gains.mean() > gains.std() / np.sqrt(n) else 1.0
