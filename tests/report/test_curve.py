import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from made_up_content import arm, interval, told_in_full, verdict

from tenfold.core.verdicts import CurvePoint, Worth
from tenfold.report.curve import LINE, curve_plot


def test_arms_stand_on_the_images_at_hand_and_end_on_the_curve():
    plot = curve_plot(told_in_full())
    assert [level.name for level in plot.levels] == ["classical+cgan", "classical+mixup", "placebo", "raw"]
    at = {each.point.arm: each for each in plot.points}
    assert at["classical"].x == plot.at_hand
    assert [each.x for each in plot.points] == sorted(each.x for each in plot.points)
    gan = plot.levels[0]
    assert at["classical"].x < gan.x < at["oracle"].x
    # 88 % is half-way from the baseline to the oracle, and so are 140 of 280 more images.
    assert math.isclose(gan.y, (at["classical"].y + at["oracle"].y) / 2, abs_tol=0.2)
    assert math.isclose(gan.x, (at["classical"].x + at["oracle"].x) / 2, abs_tol=0.02)
    placebo = plot.levels[2]
    assert placebo.x == plot.at_hand
    assert not placebo.goes_on


def test_there_is_no_plot_without_a_curve():
    assert curve_plot(verdict()) is None
    assert curve_plot(told_in_full(curve=told_in_full().curve[:2])) is None
    assert curve_plot(told_in_full(curve=told_in_full().curve[2:3])) is None


worths = st.one_of(st.none(), *(st.just(x) for x in (math.inf, -math.inf)), st.floats(-1e5, 1e5))


@given(st.lists(st.tuples(st.floats(0, 1), worths), max_size=30), st.lists(st.floats(0, 1), min_size=2, max_size=4))
def test_everything_lies_within_the_plot_and_no_names_overlap(reached, learned):
    arms = tuple(
        arm(f"arm{i}", share, 0.01, "helped", worth=worth if worth is None else Worth(worth, worth, worth))
        for i, (share, worth) in enumerate(reached)
    )
    names = ["classical", *(f"classical@{i}%" for i in range(1, len(learned)))]
    images = (40, 10, 20, 80)[: len(learned)]
    curve = tuple(
        CurvePoint(name, count, interval(share, 0.1))
        for name, count, share in zip(names, images, learned, strict=True)
    )
    plot = curve_plot(verdict(arms=(arm("classical", learned[0]), *arms), curve=curve))
    assert len(plot.levels) == len(reached)
    for level in plot.levels:
        assert plot.left <= level.x <= plot.right
        assert plot.top <= level.y <= plot.floor
        assert plot.top <= level.name_y <= plot.floor
    assert all(after.name_y - before.name_y >= LINE - 0.11 for before, after in pairwise(plot.levels))
    assert all(plot.top <= each.high <= each.y <= each.low <= plot.floor for each in plot.points)
    assert all(plot.left <= x <= plot.right for x in [*(x for x, _ in plot.across_ticks), plot.at_hand])
    assert all(plot.top <= y <= plot.floor for y, _ in plot.down_ticks)
    for ticks in (plot.across_ticks, plot.down_ticks):
        assert 2 <= len(ticks) <= 7
    for (_, worth), level in zip(sorted(reached, key=lambda each: -each[0]), plot.levels, strict=True):
        if worth is not None and len({share for share, _ in reached}) == len(reached):
            assert level.goes_on == (not math.isfinite(worth) or level.x in (plot.left, plot.right))
