import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from tenfold.core.keys import Key
from tenfold.core.types import class_weights
from tenfold.evaluate.crossed import (
    accuracy_interval,
    crossed_interval,
    group_table,
    holm,
    mean_squares,
    p_value,
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


@given(tables)
def test_interval_is_that_of_the_slow_reference(table):
    groups, repeats, rest = slow_mean_squares(table.tolist())
    squares = mean_squares(table)
    assert (squares.groups, squares.repeats, squares.rest) == pytest.approx((groups, repeats, rest), abs=1e-9)
    error = (max(groups + repeats - rest, groups) / table.size) ** 0.5
    if not table.any():
        error = 3 / len(table) / student.ppf(0.975, len(table) - 1)
    interval = crossed_interval(table)
    assert interval.standard_error == pytest.approx(error, abs=1e-7)
    half = student.ppf(0.975, len(table) - 1) * error
    assert (interval.low, interval.high) == pytest.approx((table.mean() - half, table.mean() + half), abs=1e-4)


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
    assert interval.high == pytest.approx(0.5 + 3.182446 * 0.7637626, abs=1e-6)
    assert repeats_share(table) == pytest.approx(2 / (14 / 3))


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


def test_one_repeat_is_the_one_sample_t_test():
    values = Key("crossed").numpy_generator().normal(0.3, 1, size=(30, 1))
    interval = crossed_interval(values)
    expected = ttest_1samp(values[:, 0], 0)
    bounds = expected.confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((bounds.low, bounds.high))
    assert p_value(interval, 30) == pytest.approx(expected.pvalue)


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


def test_class_sizes_alone_are_no_uncertainty():
    """190 + 10 images recognised at 90 %: the interval is the stratified one, not 2.7 times as wide."""
    labels = np.repeat([0, 1], [190, 10])
    correct = np.ones((200, 1))
    correct[:19] = 0
    correct[-1:] = 0
    interval = accuracy_interval(correct, labels, np.arange(200), [0, 1])
    stratified = 0.5 * (0.09 / 190 + 0.09 / 10) ** 0.5
    assert interval.estimate == pytest.approx(0.9)
    assert interval.standard_error == pytest.approx(stratified, rel=0.01)


def test_accuracy_interval_is_honest_at_the_edges():
    labels, groups = np.zeros(3, dtype=np.int64), np.arange(3)
    everything = accuracy_interval(np.ones((3, 4)), labels, groups, [0])
    assert (everything.estimate, everything.high) == (1.0, 1.0)
    assert everything.low == pytest.approx(0.4385, abs=1e-4)  # Wilson's for 3 of 3
    single = accuracy_interval(np.ones((3, 4)), labels, np.zeros(3, dtype=np.int64), [0])
    assert single.low < everything.low


def simulated_coverage(key, studies, n=200, repeats=4):
    """Share of studies whose interval holds the true mean of paired 0/1 differences."""
    draw, truth, held = key.numpy_generator(), 0.02, 0
    for _ in range(studies):
        image = draw.normal(0, 0.15, (n, 1))
        repeat = draw.normal(0, 0.01, (1, repeats))
        chance = np.clip(0.15 + truth / 2 + (image + repeat) / 2, 0, 0.5)
        other = np.clip(0.15 - truth / 2 - (image + repeat) / 2, 0, 0.5)
        uniform = draw.random((n, repeats))
        interval = crossed_interval((uniform < chance).astype(float) - (uniform > 1 - other))
        held += interval.low <= truth <= interval.high
    return held / studies


def test_coverage_of_the_interval():
    assert 0.90 <= simulated_coverage(Key("coverage"), 1000) <= 0.98
