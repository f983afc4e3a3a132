from __future__ import annotations

from dataclasses import replace

import pytest
from made_up_plans import plan_for, whole_set

from tenfold.core.types import ImageDataset, Trial
from tenfold.runs.cost_probe import Cost, CostProbe
from tenfold.runs.pace import GENERATOR_TRAININGS, Pace, Rest, expected_pace, seconds_of_training
from tenfold.runs.plan import Plan
from tenfold.runs.tries import SHARE

DATA = whole_set()
FIXED = "classical(flips=no,policy=light)"


def trial(arm: str, seconds: float) -> Trial:
    return Trial(arm, 0, 0, 0.0, 0.0, [], [], [], seconds)


def test_before_anything_is_known_the_time_left_follows_from_one_training() -> None:
    plan = plan_for(DATA, f"{FIXED},raw,{FIXED}+cgan", repeats=2)
    pace = Pace(plan, 2, training_seconds=10.0)
    a_fold = 10.0 + 10.0 + (1 + 3 * SHARE + GENERATOR_TRAININGS) * 10.0
    assert pace.rest == Rest(3 * 3 * 2, 3 * 2 * a_fold / 2)
    assert Pace(plan, 2).rest == Rest(18, None)


def test_each_arm_has_its_own_pace_as_soon_as_one_trial_of_it_is_known() -> None:
    plan = plan_for(DATA, f"{FIXED},raw,{FIXED}+cgan")
    pace = Pace(plan, 1, training_seconds=10.0)
    pace.add(trial(FIXED, 20.0))
    assert pace.rest == Rest(8, 2 * 20.0 + 3 * 20.0 + 3 * 20.0 * (1 + 3 * SHARE + GENERATOR_TRAININGS))
    pace.add(trial(f"{FIXED}+cgan", 500.0))
    pace.add(trial("raw", 4.0))
    pace.add(trial("raw", 6.0))
    assert pace.rest == Rest(5, 2 * 20.0 + 1 * 5.0 + 2 * 500.0)


def test_what_a_cost_probe_expects_is_scaled_by_the_trials_that_are_known() -> None:
    plan = plan_for(DATA, f"{FIXED},raw,{FIXED}+cgan", repeats=2)
    seconds = {FIXED: (10.0, 10.0), "raw": (4.0, 4.0), f"{FIXED}+cgan": (300.0, 100.0)}
    expected = {(name, repeat): each[repeat] for name, each in seconds.items() for repeat in range(2)}
    pace = Pace(plan, 2, trial_seconds=expected)
    assert pace.rest == Rest(3 * 3 * 2, 3 * (20 + 8 + 400) / 2)
    pace.add(trial(FIXED, 20.0))
    assert pace.rest.seconds == pytest.approx((5 * 20 + 6 * 8 + 6 * 400) / 2), "all takes twice as long"


def test_only_a_long_study_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_for(DATA, FIXED)
    asked: list[Plan] = []

    def measure(data: ImageDataset, of: Plan) -> CostProbe:
        asked.append(of)
        return CostProbe({arm.components: Cost(training=7.0) for arm in of.arms}, 0.0, 20.0, 0.1, 1.0)

    monkeypatch.setattr("tenfold.runs.pace.measure_costs", measure)
    monkeypatch.setattr("tenfold.runs.pace.seconds_of_training", lambda *_: 1.0)
    assert expected_pace(DATA, plan, 1).rest.seconds == pytest.approx(3.0)
    assert not asked
    monkeypatch.setattr("tenfold.runs.pace.seconds_of_training", lambda *_: 1000.0)
    assert expected_pace(DATA, plan, 1).rest.seconds == pytest.approx(21.0)
    assert asked == [plan]


def test_an_arm_that_tries_several_options_is_expected_to_take_longer() -> None:
    plan = plan_for(DATA, "classical,raw")
    pace = Pace(plan, 1, training_seconds=1.0)
    chosen, plain = (pace.of(arm) for arm in plan.arms[::-1])
    of = {arm.name: pace.of(arm) for arm in plan.arms}
    assert {chosen, plain} == set(of.values())
    assert of["raw"] == 1.0
    assert of["classical"] == pytest.approx(1 + 2 * SHARE)


@pytest.mark.parametrize("steps", [3, 300])
def test_one_training_is_judged_by_its_first_steps(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.runs.pace.SECONDS_TO_TIME", 60.0)  # other programs may want the processor too
    plan = plan_for(DATA)
    plan = replace(plan, classifier=replace(plan.classifier, steps=steps))
    seconds = seconds_of_training(DATA.part("train"), plan)
    assert seconds is not None
    assert 0 < seconds < 60
