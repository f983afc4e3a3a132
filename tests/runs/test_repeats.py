from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_plans import plan_for, run_trial, whole_set

from tenfold.core.files import read_json
from tenfold.core.types import Trial
from tenfold.methods import MethodFailed, method_class
from tenfold.runs import trial as module
from tenfold.runs.directory import RunDirectory
from tenfold.runs.plan import Plan
from tenfold.runs.repeats import Done, Limits, run_trials
from tenfold.runs.trial_jobs import TrialJobs
from tenfold.training.classifier_io import load_classifier

DATA = whole_set()


def done(plan: Plan, directory: Path, **changes: Any) -> tuple[list[Trial], list[bool]]:
    """The trials, and for each as it was reported whether it was found finished."""
    from_disk: list[bool] = []
    settings: dict[str, Any] = {"workers": 1, "limits": Limits(), **changes}
    finished = run_trials(
        plan, DATA, RunDirectory(directory), report=lambda _, finished: from_disk.append(finished), **settings
    )
    return list(finished.trials), from_disk


def without_times(trials: list[Trial]) -> list[Trial]:
    return [replace(trial, wall_seconds=0, details={**trial.details, "seconds": None}) for trial in trials]


def test_every_trial_is_done_and_kept_in_a_directory_of_its_own(tmp_path: Path) -> None:
    plan = plan_for(DATA, repeats=2)
    trials, result = done(plan, tmp_path)
    assert [(t.arm, t.repeat, t.fold) for t in trials] == [
        (arm, repeat, fold) for arm in ("raw", "classical") for repeat in range(2) for fold in range(3)
    ]
    assert result == [False] * 12
    jobs = TrialJobs(plan, DATA, RunDirectory(tmp_path))
    kept = {path.parent.name for path in tmp_path.glob("jobs/*/result.json")}
    assert kept == {job.hash for repeat in range(2) for job in jobs.of_repeat(repeat).values()}


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    plan = plan_for(DATA)
    first, _ = done(plan, tmp_path)
    lost = next(tmp_path.glob("jobs/*/result.json"))
    lost.rename(lost.with_name(".result.json.half"))  # a kill came before the rename
    again, result = done(plan, tmp_path)
    assert result == [True] * 5 + [False]
    assert without_times(again) == without_times(first)


def test_a_longer_study_uses_the_trials_of_a_shorter_one(tmp_path: Path) -> None:
    short, _ = done(plan_for(DATA), tmp_path)
    longer, result = done(plan_for(DATA, "raw,classical,mixup", repeats=2), tmp_path)
    assert sum(result) == len(short)
    assert [trial for trial in longer if trial.repeat == 0 and trial.arm != "mixup"] == short


def test_worker_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    plan = plan_for(DATA, "raw,classical+mixup")
    alone, _ = done(plan, tmp_path / "alone")
    together, _ = done(plan, tmp_path / "together", workers=2)
    assert without_times(together) == without_times(alone)
    assert active_children() == []


def test_arms_take_over_what_the_baseline_chose_in_their_fold(tmp_path: Path) -> None:
    plan = plan_for(DATA, "classical+mixup,classical,classical(policy=light,flips=no)+mixup,classical#2")
    trials, _ = done(plan, tmp_path, workers=2)
    of = {(trial.arm, trial.fold): trial for trial in trials}
    chose = {arm for arm, fold in of if "settled" in of[arm, fold].details}
    assert chose == {"classical", "classical#2"}
    chosen = [of["classical", fold].details["settled"] for fold in range(3)]
    for other in ({"classical": {"policy": "light", "flips": "no"}}, *chosen):
        for task in plan.tasks(0):
            if task.arm.name == "classical+mixup":
                same = (
                    run_trial(DATA, plan, task, other).test_probabilities
                    == of[task.arm.name, task.fold].test_probabilities
                )
                assert same == (other == chosen[task.fold])


def test_a_killed_study_goes_on_with_what_its_baseline_had_chosen(tmp_path: Path) -> None:
    plan = plan_for(DATA, "classical,classical+mixup")
    first, _ = done(plan, tmp_path)
    run = RunDirectory(tmp_path)
    for task, job in TrialJobs(plan, DATA, run).of_repeat(0).items():
        if task.arm.name == "classical+mixup":
            (run.of(job) / "result.json").unlink()
    again, result = done(plan, tmp_path)
    assert result.count(True) == 3
    assert without_times(again) == without_times(first)


def test_a_failed_trial_does_not_end_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MethodFailed("collapsed")

    monkeypatch.setattr(method_class("mixup"), "fit", fail)
    trials, _ = done(plan_for(DATA, "mixup,raw"), tmp_path)
    assert [trial.failed for trial in trials] == [None] * 3 + ["collapsed"] * 3 + [None] * 3


@pytest.mark.parametrize(("seconds_a_trial", "repeats"), [(100.0, 1), (10.0, 2), (0.1, 4)])
def test_no_repeat_is_begun_that_would_outlast_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds_a_trial: float, repeats: int
) -> None:
    monkeypatch.setattr(module, "run_trial", made_up(seconds_a_trial))
    # Six trials a repeat: 60 s each where a trial takes 10 s.
    plan, limits = plan_for(DATA, repeats=4), Limits(budget_seconds=130.0)
    trials, _ = done(plan, tmp_path, limits=limits)
    assert max(trial.repeat for trial in trials) + 1 == repeats
    again, result = done(plan, tmp_path, limits=limits)
    assert again == trials
    assert all(result)


def test_what_comes_after_the_trials_is_part_of_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_trial", made_up(10.0))
    limits = Limits(130.0, tail_seconds=lambda trials, repeats: 10.0 if trials else 0.0)
    trials, _ = done(plan_for(DATA, repeats=4), tmp_path, limits=limits)
    assert max(trial.repeat for trial in trials) == 1
    slow = replace(limits, tail_seconds=lambda trials, repeats: 20.0 * (repeats > 1))
    trials, _ = done(plan_for(DATA, repeats=4), tmp_path / "slow", limits=slow)
    assert max(trial.repeat for trial in trials) == 0


def made_up(seconds: float = 0.0) -> Any:
    """A job in place of `run_trial`, whose trials say that they took so long."""

    def trial(config: Any, context: Any) -> dict[str, Any]:
        name = config["training"]["arm"]["name"]
        return asdict(Trial(name, config["repeat"], config["fold"], 0.0, 0.0, [], [], [], seconds))

    return trial


def stopwatch(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock that limits are told by; every trial moves it on by 10 s."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def took(config: Any, context: Any) -> dict[str, Any]:
        now[0] += 10
        trial: dict[str, Any] = made_up(10.0)(config, context)
        return trial

    monkeypatch.setattr(module, "run_trial", took)
    return now


def run(plan: Plan, directory: Path, **limits: Any) -> Done:
    return run_trials(plan, DATA, RunDirectory(directory), workers=1, limits=Limits(**limits), report=lambda *_: None)


@pytest.mark.parametrize(
    ("budget", "folds"),
    [
        (1e-20, {}),
        (10.0, {"classical": 1}),
        (20.0, {"raw": 1, "classical": 1}),
        (75.0, {"raw": 2, "classical": 3, "classical+mixup": 2, "classical+cgan": 1}),
        (105.0, {"raw": 3, "classical": 3, "classical+mixup": 3, "classical+cgan": 1}),
    ],
)
def test_what_was_finished_of_a_first_repeat_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: float, folds: dict[str, int]
) -> None:
    stopwatch(monkeypatch)
    plan = plan_for(DATA, "raw,classical,classical+mixup,classical+cgan", repeats=2)
    result = run(plan, tmp_path, budget_seconds=budget, started=1000.0)
    assert result.broken_off
    assert [(t.arm, t.repeat, t.fold) for t in result.trials] == [
        (arm, 0, fold) for arm, count in folds.items() for fold in range(count)
    ]
    again = run(plan, tmp_path, started=1000.0)
    assert not again.broken_off
    assert len(again.trials) == 4 * 2 * 3


def test_a_later_repeat_that_the_time_cuts_short_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopwatch(monkeypatch)
    plan = plan_for(DATA, "raw,classical", repeats=2)

    def late(trials: Any, repeats: int) -> float:
        return 0.0 if len(trials) <= 6 else 50.0  # what is left to do turns out to be more than was thought

    result = run(plan, tmp_path, budget_seconds=120.0, started=1000.0, tail_seconds=late)
    assert {trial.repeat for trial in result.trials} == {0}
    assert not result.broken_off


def test_the_networks_of_the_baseline_in_the_first_repeat_are_kept(tmp_path: Path) -> None:
    plan = plan_for(DATA, "raw,classical", repeats=2)
    result = run(plan, tmp_path)
    assert sorted(result.classifiers) == [0, 1, 2]
    assert len(list(tmp_path.rglob("*.safetensors"))) == 3 + len(list(tmp_path.glob("data/*.safetensors")))
    data = DATA.part("train")
    trial = next(trial for trial in result.trials if (trial.arm, trial.repeat, trial.fold) == ("classical", 0, 1))
    probabilities = load_classifier(result.classifiers[1]).probabilities(data.images[trial.test_indices])
    assert probabilities == pytest.approx(np.array(trial.test_probabilities), abs=1e-5)


def test_workers_whose_time_is_up_are_stopped_at_once(tmp_path: Path) -> None:
    plan = plan_for(DATA, "raw,classical", repeats=1)
    endless = replace(plan, classifier=replace(plan.classifier, steps=100_000))
    start = time.monotonic()
    limits = Limits(budget_seconds=4.0)
    result = run_trials(endless, DATA, RunDirectory(tmp_path), workers=2, limits=limits, report=lambda *_: None)
    assert time.monotonic() - start < 30, "a worker that is still starting leaves when it has started"
    assert result.trials == ()
    assert result.broken_off
    assert active_children() == []


@pytest.mark.parametrize(("p_values", "repeats"), [([0.5, 0.2], 5), ([0.0009], 2), ([0.004, 0.0001], 4)])
def test_a_planned_look_ends_the_study_only_where_the_case_is_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, p_values: list[float], repeats: int
) -> None:
    monkeypatch.setattr(module, "run_trial", made_up())
    left = list(p_values)
    result = run(plan_for(DATA, repeats=5), tmp_path, p_value=lambda trials: left.pop(0))
    assert max(trial.repeat for trial in result.trials) + 1 == repeats
    assert [look.p_value for look in result.looks] == p_values
    assert [look.repeats for look in result.looks] == [2, 4][: len(p_values)]
    assert result.looks[-1].stopped == (repeats < 5)


def test_the_last_repeat_is_no_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_trial", made_up())
    result = run(plan_for(DATA, repeats=4), tmp_path, p_value=lambda trials: 1e-9 if len(trials) > 12 else 0.5)
    assert [look.repeats for look in result.looks] == [2]


STUDY_TO_KILL = """
import sys
from dataclasses import replace
from pathlib import Path

import tenfold.runs.plan
from made_up_sets import SHORT, easy_set

tenfold.runs.plan.classifier_for = lambda study: replace(SHORT, steps=60)

def study(out, workers):
    from tenfold.verbs.prove import prove
    data, arms = easy_set([12, 12], noise=70), "raw,classical,classical+mixup"
    prove(data, arms=arms, learning_curve=False, repeats=1, out=out, workers=workers)
"""


def running(pid: int) -> bool:
    """Whether the process still does anything; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def descendants(pid: int) -> list[int]:
    """The process's children and theirs: workers are forked from a process between."""
    own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*own, *(grandchild for child in own for grandchild in descendants(child))]


def verdict_without_times(run: Path) -> Any:
    verdict = read_json(run / "verdict.json")
    for arm in verdict["arms"].values():
        arm.pop("seconds")
    return verdict


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the worker processes through /proc")
def test_a_study_killed_in_the_middle_goes_on_to_the_same_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", None)  # the program below sets its own; undone here
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{STUDY_TO_KILL}\nstudy({str(killed)!r}, 2)"],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        give_up = time.monotonic() + 300
        while not list(killed.glob("jobs/*/result.json")):
            assert parent.poll() is None, "the study ended before it could be killed"
            assert time.monotonic() < give_up
            time.sleep(0.01)
        children = descendants(parent.pid)
    finally:
        parent.kill()
        parent.wait()
    killed_at = time.monotonic()
    assert len(children) >= 2
    while any(running(child) for child in children):
        assert time.monotonic() - killed_at < 20, "a worker outlives its parent"
        time.sleep(0.02)
    finished = {path: path.stat().st_mtime_ns for path in killed.glob("jobs/*/result.json")}
    assert 1 <= len(finished) < 15
    assert not (killed / "verdict.json").exists()

    program: dict[str, Any] = {}
    exec(STUDY_TO_KILL, program)
    program["study"](killed, 1)
    program["study"](undisturbed, 1)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "done again"
    assert verdict_without_times(killed) == verdict_without_times(undisturbed)
    for path in undisturbed.glob("jobs/*/result.json"):
        here, there = (read_json(root / path.relative_to(undisturbed))["result"] for root in (undisturbed, killed))
        for column in ("test_indices", "test_probabilities", "inner_score", "inner_loss"):
            assert json.dumps(here[column]) == json.dumps(there[column])
    assert len(list(killed.glob("jobs/*/result.json"))) == 15


def test_images_of_the_study_are_those_that_are_tested(tmp_path: Path) -> None:
    trials, _ = done(plan_for(DATA), tmp_path)
    assert {i for trial in trials for i in trial.test_indices} == set(range(16))
    assert len(DATA) == 26
