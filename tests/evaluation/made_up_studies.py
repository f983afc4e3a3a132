"""Made-up studies: trials of several arms whose correctness is given image by image."""

from __future__ import annotations

import numpy as np

from tenfold.core.keys import Key
from tenfold.core.types import Trial


def trials_of(arm, correct, labels, *, folds=2, validation=0.5, loss=1.0, class_count=None, **changes):
    """One trial a fold of each repeat; image i is tested in fold i % folds, wrong ones get the next class."""
    k = class_count or int(labels.max()) + 1
    one_hot = np.eye(k).tolist()
    predictions = np.where(correct.T.astype(bool), labels, (labels + 1) % k)
    return [
        Trial(
            arm=arm,
            repeat=repeat,
            fold=fold,
            inner_score=float(np.broadcast_to(validation, (correct.shape[1], folds))[repeat, fold]),
            inner_loss=float(np.broadcast_to(loss, (correct.shape[1], folds))[repeat, fold]),
            test_indices=list(range(fold, len(labels), folds)),
            test_probabilities=[one_hot[p] for p in predictions[repeat, fold::folds]],
            external_predictions=[],
            wall_seconds=1.5,
            **changes,
        )
        for repeat in range(correct.shape[1])
        for fold in range(folds)
    ]


def noise_study(key: Key, arms, *, n=200, repeats=4, folds=5):
    """Arms that are all equally good: images differ in difficulty, and so does each training's luck."""
    draw = key.numpy_generator()
    labels = np.arange(n) % 2
    difficulty = draw.normal(1.5, 1.5, (n, 1))
    trials = []
    for arm in arms:
        luck = draw.normal(0, 0.2, (repeats, folds))
        logit = difficulty + luck[:, np.arange(n) % folds].T
        correct = draw.random((n, repeats)) < 1 / (1 + np.exp(-logit))
        validation = draw.normal(0.8, 0.03, (repeats, folds))
        trials += trials_of(arm, correct, labels, folds=folds, validation=validation)
    return trials, labels
