"""Linear heads on features that are not trained further: ridge and logistic regression, chosen by validation
images.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold

from tenfold.core.keys import Key
from tenfold.training.validation import validation_loss

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

CANDIDATES = (
    ("logistic", 1e-4),
    ("logistic", 1e-3),
    ("logistic", 1e-2),
    ("logistic", 1e-1),
    ("logistic", 1e0),
    ("ridge", 1e2),
    ("ridge", 1e3),
    ("ridge", 1e4),
)
"""Kinds of head with C or the penalty, on features of variance 1."""
FOLDS = 4
"""Where no validation images are there to choose by."""
NEVER = -1e4
"""Logit of a class without images."""


@dataclass(frozen=True, eq=False)
class Head:
    """Logits are `features @ weight.T + bias`."""

    weight: Features
    """K x F."""
    bias: Features
    """K."""

    def logits(self, features: Features) -> Features:
        """N x F -> N x K."""
        return features @ self.weight.T + self.bias


@dataclass(frozen=True, eq=False)
class ChosenHead(Head):
    """A head with what it was chosen by."""

    kind: str
    losses: dict[str, float]
    """Cross entropy of images not fitted to, by what was tried."""


def fit_head(
    features: Features,
    labels: Labels,
    validation: tuple[Features, Labels] | None,
    class_count: int,
    groups: Labels,
    key: Key,
) -> ChosenHead:
    """The kind of head and its penalty that the validation images prefer, fitted on all of `features`.

    Without validation images the same is chosen by cross-validation among the training images, by whole groups where
    their number allows it. Each class weighs alike.

    Args:
        features: N x F of variance about 1.
        labels: N in 0..class_count - 1; a class may have none.
        validation: M x F and M, never fitted to.
        groups: N; rows of one group (an image and its mirror image) are left out together.
    """
    axes = _axes(features)
    if axes is not None:
        validation = None if validation is None else (validation[0] @ axes, validation[1])
        features = features @ axes
    losses = {}
    for kind, penalty in CANDIDATES:
        if validation is not None and len(validation[1]):
            logits = _fitted(kind, penalty, features, labels, class_count).logits(validation[0])
            losses[kind, penalty] = validation_loss(softmax(logits, axis=1), validation[1])
        else:
            losses[kind, penalty] = _crossed(kind, penalty, features, labels, class_count, groups, key)
    best = min(CANDIDATES, key=lambda candidate: losses[candidate])
    head = _fitted(*best, features, labels, class_count)
    rounded = {_words(*candidate): round(loss, 5) for candidate, loss in losses.items()}
    weight = head.weight if axes is None else head.weight @ axes.T
    return ChosenHead(weight, head.bias, _words(*best), rounded)


def _axes(features: Features) -> Features | None:
    """F x N: directions at right angles to each other in which N features differ; None where these are all there are.

    A penalty on the sum of squares keeps a head within them, so that a fit to fewer numbers is the same in less time.
    """
    return None if len(features) >= features.shape[1] else np.asarray(np.linalg.qr(features.T)[0], np.float32)


def _words(kind: str, penalty: float) -> str:
    return f"{kind}, {'C' if kind == 'logistic' else 'penalty'}={penalty:g}"


def _crossed(
    kind: str, penalty: float, features: Features, labels: Labels, class_count: int, groups: Labels, key: Key
) -> float:
    """Cross entropy of images that a fold left out; with a class too small to split, of the images fitted to."""
    _, first = np.unique(groups, return_index=True)
    folds = min(FOLDS, int(np.unique(labels[first], return_counts=True)[1].min()))
    if folds < 2:
        return validation_loss(
            softmax(_fitted(kind, penalty, features, labels, class_count).logits(features), 1), labels
        )
    rows = np.zeros((len(labels), class_count), np.float32)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=(key / "folds").seed % 2**32)
    for _, out in splitter.split(first, labels[first]):
        held = np.isin(groups, groups[first[out]])
        rows[held] = _fitted(kind, penalty, features[~held], labels[~held], class_count).logits(features[held])
    return validation_loss(softmax(rows, axis=1), labels)


def _fitted(kind: str, penalty: float, features: Features, labels: Labels, class_count: int) -> Head:
    weight = np.zeros((class_count, features.shape[1]), np.float32)
    bias = np.full(class_count, NEVER, np.float32)
    present, counts = np.unique(labels, return_counts=True)
    if len(present) == 1:
        bias[present] = 0.0
        return Head(weight, bias)
    balance = np.zeros(class_count)
    balance[present] = len(labels) / (len(present) * counts)
    model: Any
    if kind == "ridge":
        targets = (labels[:, None] == present).astype(np.float32)
        model = Ridge(alpha=penalty).fit(features, targets, sample_weight=balance[labels])
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what has not converged is judged as it is
            model = LogisticRegression(C=penalty, max_iter=200).fit(features, labels, sample_weight=balance[labels])
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:  # of two classes scikit-learn tells the second alone
        coefficients, intercepts = (np.concatenate([-half, half]) / 2 for half in (coefficients, intercepts))
    weight[present], bias[present] = coefficients, intercepts
    return Head(weight, bias)
