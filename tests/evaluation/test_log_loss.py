import math

import numpy as np
import pytest
from made_up_studies import trials_of

from tenfold.core.keys import Key
from tenfold.core.types import Trial
from tenfold.evaluation.log_loss import MOST_LOSS, TEMPERATURES, losses


def study(confidence, n=40, folds=4, classes=3):
    """An arm whose logits are the truth and noise, said with too much or too little confidence."""
    draw = Key("losses").numpy_generator()
    labels = np.arange(n) % classes
    logits = 2.0 * np.eye(classes)[labels] + draw.normal(0, 1, (2, n, classes))
    arm = {}
    for repeat, fold in np.ndindex(2, folds):
        members = np.arange(fold, n, folds)
        scores = np.exp(confidence * logits[repeat, members])
        rows = (scores / scores.sum(axis=1, keepdims=True)).tolist()
        arm[repeat, fold] = Trial("arm", repeat, fold, 0.5, 1.0, members.tolist(), rows, [], 1.0)
    return arm, labels, np.tile(np.arange(n) % folds, (2, 1)).T


def test_losses_against_loops():
    arm, labels, folds = study(1.7, n=12)
    weights = np.linspace(1, 2, 12)
    table = losses(arm, list(arm), labels, weights, folds)

    def loss(trial, image, temperature):
        row = np.array(trial.test_probabilities[trial.test_indices.index(image)]) ** (1 / temperature)
        return min(-math.log(row[labels[image]] / row.sum()), MOST_LOSS)

    for (repeat, fold), trial in arm.items():
        totals = []
        for temperature in TEMPERATURES:
            others = [(t, i) for t in arm.values() for i in t.test_indices if folds[i, repeat] != fold]
            totals.append(sum(weights[i] * loss(t, i, temperature) for t, i in others))
        best = TEMPERATURES[int(np.argmin(totals))]
        for image in trial.test_indices:
            assert table[image, repeat] == pytest.approx(loss(trial, image, best))


def test_over_and_underconfidence_are_no_merit():
    tables = [
        losses(*study(c)[:1], list(study(c)[0]), study(c)[1], np.ones(40), study(c)[2]) for c in (0.5, 1.0, 2.0)
    ]
    means = [table.mean() for table in tables]
    assert max(means) - min(means) < 0.01


def test_no_loss_is_infinite():
    labels = np.arange(8) % 2
    wrong = trials_of("arm", np.zeros((8, 2)), labels)  # each image certainly of the wrong class
    table = losses({(t.repeat, t.fold): t for t in wrong}, [(t.repeat, t.fold) for t in wrong], labels, np.ones(8),
                   np.tile(np.arange(8) % 2, (2, 1)).T)  # fmt: skip
    assert (table == MOST_LOSS).all()
