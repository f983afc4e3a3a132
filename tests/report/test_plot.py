import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_content import arm, interval, verdict

from tenfold.report.plot import interval_plot

shares = st.floats(-0.9, 0.9)


def test_pick_first_then_best_to_worst_without_baseline_and_failures():
    rows = interval_plot(verdict()).rows
    assert [row.name for row in rows] == ["PICK", "classical+cgan", "placebo", "raw"]
    assert [row.is_pick for row in rows] == [True, False, False, False]
    assert rows[0].outcome == "helped"
    assert len({row.y for row in rows}) == 4


@given(st.lists(st.tuples(shares, st.floats(0, 0.5)), min_size=1, max_size=6), st.floats(1e-4, 0.2))
def test_everything_lies_within_the_plot_and_in_order(differences, margin):
    results = tuple(
        arm(f"arm{i}", 0.5, against_baseline=interval(*each), outcome="not_proven")
        for i, each in enumerate(differences)
    )
    plot = interval_plot(verdict(arms=results, margin=margin, difference=interval(*differences[0])))
    for row in plot.rows:
        assert 0 <= row.left <= row.middle <= row.right <= 100
        assert (row.middle > plot.zero) == (row.interval.estimate > 0) or row.middle == pytest.approx(
            plot.zero, abs=0.02
        )
        assert row.y < plot.height - plot.bottom
    assert 0 < plot.margin_left <= plot.zero <= plot.margin_right < 100
    assert 0.0 in [tick.points for tick in plot.ticks]
    assert 2 <= len(plot.ticks) <= 9
    assert all(0 <= tick.x <= 100 for tick in plot.ticks)
