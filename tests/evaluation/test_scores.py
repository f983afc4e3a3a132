from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest, norm
from scipy.stats import t as student
from sklearn.metrics import balanced_accuracy_score, recall_score

from tenfold.core.keys import Key
from tenfold.core.types import class_weights
from tenfold.evaluation.crossed import standard_error
from tenfold.evaluation.scores import (
    balanced_accuracy,
    balanced_accuracy_interval,
    calibration,
    one_versus_rest,
    recalls,
    sensitivities,
    share_interval,
    specificities,
    wilson_interval,
)

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
        mine, result = labels == label, predictions == label
        sensitivity = recall_score(mine, result, zero_division=np.nan)
        specificity = recall_score(mine, result, pos_label=0, zero_division=np.nan)
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


def slow_error(rows, labels):
    """Guo et al. 2017, equation 3, one bin and one image at a time: bins are (low, high]."""
    total = 0.0
    for i in range(15):
        hits, confidences = [], []
        for row, label in zip(rows, labels, strict=True):
            if i / 15 < max(row) <= (i + 1) / 15:
                hits.append(float(np.argmax(row) == label))
                confidences.append(max(row))
        if hits:
            total += len(hits) / len(rows) * abs(np.mean(hits) - np.mean(confidences))
    return total


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def simulated(key, n, repeats=3, classes=4):
    """Probabilities, and labels drawn with exactly these probabilities; one of each a repeat."""
    draw = key.numpy_generator()
    probabilities = [softmax(draw.normal(0, 1.5, (n, classes))) for _ in range(repeats)]
    labels = [(draw.random((n, 1)) > rows.cumsum(axis=1)[:, :-1]).sum(axis=1) for rows in probabilities]
    return probabilities, labels


@given(st.integers(0, 2**32), st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(2, 5))
def test_error_is_the_mean_of_the_slow_reference_over_repeats(seed, sizes, classes):
    draw = (Key("slow") / seed).numpy_generator()
    probabilities = [softmax(draw.normal(0, 2, (n, classes))).round(5) for n in sizes]
    labels = [draw.integers(0, classes, n) for n in sizes]
    expected = np.mean([slow_error(*pair) for pair in zip(probabilities, labels, strict=True)])
    measured = calibration(probabilities, labels, Key("draws"))
    assert measured.error == pytest.approx(expected, abs=1e-9)
    assert 0 <= measured.by_chance <= 1


def test_stored_example_computed_by_hand():
    # Bin (0.8, 0.867]: 0.85 and 0.81, one right, gap |0.5 - 0.83|. Bin (0.533, 0.6]: 0.6, wrong, gap 0.6.
    # Bin (0.933, 1]: 1.0, right, gap 0. Weighted: (2 x 0.33 + 0.6 + 0) / 4.
    rows = np.array([[0.85, 0.15], [0.19, 0.81], [0.6, 0.4], [0.0, 1.0]])
    labels = np.array([0, 0, 1, 1])
    assert calibration([rows], [labels], Key("hand")).error == pytest.approx(0.315)
    # In a second repeat all are wrong: gaps 0.83, 0.6 and 1. One repeat's bins never offset another's.
    both = calibration([rows, rows], [labels, 1 - rows.argmax(axis=1)], Key("hand"))
    assert both.error == pytest.approx((0.315 + (2 * 0.83 + 0.6 + 1) / 4) / 2)


@pytest.mark.parametrize("edge", [0.2, 0.4, 0.6, 0.8])
def test_a_confidence_on_an_edge_belongs_to_the_bin_below(edge):
    # Two images of one bin, a right and a wrong one, so that apart the gaps would not cancel.
    rest = (1 - edge) / 6
    rows = np.full((2, 7), rest)
    rows[0, 0], rows[1, 0] = edge, edge - 0.01
    measured = calibration([rows], [np.array([0, 1])], Key("edge"))
    assert measured.error == pytest.approx(abs(0.5 - (edge - 0.005)))


def test_by_chance_of_one_confidence_is_the_mean_deviation_of_a_binomial():
    # Every confidence 0.75 and n = 4: E|hits / 4 - 0.75| = sum over hits of Binomial(4, 0.75) = 0.158203125
    # in one draw; twenty repeats in each of 200 draws leave a Monte Carlo error of 0.002.
    rows = np.tile([0.75, 0.25], (4, 1))
    for name in range(5):
        measured = calibration([rows] * 20, [np.zeros(4, dtype=np.int64)] * 20, Key("binomial") / name)
        assert measured.error == pytest.approx(0.25)
        assert measured.by_chance == pytest.approx(0.158203125, abs=0.008)


def test_a_calibrated_classifier_is_told_from_an_overconfident_one():
    probabilities, labels = simulated(Key("calibrated"), 600)
    honest = calibration(probabilities, labels, Key("draws"))
    assert honest.error == pytest.approx(honest.by_chance, rel=0.35)
    boasting = [softmax(3 * np.log(rows)) for rows in probabilities]
    measured = calibration(boasting, labels, Key("draws"))
    assert measured.error > 4 * measured.by_chance


def test_chance_alone_shows_less_on_more_images():
    few, many = (calibration(*simulated(Key("sizes"), n), Key("draws")).by_chance for n in (60, 3000))
    assert few > 4 * many > 0


def test_certain_and_right_is_perfect_and_certain_and_wrong_is_the_worst():
    certain, labels = np.eye(3), np.arange(3)
    measured = calibration([certain], [labels], Key("certain"))
    assert (measured.error, measured.by_chance) == (0, 0)
    assert calibration([certain], [(labels + 1) % 3], Key("certain")).error == pytest.approx(1)


def test_the_key_alone_decides_the_draws():
    made = simulated(Key("key"), 50)
    assert calibration(*made, Key("a")) == calibration(*made, Key("a"))
    assert calibration(*made, Key("a")).by_chance != calibration(*made, Key("b")).by_chance


@pytest.mark.parametrize(("images", "labelled"), [([], []), ([3], [2]), ([3, 0], [3, 0]), ([3], [3, 3])])
def test_what_does_not_match_is_refused(images, labelled):
    probabilities = [np.full((n, 2), 0.5) for n in images]
    with pytest.raises(ValueError, match="rows of probabilities for"):
        calibration(probabilities, [np.zeros(n, dtype=np.int64) for n in labelled], Key("refused"))


def slow_share(correct, strata, groups, weights):
    """Estimate, low, high and standard error, one image at a time; weights sum to 1."""
    images = [i for i in range(len(weights)) if weights[i] > 0]
    means = {}
    for stratum in {strata[i] for i in images}:
        mine = [i for i in images if strata[i] == stratum]
        means[stratum] = sum(weights[i] * np.mean(correct[i]) for i in mine) / sum(weights[i] for i in mine)
    estimate = sum(weights[i] * np.mean(correct[i]) for i in images)
    names = sorted({groups[i] for i in images})
    rows, draws = [], 0.0
    for name in names:
        mine = [i for i in images if groups[i] == name]
        rows.append(len(names) * sum(weights[i] * (correct[i] - means[strata[i]]) for i in mine))
        draws += sum(weights[i] for i in mine) ** 2
    count, error = 1 / draws, standard_error(np.array(rows)) if len(names) > 1 else 0.0
    if error > 0:
        ratio = norm.ppf(0.975) / student.ppf(0.975, len(names) - 1)
        count = min(count, estimate * (1 - estimate) / error**2 * ratio**2)
    return estimate, *wilson_interval(estimate, count), error


def numbers(interval):
    return interval.estimate, interval.low, interval.high, interval.standard_error


def made_up(key, n=40, repeats=3, classes=4, groups=25):
    """Labels with every class, groups, and predictions that are right more often than not."""
    draw = key.numpy_generator()
    labels = np.concatenate([np.arange(classes), draw.integers(0, classes, n - classes)])
    guesses = draw.integers(0, classes, (n, repeats))
    predictions = np.where(draw.random((n, repeats)) < 0.6, labels[:, None], guesses)
    return labels, draw.integers(0, groups, n), predictions


@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from([[0, 1, 2, 3], [0, 2], [3]]))
def test_balanced_accuracy_is_that_of_the_slow_reference(seed, repeats, classes):
    labels, groups, predictions = made_up(Key("balanced") / seed, repeats=repeats)
    correct = (predictions == labels[:, None]).astype(float)
    interval = balanced_accuracy_interval(correct, labels, groups, classes)
    expected = slow_share(correct, labels, groups, class_weights(labels, classes))
    assert numbers(interval) == pytest.approx(expected, abs=1e-9)
    recalls = [correct[labels == label].mean() for label in classes]
    assert interval.estimate == pytest.approx(np.mean(recalls))


@given(st.integers(0, 2**32))
def test_any_weights_and_strata_against_the_slow_reference(seed):
    draw = (Key("weights") / seed).numpy_generator()
    strata, groups, correct = draw.integers(-2, 3, 30), draw.integers(0, 12, 30), draw.random((30, 2))
    weights = np.where(draw.random(30) < 0.2, 0.0, draw.random(30))
    interval = share_interval(correct, strata, groups, weights)
    assert numbers(interval) == pytest.approx(slow_share(correct, strata, groups, weights / weights.sum()), abs=1e-9)


def test_class_sizes_alone_are_no_uncertainty():
    """190 + 10 images recognised at 90 %: the interval is the stratified one, not 2.7 times as wide."""
    labels, correct = np.repeat([0, 1], [190, 10]), np.ones((200, 1))
    correct[:19] = correct[-1:] = 0
    interval = balanced_accuracy_interval(correct, labels, np.arange(200), [0, 1])
    assert interval.estimate == pytest.approx(0.9)
    assert interval.standard_error == pytest.approx(0.5 * (0.09 / 190 + 0.09 / 10) ** 0.5, rel=0.01)


def test_an_interval_is_honest_at_the_edges():
    labels, groups, right = np.zeros(3, dtype=np.int64), np.arange(3), np.ones((3, 4))
    everything = balanced_accuracy_interval(right, labels, groups, [0])
    assert (everything.estimate, everything.high) == (1.0, 1.0)
    assert everything.low == pytest.approx(0.4385, abs=1e-4)  # Wilson's for 3 of 3
    assert balanced_accuracy_interval(right, labels, np.zeros(3, dtype=np.int64), [0]).low < everything.low
    with pytest.raises(ValueError, match="no image has a weight"):
        share_interval(right, labels, groups, np.zeros(3))


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_estimates_are_the_recalls_of_scikit_learn(seed, repeats):
    labels, groups, predictions = made_up(Key("recalls") / seed, repeats=repeats)
    every, result = np.repeat(labels, repeats), predictions.ravel()
    sensitive = sensitivities(predictions, labels, groups, range(4), 4)
    specific = specificities(predictions, labels, groups, range(4), 4)
    for label in range(4):
        mine, taken = every == label, result == label
        assert sensitive[label].estimate == pytest.approx(recall_score(mine, taken))
        assert specific[label].estimate == pytest.approx(recall_score(mine, taken, pos_label=0))


@given(st.integers(0, 2**32))
def test_specificity_is_that_of_the_slow_reference_and_leaves_out_what_is_not_evaluated(seed):
    labels, groups, predictions = made_up(Key("specificity") / seed)
    predictions[labels == 2] = -1  # a class that is never tested has no predictions worth the name
    intervals = specificities(predictions, labels, groups, {0, 1, 3}, 5)
    assert intervals[2] is intervals[4] is None
    for label in (0, 1, 3):
        others = np.isin(labels, [0, 1, 3]) & (labels != label)
        spared = (predictions != label).astype(float)
        expected = slow_share(spared, labels, groups, others / others.sum())
        assert numbers(intervals[label]) == pytest.approx(expected, abs=1e-9)


def test_none_where_there_is_nothing_to_tell():
    labels, groups, predictions = made_up(Key("none"))
    assert specificities(predictions, labels, groups, [1], 4) == (None,) * 4
    intervals = sensitivities(predictions, labels, groups, [1], 4)
    alone = balanced_accuracy_interval((predictions == 1).astype(float), labels, groups, [1])
    assert numbers(intervals[1]) == pytest.approx(numbers(alone))
    assert [interval is None for interval in intervals] == [True, False, True, True]


unit = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 3)).flatmap(
        lambda shape: st.tuples(
            arrays(np.float64, shape, elements=unit),
            arrays(np.int64, shape[0], elements=st.integers(0, 3)),
            arrays(np.int64, shape[0], elements=st.integers(0, 5)),
            arrays(np.float64, shape[0], elements=st.floats(0.01, 100)),
        )
    )
)
def test_an_interval_of_a_share_stays_in_order_within_0_and_1(drawn):
    interval = share_interval(*drawn)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.standard_error >= 0


def simulated_coverage(key, studies, images=(90, 50, 20), repeats=3):
    """Share of studies whose specificity interval of class 0 holds the truth of these class sizes."""
    draw, labels, held = key.numpy_generator(), np.repeat([0, 1, 2], images), 0
    taken = np.array([0.0, 0.05, 0.25])[labels]
    truth = 1 - taken[labels > 0].mean()
    for _ in range(studies):
        # Images differ: most are taken for class 0 in every repeat or in none. Where repeats agree less, the
        # interval covers more than it says, since it never counts more draws than there are images.
        own = draw.random(len(labels)) < taken
        again = draw.random((len(labels), repeats)) < taken[:, None]
        result = np.where(draw.random((len(labels), repeats)) < 0.9, own[:, None], again)
        interval = specificities(np.where(result, 0, labels[:, None]), labels, np.arange(len(labels)), range(3), 3)[0]
        held += interval.low <= truth <= interval.high
    return held / studies


def test_coverage_of_the_specificity_interval():
    assert 0.91 <= simulated_coverage(Key("coverage of specificity"), 400) <= 0.99
