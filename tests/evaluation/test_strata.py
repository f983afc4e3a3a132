import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.keys import Key
from tenfold.core.types import class_weights
from tenfold.evaluation.crossed import crossed_interval, crossed_variance, group_table
from tenfold.evaluation.strata import PRIOR_GROUPS, Strata


@given(st.integers(0, 2**32))
def test_squares_against_loops(seed):
    draw = (Key("strata") / seed).numpy_generator()
    labels, groups = np.arange(30) % 3, draw.permutation(30) // 2
    labels[25:] = 0
    weights, values = class_weights(labels, [0, 1, 2]), draw.normal(size=(30, 2))
    strata, table = Strata.of(labels, weights, groups), group_table(values, weights, groups)
    of_class, own, weight = [], [], []
    for group in range(15):
        inside = [i for i in range(30) if groups[i] == group]
        share = [sum(weights[i] for i in inside if labels[i] == k) for k in range(3)]
        of_class.append(int(np.argmax(share)))
        own.append(sum(weights[i] * values[i].mean() for i in inside))
        weight.append(sum(share))
    assert strata.classes.tolist() == of_class
    assert strata.weights == pytest.approx(weight)
    squares = []
    for group in range(15):
        same = [g for g in range(15) if of_class[g] == of_class[group]]
        leverage = weight[group] / sum(weight[g] for g in same)
        distance = (own[group] - leverage * sum(own[g] for g in same)) / (1 - min(leverage, 0.9))
        squares.append(distance**2 * (len(same) - 1) / len(same))
    average = np.mean([square / w**2 for square, w in zip(squares, weight, strict=True)])
    parts = strata.squares(table)
    for group in range(15):
        members = of_class.count(of_class[group])
        prior = PRIOR_GROUPS * average * weight[group] ** 2
        assert parts[group] == pytest.approx((members * squares[group] + prior) / (members + PRIOR_GROUPS))


def test_equal_classes_of_single_images_are_as_without_strata():
    draw = Key("balanced").numpy_generator()
    labels = np.arange(400) % 2
    weights = class_weights(labels, [0, 1])
    table = group_table(draw.choice([-1.0, 0.0, 1.0], (400, 4), p=[0.05, 0.85, 0.1]), weights, np.arange(400))
    with_strata = crossed_variance(table, strata=Strata.of(labels, weights, np.arange(400)))
    assert with_strata.images == pytest.approx(crossed_variance(table).images, rel=0.01)


def test_a_rare_class_that_happens_to_be_judged_alike_is_not_without_variance():
    labels = np.repeat([0, 1], [400, 20])
    weights = class_weights(labels, [0, 1])
    strata = Strata.of(labels, weights, np.arange(420))
    values = np.zeros((420, 2))
    values[:40] = 1  # a tenth of the common class, and nothing of the rare one
    interval = crossed_interval(group_table(values, weights, np.arange(420)))
    told = crossed_interval(group_table(values, weights, np.arange(420)), strata=strata)
    assert told.high - told.low > 1.5 * (interval.high - interval.low)


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_coverage_with_classes_of_twenty_to_one(gain):
    draw, held = (Key("rare") / gain).numpy_generator(), 0
    labels = np.repeat([0, 1], [400, 20])
    weights, groups = class_weights(labels, [0, 1]), np.arange(420)
    strata = Strata.of(labels, weights, groups)
    for _ in range(400):
        image = draw.random((420, 1))
        uniform = image + draw.normal(0, 0.02, (420, 4))
        values = (uniform < 0.05 + gain).astype(float) - (uniform > 0.95)
        interval = crossed_interval(group_table(values, weights, groups), strata=strata)
        held += interval.low <= gain <= interval.high
    assert held / 400 >= 0.92
