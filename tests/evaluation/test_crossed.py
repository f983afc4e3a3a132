from collections import defaultdict

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from tenfold.core.keys import Key
from tenfold.core.types import class_weights
from tenfold.evaluation import Interval
from tenfold.evaluation.crossed import (
    CrossedTest,
    choice_variance,
    coverage_note,
    crossed_interval,
    crossed_test,
    crossed_variance,
    group_folds,
    group_table,
    holm,
    mean_squares,
    repeats_share,
    standard_error,
)

tables = st.tuples(st.integers(2, 9), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-8, 8).map(float))
)


def slow_mean_squares(table):
    """The textbook sums, one term at a time."""
    n, repeats = len(table), len(table[0])
    grand = sum(table[g][r] for g in range(n) for r in range(repeats)) / (n * repeats)
    rows = [sum(table[g][r] for r in range(repeats)) / repeats for g in range(n)]
    columns = [sum(table[g][r] for g in range(n)) / n for r in range(repeats)]
    groups = repeats * sum((row - grand) ** 2 for row in rows) / (n - 1)
    if repeats == 1:
        return groups, 0.0, 0.0
    between = n * sum((column - grand) ** 2 for column in columns) / (repeats - 1)
    rest = 0.0
    for g in range(n):
        for r in range(repeats):
            rest += (table[g][r] - rows[g] - columns[r] + grand) ** 2
    return groups, between, rest / ((n - 1) * (repeats - 1))


def slow_variance_and_degrees(table, folds):
    """The formula of `crossed_variance`, one training and one group at a time."""
    n, repeats = len(table), len(table[0])
    grand = sum(map(sum, table)) / (n * repeats)
    of_groups, _, rest = slow_mean_squares(table)
    images = of_groups / (n * repeats)
    squares = [(sum(row) / repeats - grand) ** 2 for row in table]
    second, fourth = sum(squares) / n, sum(square**2 for square in squares) / n
    degrees = n - 1 if fourth - second**2 < 1e-30 else min(n - 1, 2 * n * second**2 / (fourth - second**2))

    trainings = defaultdict(list)
    for g in range(n):
        for r in range(repeats):
            trainings[r, folds[g][r]].append(table[g][r])
    count = len(trainings)
    if count == 1 or count == n * repeats:
        return images, degrees
    between = sum(len(cells) * (sum(cells) / len(cells) - grand) ** 2 for cells in trainings.values()) / (count - 1)
    within = sum((cell - sum(cells) / len(cells)) ** 2 for cells in trainings.values() for cell in cells)
    within /= n * repeats - count
    luck = (between - ((repeats - 1) * rest + (count - repeats) * within) / (count - 1)) / (n * repeats)
    scaled = between / (n * repeats)
    if luck <= max(1e-20, 1e-9 * scaled):
        return images, degrees
    satterthwaite = (images + luck) ** 2 / (images**2 / degrees + scaled**2 / (count - 1))
    return images + luck, max(satterthwaite, min(degrees, count - 1))


@st.composite
def tables_with_folds(draw):
    table = draw(tables)
    folds = draw(arrays(np.int64, table.shape, elements=st.integers(0, draw(st.integers(0, 2)))))
    return table, folds


@given(tables_with_folds())
def test_interval_is_that_of_the_slow_reference(given):
    table, folds = given
    squares = mean_squares(table)
    assert (squares.groups, squares.repeats, squares.rest) == pytest.approx(
        slow_mean_squares(table.tolist()), abs=1e-9
    )
    assume(len(set(zip(folds.ravel(), np.indices(table.shape)[1].ravel(), strict=True))) < table.size)
    variance, degrees = slow_variance_and_degrees(table.tolist(), folds.tolist())
    error, half = variance**0.5, student.ppf(0.975, degrees) * variance**0.5
    unlike = sum(any(cell != np.median(table) for cell in row) for row in table)
    if variance < 1e-20 or (unlike <= 2 and half < 3 / len(table)):
        half, degrees = 3 / len(table), len(table) - 1
        error = half / student.ppf(0.975, degrees)
    test = crossed_test(table, folds)
    interval, p = test.interval, test.p_value
    assert interval.standard_error == pytest.approx(error, abs=1e-7)
    assert (interval.low, interval.high) == pytest.approx((table.mean() - half, table.mean() + half), abs=1e-4)
    if error > 1e-6:
        assert p == pytest.approx(2 * student.sf(abs(table.mean()) / error, degrees), abs=1e-5)
    assert crossed_interval(table, folds) == interval


@given(tables_with_folds(), st.sampled_from([0.0, 0.5]))
def test_p_is_below_5_percent_exactly_where_the_interval_leaves_out_0(given, choice):
    test = crossed_test(*given, choice)
    interval, p = test.interval, test.p_value
    assume(abs(p - 0.05) > 1e-9)
    assert (p < 0.05) == (interval.low > 0 or interval.high < 0)


def test_stored_example_computed_by_hand():
    # Rows' means 2, 1, 0, -1; columns' means 0, 1; grand mean 0.5.
    table = np.array([[1.0, 3.0], [1.0, 1.0], [0.0, 0.0], [-2.0, 0.0]])
    squares = mean_squares(table)
    assert squares.groups == pytest.approx(2 * (2.25 + 0.25 + 0.25 + 2.25) / 3)  # 10/3
    assert squares.repeats == pytest.approx(4 * (0.25 + 0.25) / 1)  # 2
    assert squares.rest == pytest.approx(8 * 0.25 / 3)  # 2/3
    interval = crossed_interval(table)
    assert interval.estimate == 0.5
    assert interval.standard_error == pytest.approx(((10 / 3 + 2 - 2 / 3) / 8) ** 0.5)  # sqrt(14/24)
    # Images 5/12 with 3 degrees of freedom, luck 1/6 from a mean square of 1/4 with 1: 2.827 altogether.
    degrees = (7 / 12) ** 2 / ((5 / 12) ** 2 / 3 + (1 / 4) ** 2)
    assert crossed_variance(table).degrees == pytest.approx(degrees)
    assert interval.high == pytest.approx(0.5 + student.ppf(0.975, degrees) * 0.7637626, abs=1e-6)
    assert repeats_share(table) == pytest.approx(2 / (14 / 3))


def test_stored_example_with_folds_computed_by_hand():
    table = np.array([[1.0, 3.0], [1.0, 1.0], [0.0, 0.0], [-2.0, 0.0]])
    folds = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    # Means of the four trainings 1, -1, 1.5, 0.5: 7 between them with 3 degrees of freedom, 7 within with 4.
    without_luck = (1 * 2 / 3 + 2 * 7 / 4) / 3
    variance = crossed_variance(table, folds)
    assert variance.luck == pytest.approx((7 / 3 - without_luck) / 8)
    assert variance.images == pytest.approx(5 / 12)
    assert variance.rest == pytest.approx(2 / 3 / 8)
    assert variance.degrees == pytest.approx(variance.total**2 / ((5 / 12) ** 2 / 3 + (7 / 24) ** 2 / 3))
    assert standard_error(table, folds) == pytest.approx(variance.total**0.5)
    assert repeats_share(table, folds) == pytest.approx((variance.luck + 1 / 12) / variance.total)
    with_choice = crossed_variance(table, folds, choice=0.25)
    assert with_choice.total == pytest.approx(variance.total + 0.25)


def test_few_groups_that_differ_are_few_degrees_of_freedom():
    table = np.zeros((150, 2))
    table[:4] = 1
    test = crossed_test(table)
    interval, p = test.interval, test.p_value
    # Of 4 and 0, McNemar's exact test makes .125, and t with 149 degrees of freedom .044.
    assert crossed_variance(table).degrees == pytest.approx(2 * 4 * 150 * (146 / 150) / (142**2 / 150), rel=1e-3)
    assert 0.05 < p < 0.125
    assert interval.low < 0


def test_one_unlike_group_tells_no_more_than_none():
    table = np.zeros((150, 4))
    never = crossed_interval(table)
    table[0, 0] = 1
    once = crossed_interval(table)
    assert (once.low, once.high) == pytest.approx((1 / 600 - 3 / 150, 1 / 600 + 3 / 150))
    assert once.standard_error == pytest.approx(never.standard_error)
    table[:3] = 1
    assert crossed_interval(table).high > once.high


def test_where_coverage_is_outside_its_range_that_is_said():
    table = np.zeros((40, 2))
    table[:10] = 1
    two, five = (np.stack([np.arange(40) % folds] * 2, axis=1) for folds in (2, 5))
    assert "4 training(s)" in coverage_note(table, two)
    assert "2 training(s)" in coverage_note(table)
    assert coverage_note(table, five) is None
    table[5:10] = 0
    assert "Only 5 independent image(s)" in coverage_note(table, five)


def test_differences_that_cancel_in_every_group_are_no_certainty():
    test = crossed_test(np.array([[1.0, 3.0], [3.0, 1.0], [1.0, 3.0], [3.0, 1.0]]))
    interval, p = test.interval, test.p_value
    assert (interval.low, interval.high) == pytest.approx((1.25, 2.75))
    assert p < 0.05


def test_the_variance_of_a_choice_counts_half_the_folds():
    gains = np.array([[0.0, 0.02, 0.02], [0.02, 0.0, 0.02]])
    assert choice_variance(gains) == pytest.approx(np.var(gains, ddof=1) * 2 / 3)
    assert choice_variance(np.full((4, 5), 0.01)) == pytest.approx(0)
    assert choice_variance(gains[:1]) == 0, "a single repeat's choices are taken as one"


def test_group_folds_are_in_the_order_of_group_table():
    folds = np.array([[0, 1], [2, 0], [0, 1], [1, 2], [4, 4]])
    weights, groups = np.array([0.5, 0.25, 0.25, 0.25, 0]), np.array([7, 3, 7, 5, 1])
    assert group_folds(folds, weights, groups).tolist() == [[2, 0], [1, 2], [0, 1]]


@given(tables, st.randoms(use_true_random=False))
def test_sign_and_order_do_not_matter(table, random):
    interval, mirrored = crossed_interval(table), crossed_interval(-table)
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low), abs=1e-9)
    rows, columns = list(range(len(table))), list(range(table.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = crossed_interval(table[np.ix_(rows, columns)])
    assert (shuffled.low, shuffled.high) == pytest.approx((interval.low, interval.high), abs=1e-4)


@given(st.floats(-1, 1), st.integers(2, 50), st.integers(1, 5))
def test_equal_cells_have_no_variance(value, n, repeats):
    table = np.full((n, repeats), value)
    assert standard_error(table) == 0.0
    assert repeats_share(table) == 0.0
    interval = crossed_interval(table)
    assert (interval.low, interval.high) == pytest.approx((value - 3 / n, value + 3 / n))


def test_one_repeat_is_the_one_sample_t_test():
    values = Key("crossed").numpy_generator().uniform(-0.7, 1.3, size=(30, 1))
    test = crossed_test(values)
    interval, p = test.interval, test.p_value
    expected = ttest_1samp(values[:, 0], 0)
    bounds = expected.confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((bounds.low, bounds.high))
    assert p == pytest.approx(expected.pvalue)


@given(tables_with_folds(), st.floats(-2, 2))
def test_the_probability_of_a_gain_is_one_half_of_p_at_0_and_falls_with_the_threshold(given, threshold):
    test = crossed_test(*given)
    above = test.probability_above(0.0)
    assert 2 * min(above, 1 - above) == pytest.approx(test.p_value, abs=1e-9)
    assert test.probability_above(threshold) >= test.probability_above(threshold + 0.5)
    assert test.probability_above(test.interval.low) == pytest.approx(0.975, abs=1e-6)


def test_the_smallest_detectable_effect_has_to_pass_the_margin_too():
    test = CrossedTest(Interval(0.0, -0.02, 0.02, 0.01), 1.0, 1e9)
    assert test.smallest_detectable(0.005) == pytest.approx(0.02 + 0.8416 * 0.01, abs=1e-5)
    assert test.smallest_detectable(0.05) == pytest.approx(0.05 + 0.8416 * 0.01, abs=1e-5)


def test_holm_stored_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@given(st.integers(0, 2**32))
def test_group_table_keeps_the_weighted_sum(seed):
    draw = (Key("groups") / seed).numpy_generator()
    labels, groups = draw.integers(0, 3, 40), draw.integers(0, 15, 40)
    labels[:3] = [0, 1, 2]
    values = draw.normal(size=(40, 2))
    weights = class_weights(labels, [0, 2])
    table = group_table(values, weights, groups)
    np.testing.assert_allclose(table.mean(axis=0), weights @ values, atol=1e-12)
    assert len(table) == len(set(groups[labels != 1].tolist()))


def simulated_coverage(key, repeats, luck, studies=400, n=120, folds=5):
    """Share of studies whose interval holds the true mean of differences of -1, 0 and 1."""
    draw, truth, held = key.numpy_generator(), 0.02, 0
    for _ in range(studies):
        training = np.stack([draw.permutation(n) % folds for _ in range(repeats)], axis=1)
        image = draw.normal(0, 0.1, (n, 1))
        shift = (truth + image + draw.normal(0, luck, (folds, repeats))[training, np.arange(repeats)]) / 2
        uniform = draw.random((n, repeats))
        differences = (uniform < 0.3 + shift).astype(float) - (uniform > 0.7 + shift)
        interval = crossed_interval(differences, training)
        held += interval.low <= truth <= interval.high
    return held / studies


@pytest.mark.parametrize("repeats", [2, 4])
@pytest.mark.parametrize("luck", [0.0, 0.15])
def test_coverage_of_the_interval(repeats, luck):
    assert 0.92 <= simulated_coverage(Key("coverage") / repeats / luck, repeats, luck) <= 0.985


def test_a_difference_without_any_spread_is_no_certainty():
    test = crossed_test(np.ones((2, 3)))
    interval, p = test.interval, test.p_value
    assert (interval.low, interval.high) == pytest.approx((-0.5, 2.5))
    assert p > 0.05


def test_much_luck_in_few_repeats_is_said():
    draw = Key("luck").numpy_generator()
    folds = np.tile(np.arange(100) % 5, (2, 1)).T
    luck = draw.normal(0, 1, (2, 5))
    table = draw.normal(0, 0.3, (100, 1)) + luck[np.arange(2), folds]
    assert "More repeats help" in (coverage_note(table, folds) or "")
    assert "truth in up to 9 %" in (coverage_note(table, folds) or "")
    calm = draw.normal(0, 1, (100, 1)) + draw.normal(0, 0.1, (100, 2))
    assert coverage_note(calm, folds) is None
