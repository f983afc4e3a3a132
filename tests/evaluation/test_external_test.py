import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from tenfold.core.keys import Key
from tenfold.evaluation.external_test import compare_external, paired_difference


def judge(picked, base, groups=None):
    """Two arms of one classifier each, by which images they recognise."""
    labels = np.arange(len(picked)) % 3
    values = [np.where(hits, labels, (labels + 1) % 3)[None] for hits in (picked, base)]
    return compare_external(*values, labels, np.arange(len(labels)) if groups is None else groups)


def table(both, only_pick, only_baseline, neither):
    """Who recognised what, from the four counts."""
    counts = [both, only_pick, only_baseline, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_accuracies_are_means_over_trainings():
    labels = np.array([1, 0, 2])
    pick = np.array([[0, 0, 2], [1, 1, 2], [1, 0, 0]])
    base = np.array([[1, 0, 2], [0, 0, 1], [1, 1, 2]])
    comparison = compare_external(pick, base, labels, np.arange(3))
    assert comparison.pick_accuracy.estimate == pytest.approx(6 / 9)
    assert comparison.baseline_accuracy.estimate == pytest.approx(6 / 9)
    assert (comparison.only_pick, comparison.only_baseline) == pytest.approx((1, 1))
    assert (comparison.images, comparison.groups, comparison.trainings) == (3, 3, 3)


def test_the_luck_of_trainings_is_not_the_merit_of_an_arm():
    """Equal arms on many images: p < .05 in 48 % of studies by McNemar's test on votes, and seldom here."""
    key, found = Key("equal arms, external"), 0
    for study in range(200):
        draw = (key / study).numpy_generator()
        labels = np.arange(2000) % 2
        luck = draw.normal(0.9, 0.02, (2, 10, 1))
        easy = draw.random(2000)
        wrong = easy + draw.normal(0, 0.02, (2, 10, 2000)) > luck
        predicted = np.where(wrong, 1 - labels, labels)
        found += compare_external(*predicted, labels, np.arange(2000)).p_value < 0.05
    assert found / 200 <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


counts = st.tuples(*[st.integers(0, 12)] * 4).filter(any)


@given(counts, st.integers(0, 3), st.integers(0, 2**32))
def test_swapping_the_arms_mirrors_the_comparison(drawn, shared, seed):
    """Every interval holds its estimate and stays in range too, with groups of one image and of several."""
    picked, base = table(*drawn)
    groups = np.arange(len(picked))
    groups[:shared] = groups[-1]
    order = (Key("order") / seed).numpy_generator().permutation(len(picked))
    result, swapped = judge(picked, base, groups), judge(base[order], picked[order], groups[order])
    assert result.p_value == pytest.approx(swapped.p_value, abs=1e-9)
    assert (result.only_pick, result.only_baseline) == (swapped.only_baseline, swapped.only_pick) == drawn[1:3]
    there, back = result.difference, swapped.difference
    mirrored = (-back.estimate, -back.high, -back.low)
    assert (there.estimate, there.low, there.high) == pytest.approx(mirrored, abs=1e-9)
    assert there.estimate == pytest.approx((drawn[1] - drawn[2]) / len(picked))
    assert -1 <= there.low <= there.estimate <= there.high <= 1
    for accuracy, other in (
        (result.pick_accuracy, swapped.baseline_accuracy),
        (result.baseline_accuracy, swapped.pick_accuracy),
    ):
        assert (accuracy.low, accuracy.high) == pytest.approx((other.low, other.high))
        assert 0 <= accuracy.low <= accuracy.estimate <= accuracy.high <= 1


def test_groups_of_equal_size_are_the_t_test_of_their_means():
    draw = Key("equal groups").numpy_generator()
    picked, base, groups = draw.random(60) < 0.9, draw.random(60) < 0.6, np.repeat(np.arange(20), 3)
    expected = ttest_1samp((picked.astype(float) - base).reshape(20, 3).mean(axis=1), 0)
    result, bounds = judge(picked, base, groups), expected.confidence_interval()
    assert result.p_value == pytest.approx(expected.pvalue)
    assert (result.difference.low, result.difference.high) == pytest.approx((bounds.low, bounds.high))
    assert (result.images, result.groups) == (60, 20)


@given(st.integers(0, 2**32))
def test_with_groups_the_p_value_and_the_interval_agree(seed):
    draw = (Key("agree") / seed).numpy_generator()
    picked, base, groups = draw.random(24) < 0.9, draw.random(24) < 0.6, draw.integers(0, 8, 24)
    findings = judge(picked, base, groups)
    assert (findings.p_value < 0.05) == (findings.difference.low > 0 or findings.difference.high < 0)


def test_the_images_of_a_patient_are_not_so_many_patients():
    draw = Key("patients").numpy_generator()
    picked, base = (np.repeat(draw.random(25) < chance, 4) for chance in (0.9, 0.6))
    apart, together = judge(picked, base), judge(picked, base, np.repeat(np.arange(25), 4))
    for one, other in (
        (apart.difference, together.difference),
        (apart.pick_accuracy, together.pick_accuracy),
        (apart.baseline_accuracy, together.baseline_accuracy),
    ):
        assert other.estimate == pytest.approx(one.estimate)
        assert other.high - other.low > 1.5 * (one.high - one.low)
    assert together.p_value > apart.p_value


def test_one_patient_says_nothing_about_others():
    findings = judge(*table(2, 5, 0, 1), groups=np.zeros(8, dtype=np.int64))
    assert (findings.difference.estimate, findings.difference.low, findings.difference.high, findings.p_value) == (
        0.625,
        -1,
        1,
        1,
    )


def simulated_coverage(key, studies, shares, n=100):
    """Share of studies whose interval holds the true difference; `shares` are those of the four outcomes."""
    draw, held, truth = key.numpy_generator(), 0, shares[1] - shares[2]
    for drawn in draw.multinomial(n, shares, size=studies):
        interval = judge(*table(*drawn)).difference
        held += interval.low <= truth <= interval.high
    return held / studies


@pytest.mark.parametrize("shares", [(0.7, 0.12, 0.05, 0.13), (0.85, 0.05, 0.05, 0.05), (0.5, 0.3, 0.1, 0.1)])
def test_coverage_of_the_interval_of_the_difference(shares):
    assert 0.92 <= simulated_coverage(Key("external") / shares, 600, shares) <= 0.99


def clustered_coverage(key, studies, patients=40):
    """Share of studies that hold the truth where a patient's images mostly fare alike."""
    draw, held, truth = key.numpy_generator(), 0, 0.1
    groups = np.repeat(np.arange(patients), 1 + np.arange(patients) % 4)
    for _ in range(studies):
        own, again = draw.random((patients, 1))[groups], draw.random((len(groups), 1))
        luck = np.where(draw.random((len(groups), 1)) < 0.8, own, again)[:, 0]
        # Below 0.2 the chosen arm alone is right, above 0.9 the baseline alone; between, both are.
        result = judge(luck < 0.9, luck >= 0.2, groups).difference
        held += result.low <= truth <= result.high
    return held / studies


def test_coverage_with_patients_of_several_images():
    assert 0.90 <= clustered_coverage(Key("patients' coverage"), 400) <= 0.98


def test_folds_whose_trainings_fared_unlike_make_the_interval_wider():
    """Three trainings judged 40 images each: what sets them apart is not certain to be the same in others."""
    folds = np.repeat(np.arange(3), 40)
    change = (np.tile([1.0, -1.0], 60) + np.array([0.8, 0.0, -0.8])[folds])[:, None] / 2
    images = np.arange(120)
    apart, _ = paired_difference(change, images)
    by_fold, p_value = paired_difference(change, images, folds=folds[:, None])
    assert by_fold.estimate == pytest.approx(apart.estimate, abs=1e-12)
    assert by_fold.high - by_fold.low > 1.5 * (apart.high - apart.low)
    assert p_value > 0.9


def test_weights_make_small_and_large_sets_count_the_same():
    change = np.repeat([1.0, 0.0], [10, 90])[:, None]
    weights = np.repeat([1 / 20, 1 / 180], [10, 90])
    interval, _ = paired_difference(change, np.arange(100), weights)
    assert interval.estimate == pytest.approx(0.5)
    assert interval.low <= 0.5 <= interval.high


def test_what_does_not_match_is_refused():
    labels, result = np.zeros(3, dtype=np.int64), np.zeros((2, 3), dtype=np.int64)
    with pytest.raises(ValueError, match=r"\(2, 2\) for 3 labels and 3 groups"):
        compare_external(result, result[:, :2], labels, labels)
    with pytest.raises(ValueError, match="for 3 labels and 2 groups"):
        compare_external(result, result, labels, labels[:2])
    with pytest.raises(ValueError, match=r"predictions \(0, 3\)"):
        compare_external(result[:0], result[:0], labels, labels)
    with pytest.raises(ValueError, match="for 0 labels"):
        compare_external(result[:, :0], result[:, :0], labels[:0], labels[:0])
