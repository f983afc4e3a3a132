"""Sensitivity, specificity and their intervals over images and seeds, on made-up judgements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import done
from sklearn.metrics import confusion_matrix

from tenfold.claims.lesions_tables import Judged, assemble, interval_of, saturated, share_figure
from tenfold.claims.tables import Results
from tenfold.core.keys import Key
from tenfold.runs import Finished


def judged_of(seed: int, classes: int, images: int, seeds: int) -> Judged:
    random = Key(f"judged-{seed}").numpy_generator()
    labels = np.concatenate([np.arange(classes), random.integers(classes, size=images)])
    labels = labels.astype(np.int64)
    right = random.random((len(labels), seeds)) < 0.7
    predicted = np.where(right, labels[:, None], random.integers(classes, size=right.shape))
    folds = np.stack([random.permutation(len(labels)) % 3 for _ in range(seeds)], axis=1)
    return Judged(labels, predicted, folds, classes)


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(6, 40), st.integers(1, 4))
def test_sensitivity_and_specificity_are_those_of_a_confusion_matrix(
    seed: int, classes: int, images: int, seeds: int
) -> None:
    judged = judged_of(seed, classes, images, seeds)
    sensitivity, specificity = judged.sensitivity().sum(1), judged.specificity().sum(1)
    for column in range(seeds):
        table = confusion_matrix(judged.labels, judged.predicted[:, column], labels=range(classes))
        for label in range(classes):
            hits, members, taken = table[label, label], table[label].sum(), table[:, label].sum()
            others = table.sum() - members
            assert sensitivity[label, column] == pytest.approx(hits / members)
            assert specificity[label, column] == pytest.approx((others - (taken - hits)) / others)


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_an_interval_lies_around_the_mean_over_seeds(seed: int, seeds: int) -> None:
    judged = judged_of(seed, 3, 40, seeds)
    for parts in (*judged.sensitivity(), judged.specificity().mean(0)):
        figure = share_figure(parts, judged)
        assert figure.each == pytest.approx(parts.sum(0))
        assert figure.estimate == pytest.approx(np.mean(figure.each))
        assert figure.low is not None
        assert figure.high is not None
        assert 0 <= figure.low <= figure.estimate + 1e-9
        assert figure.estimate - 1e-9 <= figure.high <= 1


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Images of three classes, some harder than others and each judged in four seeds."""
    random = Key("coverage").numpy_generator()
    labels = np.repeat(np.arange(3), (65, 52, 48))
    truth = np.array([0.9, 0.7, 0.5])
    folds = np.tile(np.arange(len(labels)) % 3, (4, 1)).T
    held = []
    for _ in range(300):
        sure = random.beta(4 * truth, 4 * (1 - truth), (len(labels), 3))[np.arange(len(labels)), labels]
        right = random.random((len(labels), 4)) < sure[:, None]
        judged = Judged(labels, np.where(right, labels[:, None], (labels[:, None] + 1) % 3), folds, 3)
        interval = interval_of(judged.sensitivity().mean(0), judged)
        held.append(interval.low <= truth.mean() <= interval.high)
    assert 0.91 <= np.mean(held) <= 0.99


def trained(seed: int, fold: int, amount: int | None, loss: float, **result: Any) -> Finished:
    return done({"seed": seed, "fold": fold, "amount": amount}, {"inner_loss": loss, **result})


def test_classical_is_enlarged_as_far_as_the_validation_images_want() -> None:
    told = [(0, 0, None, 0.5), (0, 0, 8, 0.5), (0, 0, 4, 0.9), (0, 1, 4, 0.1), (0, 1, 8, 0.2), (1, 0, None, 0.1)]
    finished = [trained(*one) for one in told]
    assert saturated(Results(finished)) == {(0, 0): 8, (0, 1): 4, (1, 0): None}


def test_the_chosen_amounts_make_one_table() -> None:
    def fold_of(seed: int, fold: int, amount: int | None, predicted: list[int]) -> Finished:
        rows = [[2, 0], [1, 3]][fold]
        labels = [[1, 0], [0, 1]][fold]
        return trained(seed, fold, amount, 0.0, rows=rows, labels=labels, predicted=predicted)

    finished = [fold_of(s, f, a, [s, 2 if a else f]) for s in (5, 6) for f in (0, 1) for a in (4, None)]
    judged = assemble(Results(finished), {(5, 0): 4, (5, 1): None, (6, 0): None, (6, 1): 4}, 3)
    assert judged.labels.tolist() == [0, 0, 1, 1]
    assert judged.predicted.T.tolist() == [[2, 5, 5, 1], [0, 6, 6, 2]]
    assert judged.folds.T.tolist() == [[0, 1, 0, 1]] * 2
    with pytest.raises(ValueError, match="no fold"):
        assemble(Results(finished[:2]), {(5, 0): 4, (6, 0): 4}, 3)
