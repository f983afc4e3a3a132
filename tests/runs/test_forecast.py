from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_plans import plan_for, whole_set

from made_up_sets import easy_set
from tenfold.evaluation.crossed import independent_images
from tenfold.runs.cost_probe import Cost, CostProbe
from tenfold.runs.forecast import (
    WORKER,
    WORKERS_PARENT,
    Detectable,
    Fits,
    detectable,
    estimate,
    fitting,
    wall_seconds,
)
from tenfold.runs.plan import MARGIN, Plan
from tenfold.runs.tries import SHARE

DATA = whole_set()
STUDY = DATA.part("train")
ARMS = "raw,classical,placebo,oracle,classical+cgan,classical+cgan(times=1),classical@50%"


def cost_probe_for(plan: Plan, **changes: Any) -> CostProbe:
    """A trial takes 1 s for its methods and 10 s a classifier, predicting an image 0.1 s, diagnosing 3 s."""
    costs = {
        arm.components: Cost(
            1.0, 10.0, makes_images="cgan" in arm.name or arm.is_control, leak_check=0.5, inspection=3.0
        )
        for arm in plan.arms
    }
    return replace(
        CostProbe(costs, prediction=0.1, validation_images=20.0, validation_error=0.1, seconds=5.0), **changes
    )


def test_every_training_is_counted() -> None:
    plan = plan_for(DATA, ARMS, repeats=4)
    estimated = estimate(DATA, plan, cost_probe_for(plan), workers=1, cores=2)
    counted = {arm.name: (arm.trials, arm.classifiers, arm.tries, arm.generators) for arm in estimated.arms}
    # 3 folds x 4 repeats; the baseline tries mirroring, and three ratios are tried where they are
    # chosen. Two more classifiers diagnose each fold of the first repeat.
    assert counted == {
        "raw": (12, 12, 0, 0),
        "classical": (12, 12, 12 * 2, 0),
        "placebo": (12, 12, 0, 0),
        "oracle": (12, 12, 0, 0),
        "classical+cgan": (12, 12 + 6, 12 * 3, 12),
        "classical+cgan(times=1)": (12, 12 + 6, 0, 12),
        "classical@50%": (12, 12, 0, 0),
    }


def test_options_that_an_arm_chooses_for_itself_are_counted(tmp_path: Path) -> None:
    np.savez(tmp_path / "source.npz", images=STUDY.images[:, 0], labels=STUDY.labels)
    probe = f"probe(source={tmp_path / 'source.npz'})"
    plan = plan_for(DATA, f"classical,classical+classifier,{probe},classical+classifier+cgan", repeats=1)
    estimated = estimate(DATA, plan, cost_probe_for(plan), workers=1, cores=1)
    assert [arm.tries for arm in estimated.arms] == [3 * 2, 3 * 4, 3 * 2, 3 * (4 + 3)]


def test_a_network_of_its_own_predicts_at_its_own_pace() -> None:
    plan = plan_for(DATA, "raw,classical(policy=light,flips=no)+classifier(width=6)", repeats=1)
    cost_probe = cost_probe_for(plan)
    slow = plan.arms[-1].components
    costs = {**cost_probe.costs, slow: replace(cost_probe.costs[slow], prediction=2.0)}
    usual, slower = (
        estimate(DATA, plan, one, workers=1, cores=1).arms[-1].seconds
        for one in (cost_probe, replace(cost_probe, costs=costs))
    )
    assert slower - usual == pytest.approx(3 * (16 / 3 + 4) * (2.0 - 0.1))


def test_what_a_frozen_network_reads_is_read_once() -> None:
    plan = plan_for(DATA, "raw,classical(policy=light,flips=no)+classifier(width=6)", repeats=2)
    cost_probe = cost_probe_for(plan)
    frozen = plan.arms[-1].components
    costs = {**cost_probe.costs, frozen: replace(cost_probe.costs[frozen], prediction=0.0, reading=2.0)}
    plain, reading = (
        estimate(DATA, plan, one, workers=1, cores=1).arms[-1].seconds
        for one in (cost_probe, replace(cost_probe, costs=costs))
    )
    assert reading - plain == pytest.approx((16 + 4) * 2.0 - 2 * 3 * (16 / 3 + 4) * 0.1)


def test_each_worker_takes_memory_beside_what_all_share() -> None:
    plan = plan_for(DATA, "raw")
    cost_probe = cost_probe_for(plan, held_bytes=1000, trial_bytes=70)
    taken = [estimate(DATA, plan, cost_probe, workers=workers, cores=2).memory_bytes for workers in (1, 2, 5)]
    assert taken == [1070, 1000 + WORKERS_PARENT + 2 * (WORKER + 70), 1000 + WORKERS_PARENT + 5 * (WORKER + 70)]
    assert estimate(DATA, plan, cost_probe_for(plan), workers=2, cores=2).memory_bytes == 0, "nobody counts"


def test_seconds_are_those_of_all_that_a_trial_does() -> None:
    plan = plan_for(DATA, "classical,classical+cgan", repeats=2)
    estimated = estimate(DATA, plan, cost_probe_for(plan), workers=1, cores=1)
    predicted = (16 / 3 + 4) * 0.1
    plain, grown = (1 + 10 * (1 + 2 * SHARE) + 0.5 + predicted), (1 + 10 * (1 + 3 * SHARE) + 0.5 + predicted)
    assert estimated.arms[0].seconds == pytest.approx(6 * plain)
    assert estimated.arms[1].seconds == pytest.approx(6 * grown + 3 * (20 + 3))
    assert estimated.seconds == pytest.approx(estimated.arms[0].seconds + estimated.arms[1].seconds)


def test_more_repeats_take_longer_and_looks_come_before_the_end() -> None:
    plans = [plan_for(DATA, repeats=repeats) for repeats in (1, 2, 4, 11)]
    values = [estimate(DATA, plan, cost_probe_for(plan), workers=2, cores=2) for plan in plans]
    seconds = [result.seconds for result in values]
    assert seconds == sorted(set(seconds))
    assert [tuple(result.looks) for result in values] == [(), (), (2,), (2, 4, 10)]
    assert values[-1].looks[4] == pytest.approx(values[2].seconds)
    assert list(values[-1].looks.values()) == sorted(values[-1].looks.values())
    assert values[-1].looks[10] < values[-1].seconds


def test_workers_help_up_to_the_number_of_cores() -> None:
    plan = plan_for(DATA, ARMS, repeats=2)
    one, two, three = (estimate(DATA, plan, cost_probe_for(plan), workers=n, cores=2).seconds for n in (1, 2, 3))
    assert one / 2 < two < one
    assert three == two


def test_arms_wait_for_the_baseline_of_their_fold() -> None:
    plan = plan_for(DATA, "classical,classical+mixup")
    times = {("classical", 0): 10.0, ("classical+mixup", 0): 1.0}
    assert wall_seconds(plan, times, 1, 3) == 11
    assert wall_seconds(plan, times, 1, 2) == 20 + 1
    assert wall_seconds(plan, times, 1, 6) == 11, "more workers have nothing to do meanwhile"


@pytest.mark.parametrize(
    ("available", "repeats", "folds"),
    [
        (5.0, 0, {"classical": 0, "raw": 0, "classical+cgan": 0}),
        (50.0, 0, {"classical": 3, "raw": 2, "classical+cgan": 0}),
        (200.0, 0, {"classical": 3, "raw": 3, "classical+cgan": 1}),
        (360.0, 1, {"classical": 3, "raw": 3, "classical+cgan": 3}),
        (719.0, 1, {"classical": 3, "raw": 3, "classical+cgan": 3}),
        (1e9, 4, {"classical": 3, "raw": 3, "classical+cgan": 3}),
    ],
)
def test_what_fits_into_a_budget(available: float, repeats: int, folds: dict[str, int]) -> None:
    plan = plan_for(DATA, "classical,raw,classical+cgan", repeats=4)
    paces = {"classical": 10.0, "raw": 10.0, "classical+cgan": 100.0}
    times = {(name, repeat): pace for name, pace in paces.items() for repeat in range(4)}
    assert fitting(plan, times, available, 1) == Fits(repeats, folds)


@settings(deadline=None, max_examples=40)
@given(
    seconds=st.lists(st.floats(0.1, 100), min_size=7, max_size=7),
    workers=st.integers(1, 40),
    repeats=st.integers(1, 3),
)
def test_the_clock_shows_neither_less_than_the_work_nor_more_than_a_baseline_and_a_trial_of_waiting(
    seconds: list[float], workers: int, repeats: int
) -> None:
    plan = plan_for(DATA, ARMS, repeats=repeats)
    times = {(arm.name, r): s for arm, s in zip(plan.arms, seconds, strict=True) for r in range(repeats)}
    work = 3 * repeats * sum(seconds)
    longest = max(times[arm.name, 0] + plan.awaits_baseline(arm) * times["classical", 0] for arm in plan.arms)
    result = wall_seconds(plan, times, repeats, workers)
    assert max(work / workers, repeats * longest) <= result * 1.000001
    assert result <= work / workers + repeats * (max(seconds) + times["classical", 0]) + 1e-6
    assert wall_seconds(plan, times, repeats, 1) == pytest.approx(work)


def could_show(images: int = 16, repeats: int = 4, **changes: Any) -> Detectable:
    data = easy_set([images // 2, images - images // 2])
    plan = plan_for(data, repeats=repeats)
    return detectable(data, plan, cost_probe_for(plan, **changes))


@given(images=st.integers(8, 200), repeats=st.integers(1, 20), error=st.floats(0, 0.45))
def test_more_images_more_repeats_and_fewer_errors_show_smaller_effects(
    images: int, repeats: int, error: float
) -> None:
    result = could_show(images, repeats, validation_error=error)
    assert 0 < result.low < result.middle < result.high
    assert could_show(2 * images, repeats, validation_error=error).middle < result.middle
    assert could_show(images, repeats + 1, validation_error=error).middle < result.middle
    assert could_show(images, repeats, validation_error=error + 0.05).middle > result.middle


def test_four_times_the_images_show_half_the_effect_until_the_margin_counts() -> None:
    assert could_show(4 * 100).middle == pytest.approx(could_show(100).middle / 2)
    assert could_show(10**6).middle == pytest.approx(MARGIN, rel=0.1)


def test_with_the_images_that_are_named_an_effect_of_twice_the_margin_can_be_shown() -> None:
    needed = could_show(60).images_for_twice_margin
    assert could_show(needed).middle == pytest.approx(2 * MARGIN, rel=0.01)


def test_few_validation_images_leave_a_wide_range_and_none_the_widest() -> None:
    ranges = [could_show(100, validation_images=float(n)) for n in (0, 10, 1000)]
    widths = [result.high / result.low for result in ranges]
    assert widths == sorted(widths, reverse=True)
    assert ranges[0].middle > ranges[1].middle, "without validation images the worst has to be expected"


def test_a_cost_probe_without_an_error_does_not_promise_to_show_everything() -> None:
    assert could_show(100, validation_error=0.0, validation_images=30.0).low > 0.001


def test_what_is_out_of_reach_is_told() -> None:
    few, many = (
        could_show(8, validation_error=0.4),
        could_show(40_000, validation_error=0.02, validation_images=8_000.0),
    )
    assert few.only_large
    assert not many.only_large
    assert "no_practical_difference" not in few.outcomes
    assert "no_practical_difference" in many.outcomes
    assert {"helped", "hurt", "not_proven"} <= set(few.outcomes) & set(many.outcomes)


def test_independent_images_are_as_many_as_weights_and_groups_leave() -> None:
    assert independent_images(easy_set([10, 10]), (0, 1)) == pytest.approx(20)
    assert independent_images(STUDY, (0, 1)) == pytest.approx(len(STUDY) / 2), "two images a group"
    uneven = 1 / (6 * (1 / 12) ** 2 + 30 * (1 / 60) ** 2)
    assert independent_images(easy_set([6, 30]), (0, 1)) == pytest.approx(uneven)
    assert independent_images(easy_set([6, 30, 1]), (0, 1)) == pytest.approx(uneven), "class 2 is not judged"
    assert independent_images(easy_set([6, 30, 1]), (1,)) == pytest.approx(30)
    assert independent_images(STUDY.take([]), (0, 1)) == 0
    assert math.isfinite(could_show(validation_images=0.0, validation_error=1.0).high)
