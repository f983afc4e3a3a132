"""Whether source and target can be told apart by a network's features, and how they lie in a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Source and target features in the plane of their first two principal components."""

    source: npt.NDArray[np.float64]
    """N x 2."""
    target: npt.NDArray[np.float64]
    """M x 2."""
    probe: float | None
    """Share of pictures whose domain is recognised, by cross-validation, balanced: 0.5 is chance. None of too few."""


def embed(source: Rows, target: Rows, folds: int = 5) -> Embedding:
    """Look at features N x F and M x F of two domains; a logistic regression tries to tell them apart."""
    both = np.concatenate([source, target]).astype(np.float64)
    domains = np.repeat([0, 1], [len(source), len(target)])
    scaled = StandardScaler().fit_transform(both)
    plane = PCA(2, random_state=0).fit_transform(scaled)
    probe = None
    if min(len(source), len(target)) >= 2 * folds:
        judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
        splits = StratifiedKFold(folds, shuffle=True, random_state=0)
        probe = float(cross_val_score(judge, both, domains, cv=splits, scoring="balanced_accuracy").mean())
    return Embedding(plane[: len(source)], plane[len(source) :], probe)
