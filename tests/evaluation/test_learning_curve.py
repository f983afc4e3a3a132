import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm

from tenfold.core.keys import Key
from tenfold.evaluation.crossed import crossed_interval, group_table
from tenfold.evaluation.learning_curve import images_for, learning_curve, worth

SIZES = (80.0, 112.0, 160.0)


def exact(error, n=400, repeats=3):
    """A table whose groups are all right by the same share: nothing but the mean."""
    return np.full((n, repeats), 1 - error)


def exact_curve(slope, error=0.1, sizes=SIZES):
    return [(size, exact(error * (size / 160) ** -slope)) for size in sizes]


def study(key, errors, n=400, repeats=4, luck=0.0):
    """Tables n x R of right (1) and wrong (0), paired by the images' difficulty; an error rate each."""
    draw = key.numpy_generator()
    shared = 0.8 * draw.normal(size=(n, 1, 1))
    noise = 0.6 * draw.normal(size=(n, repeats, len(errors)))
    rates = np.array(errors) * np.exp(luck * draw.normal(size=(1, repeats, len(errors))) - luck**2 / 2)
    right = (shared + noise < norm.isf(rates)).astype(float)
    return [right[:, :, arm] for arm in range(len(errors))]


def curve_and_arm(key, more=1.0, slope=0.5, error=0.1, **changes):
    """A study whose baseline follows the power law; the arm's true worth is `more` times 160 images."""
    errors = [error * (size / 160) ** -slope for size in (*SIZES, 160 * (1 + more))]
    *tables, arm = study(key, errors, **changes)
    return list(zip(SIZES, tables, strict=True)), tables[-1], arm


@pytest.mark.parametrize("slope", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("more", [-0.5, 0.0, 0.25, 1.0, 3.0])
def test_noise_free_curves_are_read_exactly(slope, more):
    curve = exact_curve(slope)
    equivalent = worth(curve, curve[-1][1], 160, exact(0.1 * (1 + more) ** -slope))
    assert equivalent.real_images == pytest.approx(160 * more, abs=1e-6)
    assert equivalent.low <= equivalent.real_images <= equivalent.high


def test_points_may_come_in_any_order_and_number():
    curve = exact_curve(0.5, sizes=(480.0, 80.0, 160.0, 112.0, 320.0))
    assert worth(curve, exact(0.1), 160, exact(0.05)).real_images == pytest.approx(480)


def test_the_gain_counts_from_the_curve_and_not_from_one_unlucky_point():
    """The baseline's own point is too low by luck; the arm shares the luck, being paired with it."""
    curve = [*exact_curve(0.5, sizes=(80.0, 112.0, 320.0, 480.0)), (160.0, exact(0.11))]
    fitted = np.exp(
        np.polyval(np.polyfit(np.log([s / 160 for s, _ in curve]), np.log([1 - t[0, 0] for _, t in curve]), 1), 0)
    )
    slope = -np.polyfit(np.log([s for s, _ in curve]), np.log([1 - t[0, 0] for _, t in curve]), 1)[0]
    expected = 160 * ((fitted / (fitted - 0.02)) ** (1 / slope) - 1)
    assert worth(curve, exact(0.11), 160, exact(0.09)).real_images == pytest.approx(expected)


def test_more_gain_is_more_images():
    curve, baseline, arm = curve_and_arm(Key("monotone"))
    steps = [worth(curve, baseline, 160, arm + gain) for gain in np.linspace(-0.1, 0.05, 16)]
    for fewer, more in itertools.pairwise(steps):
        assert fewer.real_images < more.real_images or fewer.real_images == math.inf
        assert fewer.low <= more.low + 0.1
        assert fewer.high <= more.high + 0.1


def test_order_of_groups_and_repeats_does_not_matter_and_nothing_is_drawn():
    curve, baseline, arm = curve_and_arm(Key("order"), luck=0.1)
    equivalent = worth(curve, baseline, 160, arm)
    assert equivalent == worth(curve, baseline, 160, arm)
    draw = Key("shuffle").numpy_generator()
    order = np.ix_(draw.permutation(len(arm)), draw.permutation(arm.shape[1]))
    shuffled = worth([(size, table[order]) for size, table in curve], baseline[order], 160, arm[order])
    assert (shuffled.real_images, shuffled.low, shuffled.high) == pytest.approx(
        (equivalent.real_images, equivalent.low, equivalent.high), abs=0.1
    )


@pytest.mark.parametrize("more", [-0.4, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("number", range(5))
def test_zero_is_inside_exactly_where_the_verdict_finds_no_difference(more, number):
    curve, baseline, arm = curve_and_arm(Key("zero") / number, more)
    difference = crossed_interval(arm - baseline)
    equivalent = worth(curve, baseline, 160, arm)
    assert (equivalent.low <= 0 <= equivalent.high) == (difference.low <= 0 <= difference.high)


def slow_bootstrap(curve, baseline, arm, draw, draws=400):
    """Resample groups one study at a time, fit each anew: the textbook's way, for one repeat."""
    resampled = []
    for _ in range(draws):
        rows = draw.integers(0, len(arm), len(arm))
        x = [math.log(size / 160) for size, _ in curve]
        y = [math.log(1 - table[rows].mean()) for _, table in curve]
        steepness, level = np.polyfit(x, y, 1)
        error = math.exp(level)
        left = error - (arm[rows] - baseline[rows]).mean()
        resampled.append(160 * ((error / left) ** (-1 / steepness) - 1))
    return np.quantile(resampled, [0.025, 0.975])


@pytest.mark.parametrize("more", [-0.3, 0.0, 0.5])
def test_interval_agrees_with_a_slow_bootstrap_where_errors_are_many(more):
    """One repeat, so that resampling groups is all there is to resample."""
    curve, baseline, arm = curve_and_arm(Key("slow"), more, error=0.2, n=4000, repeats=1)
    equivalent = worth(curve, baseline, 160, arm)
    low, high = slow_bootstrap(curve, baseline, arm, Key("resample").numpy_generator())
    width = high - low
    assert equivalent.low == pytest.approx(low, abs=0.15 * width)
    assert equivalent.high == pytest.approx(high, abs=0.15 * width)


def test_a_curve_without_a_rise_gives_no_rate():
    flat, falling = exact_curve(0.0), exact_curve(-0.3)
    for curve in (flat, falling):
        assert worth(curve, curve[-1][1], 160, exact(0.05)) is None
    noisy = study(Key("flat"), [0.10, 0.105, 0.10, 0.08])
    noisy[0], noisy[2] = sorted((noisy[0], noisy[2]), key=lambda table: -table.mean())  # at best it falls by luck
    assert worth(list(zip(SIZES, noisy, strict=False)), noisy[2], 160, noisy[3]) is None


def test_one_point_is_no_curve():
    assert worth([(160.0, exact(0.1))], exact(0.1), 160, exact(0.05)) is None
    assert worth([(160.0, exact(0.1)), (160.0, exact(0.09))], exact(0.1), 160, exact(0.05)) is None
    assert worth([], exact(0.1), 160, exact(0.05)) is None


def test_a_gain_beyond_the_curve_is_infinite_and_a_loss_beyond_it_all_images():
    curve = exact_curve(0.1)
    beyond = worth(curve, curve[-1][1], 160, exact(0.05))  # 2 ** 10 times the images
    assert (beyond.real_images, beyond.low, beyond.high) == (math.inf,) * 3
    without_errors = worth(curve, curve[-1][1], 160, exact(0.0))
    assert without_errors.real_images == math.inf
    lost = worth(curve, curve[-1][1], 160, exact(0.5))
    assert (lost.real_images, lost.low, lost.high) == (-160,) * 3


def test_upper_end_is_infinite_where_the_slope_is_hardly_known():
    curve, baseline, arm = curve_and_arm(Key("hardly") / 5, more=3.0, slope=0.2, repeats=1)
    equivalent = worth(curve, baseline, 160, arm)
    assert equivalent.high == math.inf
    assert 0 < equivalent.low < equivalent.real_images


@pytest.mark.parametrize("more", [-0.6, 3.0])
def test_a_proven_gain_is_worth_something_and_a_proven_loss_costs_something(more):
    curve, baseline, arm = curve_and_arm(Key("proven"), more)
    equivalent = worth(curve, baseline, 160, arm)
    assert equivalent.low > 0 if more > 0 else equivalent.high < 0
    assert equivalent.low >= -160


@pytest.mark.parametrize("differing", [0, 1])
def test_an_arm_that_hardly_ever_differed_gets_the_rule_of_three(differing):
    ripple = np.where(np.arange(400) % 2, 1e-3, -1e-3)[:, None]  # some noise that leaves all means as they are
    curve = [(size, table + ripple) for size, table in exact_curve(0.5)]
    arm = curve[-1][1].copy()
    arm[:differing, 0] += 1e-6
    equivalent = worth(curve, curve[-1][1], 160, arm)
    assert equivalent.real_images == pytest.approx(0, abs=1e-3)
    share = 3 / 400  # of the groups may differ, each by one: the error may be .1 less or more by that
    assert equivalent.high == pytest.approx(160 * ((0.1 / (0.1 - share)) ** 2 - 1), abs=0.2)
    assert equivalent.low == pytest.approx(160 * ((0.1 / (0.1 + share)) ** 2 - 1), abs=0.2)


def test_no_error_at_all_is_no_infinite_logarithm():
    curve = [(80.0, exact(0.05)), (112.0, exact(0.02)), (160.0, exact(0.0))]
    equivalent = worth(curve, exact(0.0), 160, exact(0.0))
    assert equivalent.real_images == 0


def test_the_choice_between_arms_widens_the_interval():
    curve, baseline, arm = curve_and_arm(Key("choice"), 0.2, n=4000, repeats=1)
    sure, chosen = (worth(curve, baseline, 160, arm, choice=choice) for choice in (0.0, 0.005**2))
    assert chosen.real_images == sure.real_images
    assert chosen.low < sure.low < sure.high < chosen.high


def test_groups_that_weigh_more_are_no_uncertainty():
    """Patients with 1 or 7 images: knowing what each could have scored, the weights alone widen nothing."""
    groups = np.repeat(np.arange(200), np.where(np.arange(200) % 2, 1, 7))
    weights = np.full(len(groups), 1 / len(groups))
    curve, baseline, arm = curve_and_arm(Key("weights"), n=len(groups))
    curve = [(size, group_table(table, weights, groups)) for size, table in curve]
    baseline, arm = group_table(baseline, weights, groups), group_table(arm, weights, groups)
    perfect = group_table(np.ones((len(groups), 1)), weights, groups)
    result, untold = worth(curve, baseline, 160, arm, perfect=perfect), worth(curve, baseline, 160, arm)
    assert result.real_images == pytest.approx(untold.real_images)
    assert result.high - result.low < untold.high - untold.low
    points = [("classical", 160.0, baseline)]
    (with_it,), (without,) = learning_curve(points, perfect=perfect), learning_curve(points)
    assert with_it.balanced_accuracy.standard_error < without.balanced_accuracy.standard_error / 2


def test_learning_curve_is_sorted_and_stays_within_0_and_1():
    right, half, wrong = np.ones((50, 2)), np.tile([[1.0], [0.0]], (25, 2)), np.zeros((50, 2))
    points = learning_curve([("oracle", 480.0, right), ("classical", 160.0, half), ("classical:50%", 80.0, wrong)])
    assert [(point.arm, point.images) for point in points] == [
        ("classical:50%", 80.0),
        ("classical", 160.0),
        ("oracle", 480.0),
    ]
    least, middle, most = (point.balanced_accuracy for point in points)
    # The rule of three, rather than certainty.
    assert (least.estimate, least.low, least.high) == pytest.approx((0.0, 0.0, 3 / 50))
    assert (most.estimate, most.low, most.high) == pytest.approx((1.0, 1 - 3 / 50, 1.0))
    expected = crossed_interval(half)
    assert (middle.low, middle.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("more", [0.0, 1.0])
def test_interval_holds_the_truth_and_not_everything(more):
    """A quick look; benchmarks/exchange.py counts more studies."""
    held, wrongly_held = [], []
    for number in range(80):
        curve, baseline, arm = curve_and_arm(Key("coverage") / number / more, more, n=600, repeats=2)
        equivalent = worth(curve, baseline, 160, arm)
        if equivalent is not None:
            held.append(equivalent.low - 0.1 <= 160 * more <= equivalent.high + 0.1)
            wrongly_held.append(equivalent.low <= 160 * (1 - more) <= equivalent.high)
    assert len(held) > 70
    assert np.mean(held) >= 0.88
    assert np.mean(wrongly_held) <= 0.7


@pytest.mark.parametrize("slope", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("times", [1.3, 4.0, 16.0])
def test_how_many_images_an_accuracy_takes_is_read_exactly_from_a_noise_free_curve(slope, times):
    (needed,) = images_for(exact_curve(slope), 160, [1 - 0.1 * times**-slope])
    assert needed.times == pytest.approx(times)
    assert 1 <= needed.low <= times <= needed.high


def test_what_100_times_as_many_do_not_reach_is_infinite_and_without_a_rise_nothing_is_told():
    near, far, never = images_for(exact_curve(0.3), 160, [0.92, 0.98, 1 - 1e-6])
    assert near.times == pytest.approx(1.25 ** (1 / 0.3))
    assert (far.times, far.high) == (math.inf, math.inf)
    assert 10 < far.low < 100
    assert (never.times, never.low, never.high) == (math.inf,) * 3
    for curve in (exact_curve(0.0), exact_curve(-0.3), [(160.0, exact(0.1)), (160.0, exact(0.09))]):
        (unknown,) = images_for(curve, 160, [0.95])
        assert all(map(math.isnan, (unknown.times, unknown.low, unknown.high)))


def test_the_interval_of_the_images_needed_agrees_with_a_slow_bootstrap(monkeypatch):
    """Of a curve that is a power law throughout: resample groups, fit each anew by numpy."""
    monkeypatch.setattr("tenfold.evaluation.learning_curve.BEND", 0.0)
    curve, _, _ = curve_and_arm(Key("needed"), error=0.2, n=4000, repeats=1)
    (needed,) = images_for(curve, 160, [0.9])
    draw, drawn = Key("needed/resample").numpy_generator(), []
    for _ in range(1000):
        rows = draw.integers(0, 4000, 4000)
        y = [math.log(1 - table[rows].mean()) for _, table in curve]
        steepness, level = np.polyfit([math.log(size / 160) for size, _ in curve], y, 1)
        drawn.append((math.log(0.1) - level) / steepness)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert math.log(needed.low) == pytest.approx(low, abs=0.1 * (high - low))
    assert math.log(needed.high) == pytest.approx(high, abs=0.1 * (high - low))


def test_a_curve_that_flattens_is_allowed_for():
    """Error 0.04 + 0.06 m^-0.8: to 0.05 it takes 9.4 times as many, where the law fitted to its start says fewer."""
    held = 0
    for number in range(40):
        errors = [0.04 + 0.06 * (size / 160) ** -0.8 for size in SIZES]
        tables = study(Key("flattens") / number, errors)
        (needed,) = images_for(list(zip(SIZES, tables, strict=True)), 160, [0.95])
        held += math.isnan(needed.times) or needed.low <= 6 ** (1 / 0.8) <= needed.high
    assert held >= 36
