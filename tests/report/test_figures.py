import math
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_content import arm, interval, told_in_full, verdict

from tenfold.evaluation import CurvePoint, Worth
from tenfold.report.figures import OF_THE_PAGE, Row, _apart, curve_svg, interval_svg, verdict_rows

shares = st.floats(-0.9, 0.9)


def texts(svg):
    """All that is written in a plot, but for what is said to those who cannot see it."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def positions(svg):
    """Of each text, across and down."""
    return {
        text: (float(x), float(y)) for x, y, text in re.findall(r'x="([\d.-]+)" y="([\d.-]+)"[^>]*>([^<]+)<', svg)
    }


def test_the_choice_first_then_best_to_worst_without_baseline_and_failures():
    rows = verdict_rows(verdict(), "the chosen arm")
    assert [row.name for row in rows] == ["the chosen arm", "classical+cgan", "placebo", "raw"]
    assert [row.decides for row in rows] == [True, False, False, False]
    assert rows[0].outcome == "helped"
    assert rows[-1].estimate == pytest.approx(-5)
    drawn = positions(interval_svg(rows, "Arms", band=1.0))
    assert sorted((row.name for row in rows), key=lambda name: drawn[name][1]) == [row.name for row in rows]


def test_a_plot_says_what_it_shows_and_takes_the_colours_of_its_page():
    svg = interval_svg(
        [Row("a", 1.25, -0.5, 3, "helped", words="helped")], "Arms", mark=(2.0, "they say +2"), digits=2
    )
    assert "<title>Arms</title><desc>a: +1.25, −0.50 to +3.00, helped. they say +2.</desc>" in svg
    assert "var(--helped)" in svg
    assert not set(re.findall("#[0-9a-f]{6}", svg)) & set(OF_THE_PAGE)
    assert svg == interval_svg(
        [Row("a", 1.25, -0.5, 3, "helped", words="helped")], "Arms", mark=(2.0, "they say +2"), digits=2
    )


def test_names_are_text_and_nothing_else():
    evil = "<script>$x$ & 花"
    svg = interval_svg([Row(evil, 1, 0, 2, "hurt")], evil)
    assert "<script" not in svg
    assert "&lt;script&gt;$x$ &amp; 花" in texts(svg)
    assert not re.search(r'\bid="(?!m[0-9a-f]+")|url\(|clip-path', svg), "names of marks alone, by what they draw"


@settings(max_examples=20)
@given(st.lists(st.tuples(shares, st.floats(0, 0.5)), min_size=1, max_size=4), st.floats(1e-4, 0.2))
def test_any_intervals_can_be_drawn(differences, margin):
    results = tuple(
        arm(f"arm{i}", 0.5, against_baseline=interval(*each), outcome="not_proven")
        for i, each in enumerate(differences)
    )
    drawn = verdict(arms=results, margin=margin, difference=interval(*differences[0]))
    svg = interval_svg(verdict_rows(drawn, "chosen arm"), "Arms", band=100 * margin)
    _, _, width, height = (float(side) for side in re.search('viewBox="([^"]*)"', svg)[1].split())
    assert {row.name for row in verdict_rows(drawn, "chosen arm")} <= set(texts(svg))
    assert all(0 <= x <= width and 0 <= y <= height for x, y in positions(svg).values())
    assert "0" in texts(svg)


def test_the_curve_and_the_arms_beside_it():
    svg = curve_svg(told_in_full())
    assert "classical on 140 real images: 79.0 %, 76.0 to 82.0." in svg
    assert "best first: classical+cgan, classical+mixup, placebo, raw." in svg
    names = positions(svg)
    order = ["classical+cgan", "classical+mixup", "placebo", "raw"]
    assert sorted(order, key=lambda name: names[name][1]) == order


def test_there_is_no_plot_without_a_curve():
    assert curve_svg(verdict()) is None
    assert curve_svg(told_in_full(curve=told_in_full().curve[:2])) is None
    assert curve_svg(told_in_full(curve=told_in_full().curve[2:3])) is None


worths = st.one_of(st.none(), *(st.just(x) for x in (math.inf, -math.inf)), st.floats(-1e5, 1e5))


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(0, 1), worths), max_size=12), st.lists(st.floats(0, 1), min_size=2, max_size=4))
def test_any_curve_can_be_drawn_and_no_names_overlap(reached, learned):
    arms = tuple(
        arm(f"arm{i}", share, 0.01, "helped", worth=worth if worth is None else Worth(worth, worth, worth))
        for i, (share, worth) in enumerate(reached)
    )
    names = ["classical", *(f"classical@{i}%" for i in range(1, len(learned)))]
    curve = tuple(
        CurvePoint(name, count, interval(share, 0.1))
        for name, count, share in zip(names, (40, 10, 20, 80), learned, strict=False)
    )
    svg = curve_svg(verdict(arms=(arm("classical", learned[0]), *arms), curve=curve))
    heights = sorted(y for text, (_, y) in positions(svg).items() if text.startswith("arm"))
    assert len(heights) == len(reached)
    assert all(below - above >= 15 for above, below in pairwise(heights))


@given(st.lists(st.floats(0, 100), max_size=40))
def test_heights_are_moved_apart_within_bounds(heights):
    heights = sorted(heights, reverse=True)
    moved = _apart(heights, 0, 100)
    line = min(100 / max(1, len(heights)), 100 / 13)
    assert all(-1e-9 <= height <= 100 + 1e-9 for height in moved)
    assert all(above - below >= line - 1e-9 for above, below in pairwise(moved))
