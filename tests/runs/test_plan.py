from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from made_up_plans import plan_for, whole_set

from made_up_sets import easy_set
from tenfold.runs.code import code_of
from tenfold.runs.directory import RunDirectory
from tenfold.runs.plan import MEASURED, Plan, Task, classifier_for
from tenfold.runs.trial_jobs import TrialJobs

DATA = whole_set()
PLAN = plan_for(DATA)
OTHER_SET = whole_set("other")
SETS = {data.fingerprint(): data for data in (DATA, OTHER_SET)}


def first_task(plan: Plan) -> Task:
    arm = next(arm for arm in plan.arms if arm.name == "classical")
    return Task(arm, 0, 0)


OTHERS = {
    "seed": plan_for(DATA, seed=1),
    "times": plan_for(DATA, times=2.0),
    "images": plan_for(OTHER_SET),
    "classifier": replace(PLAN, classifier=replace(PLAN.classifier, steps=21)),
    "folds": replace(PLAN, fold_plan=replace(PLAN.fold_plan, folds=2)),
    "related images": replace(PLAN, outside={"classical": "other"}),
}
"""Plans whose trials come out differently."""

LONGER = {
    "repeats": plan_for(DATA, repeats=4),
    "arms": plan_for(DATA, "raw,classical,mixup"),
    "order": plan_for(DATA, "classical,raw"),
    "margin": replace(PLAN, margin=0.02),
    "looks": replace(PLAN, looks=(2,)),
    "rule": replace(PLAN, stop_below=0.01),
    "path": replace(PLAN, data="elsewhere"),
}
"""Other studies that can use the same trials."""


def test_the_same_plan_has_the_same_hashes() -> None:
    again = plan_for(whole_set())
    assert again.hash == PLAN.hash
    assert trial_hash(again) == trial_hash(PLAN)


def trial_hash(plan: Plan) -> str:
    with TemporaryDirectory() as directory:
        jobs = TrialJobs(plan, SETS[plan.data_fingerprint], RunDirectory(Path(directory)))
        return jobs.of_repeat(0)[first_task(plan)].hash


@pytest.mark.parametrize("what", OTHERS)
def test_what_decides_the_outcome_is_in_both_hashes(what: str) -> None:
    other = OTHERS[what]
    assert other.hash != PLAN.hash
    assert trial_hash(other) != trial_hash(PLAN)


@pytest.mark.parametrize("what", LONGER)
def test_what_leaves_a_trial_as_it_is_is_not_in_its_hash(what: str) -> None:
    other = LONGER[what]
    assert other.hash != PLAN.hash
    assert trial_hash(other) == trial_hash(PLAN)


def test_every_trial_has_a_name_of_its_own(tmp_path: Path) -> None:
    plan = plan_for(DATA, "raw,classical,classical(policy=light),mixup,classical+mixup", repeats=2)
    jobs = TrialJobs(plan, DATA, RunDirectory(tmp_path))
    hashes = [job.hash for repeat in range(2) for job in jobs.of_repeat(repeat).values()]
    assert len(set(hashes)) == len(hashes) == 5 * 2 * 3


def test_the_baseline_and_then_the_arms_with_most_to_do_come_first() -> None:
    plan = plan_for(DATA, "raw,classical,classical+mixup")
    order = list(dict.fromkeys(task.arm.name for task in plan.tasks(0)))
    assert order == ["classical", "classical+mixup", "raw"]


def test_the_cheapest_come_first_where_the_time_may_be_short() -> None:
    plan = plan_for(DATA, "classical+cgan,classical@50%,classical+mixup,raw,classical")
    order = list(dict.fromkeys(task.arm.name for task in plan.tasks(0, cheapest_first=True)))
    assert order == ["classical", "raw", "classical+mixup", "classical+cgan", "classical@50%"]


def test_where_the_time_may_be_short_arms_of_a_price_go_through_the_folds_together() -> None:
    plan = plan_for(DATA, "classical+cgan,raw,classical+dagan,classical")
    order = [(task.fold, task.arm.name) for task in plan.tasks(0, cheapest_first=True)]
    cheap, dear = ["classical", "raw"], ["classical+cgan", "classical+dagan"]
    assert order == [(fold, name) for arms in (cheap, dear) for fold in range(3) for name in arms]


@pytest.mark.parametrize(
    ("arms", "taken_over"),
    [
        ("classical,classical+mixup", {"classical"}),
        ("classical,classical(policy=light)+mixup", {"classical"}),
        ("classical,classical(policy=light,flips=no)+mixup", set()),
        ("classical(policy=light),classical+mixup", set()),
        ("classical(policy=light),classical(policy=light)+mixup", {"classical"}),
        ("classical(flips=no,policy=light),classical(flips=no,policy=light)@50%", set()),
        ("classical,classical#2", set()),
        ("classical,raw", set()),
    ],
)
def test_an_arm_takes_over_what_the_baseline_leaves_open_too(arms: str, taken_over: set[str]) -> None:
    plan = plan_for(DATA, arms)
    assert plan.baseline == plan.arms[0].name
    assert not plan.awaits_baseline(plan.arms[0])
    assert plan.takes_over(plan.arms[-1]) == taken_over
    assert plan.awaits_baseline(plan.arms[-1]) == bool(taken_over)


def test_new_images_can_be_done_without() -> None:
    plan = plan_for(DATA, times=3.0)
    assert plan.training(plan.arms[0]).ratios == (0, 1.5, 3)


def test_the_plan_is_plain_json_and_says_the_code() -> None:
    assert json.loads(json.dumps(asdict(PLAN)))["data_fingerprint"] == DATA.fingerprint()
    assert PLAN.code == code_of("tenfold.runs.trial:run_trial", ("tenfold.methods.classical", "tenfold.methods.raw"))
    assert len(PLAN.hash) == len(PLAN.code) == 12


def test_small_images_get_fewer_steps() -> None:
    assert classifier_for(easy_set([1, 1], (1, 8, 8))).steps < classifier_for(easy_set([1, 1], (1, 28, 28))).steps


def test_colour_images_get_the_residual_network_and_many_of_them_more_steps() -> None:
    grey, few = (classifier_for(easy_set([2, 2], (channels, 24, 24))) for channels in (1, 3))
    assert (grey.residual, few.residual, classifier_for(easy_set([2, 2], (3, 8, 8))).residual) == (False, True, False)
    assert grey.steps == few.steps < classifier_for(easy_set([MEASURED // 2] * 2, (3, 24, 24))).steps


def test_only_what_begins_as_the_baseline_does_may_help() -> None:
    plan = plan_for(DATA, "raw,classical,mixup,classifier,classical+classifier+mixup,placebo")
    assert plan.candidates == ("classical", "mixup")
    assert plan.starts == ("classifier", "classical+classifier+mixup")
    on_it = plan_for(DATA, "classical,classifier,classifier+mixup", baseline="classifier")
    assert on_it.candidates == ("classifier", "classifier+mixup")
    assert on_it.starts == ("classical",)


def test_what_grows_on_another_start_is_known_by_what_it_adds_to_it() -> None:
    arms = "classifier,classical+classifier,classical+classifier+mixup,classifier+mixup,classifier+mixup#2,placebo"
    assert plan_for(DATA, arms).grown_on == {
        "classical+classifier": "classifier",
        "classical+classifier+mixup": "classical+classifier",
        "classifier+mixup": "classifier",
    }
    assert plan_for(DATA, "classical,mixup,classifier").grown_on == {}


def test_a_start_that_is_the_baseline_has_to_beat_the_usual_one() -> None:
    wanted = "raw,classical(policy=light),classifier,classifier+mixup"
    plan = plan_for(DATA, wanted, baseline="classifier")
    assert (plan.reference, plan.candidates) == ("classical(policy=light)", ("classifier", "classifier+mixup"))
    assert plan_for(DATA, wanted).reference == "classical(policy=light)"
