import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, recall_score

from tenfold.evaluation.scores import balanced_accuracy, one_versus_rest, recalls, wilson_interval

labelled = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(labelled)
@pytest.mark.filterwarnings("ignore:y_pred contains classes", "ignore:A single label")
def test_balanced_accuracy_is_that_of_scikit_learn(pairs):
    labels, predictions = np.array(pairs).T
    assert balanced_accuracy(labels, predictions) == pytest.approx(balanced_accuracy_score(labels, predictions))


@given(labelled)
def test_sensitivity_and_specificity_are_recalls_of_one_class_against_the_rest(pairs):
    labels, predictions = np.array(pairs).T
    scores = one_versus_rest(labels, predictions, 5)
    np.testing.assert_array_equal(recalls(labels, predictions, 5), scores.sensitivity)
    for label in range(5):
        mine, told = labels == label, predictions == label
        sensitivity = recall_score(mine, told, zero_division=np.nan)
        specificity = recall_score(mine, told, pos_label=0, zero_division=np.nan)
        assert scores.sensitivity[label] == pytest.approx(sensitivity, nan_ok=True)
        assert scores.specificity[label] == pytest.approx(specificity, nan_ok=True)


def test_balanced_accuracy_refuses_what_does_not_match():
    with pytest.raises(ValueError, match="2 predictions for 3 labels"):
        balanced_accuracy(np.array([0, 1, 1]), np.array([0, 1]))
    with pytest.raises(ValueError, match="for 0 labels"):
        balanced_accuracy(np.array([], dtype=np.int64), np.array([], dtype=np.int64))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(draw):
    successes, count = draw
    expected = binomtest(successes, count).proportion_ci(method="wilson")
    low, high = wilson_interval(successes / count, count)
    assert (low, high) == (pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high, abs=1e-12))
    assert 0 <= low <= successes / count <= high <= 1
