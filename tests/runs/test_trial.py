from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from made_up_plans import plan_for, run_trial, whole_set

from made_up_sets import QUICK_CGAN, SHORT, easy_set
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Trial
from tenfold.data.splits import make_splits
from tenfold.generators.gan import GanStep
from tenfold.methods import MethodFailed, method_class, method_names
from tenfold.runs import diagnostics as inspection
from tenfold.runs import trial as module
from tenfold.runs.arms import parse_arms, parse_component
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Serial
from tenfold.runs.plan import Plan, Task
from tenfold.runs.repeats import TrialJobs
from tenfold.runs.runner import run_jobs
from tenfold.runs.trial import external_test
from tenfold.training.device import Device
from tenfold.training.recipe import Recipe
from tenfold.training.step import Diverged

DATA = whole_set()
STUDY = DATA.part("train")
EVERY_METHOD = f"raw,classical,mixup,placebo,oracle,classical+{QUICK_CGAN}"
ARMS = [arm.name for arm in parse_arms(EVERY_METHOD)]
GROWING = f"classical+{QUICK_CGAN}"


def task_of(plan: Plan, name: str, fold: int = 0) -> Task:
    return Task(next(arm for arm in plan.arms if arm.name.startswith(name)), 0, fold)


def random_images(data: ImageDataset | None) -> set[bytes]:
    return set() if data is None else {image.tobytes() for image in data.images}


@dataclass
class Spy:
    """Every image that a method or the classifier loop was handed."""

    fitted: dict[str, set[bytes]] = field(default_factory=dict)
    reserve: dict[str, set[bytes]] = field(default_factory=dict)
    trained: set[bytes] = field(default_factory=set)
    validated: set[bytes] = field(default_factory=set)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    seen = Spy()

    def watch(name: str) -> None:
        method = method_class(name)
        fit = method.fit

        def fit_watched(self: Any, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
            seen.fitted[name], seen.reserve[name] = random_images(train), random_images(reserve)
            return fit(self, train, reserve, key)

        monkeypatch.setattr(method, "fit", fit_watched)

    for name in method_names():
        watch(name)
    train_classifier = module.train_classifier

    def train_watched(train: ImageDataset, validation: ImageDataset, recipe: Recipe, *rest: Any) -> Any:
        seen.trained |= random_images(train) | random_images(recipe.extra)
        seen.validated |= random_images(validation)
        return train_classifier(train, validation, recipe, *rest)

    for where in (module, inspection):
        monkeypatch.setattr(where, "train_classifier", train_watched)
    return seen


@pytest.mark.parametrize("arm", ARMS)
def test_no_method_and_no_training_ever_gets_a_test_image(spy: Spy, arm: str) -> None:
    plan = plan_for(DATA, EVERY_METHOD)
    task = task_of(plan, arm, fold=1)
    result = run_trial(DATA, plan, task)
    assert result.failed is None
    split = make_splits(STUDY, plan.fold_plan, 0, Key("seed-0"))[1]
    assert result.test_indices == split.test.tolist()
    train, validation, test = (
        random_images(STUDY.take(part)) for part in (split.train, split.validation, split.test)
    )
    reserve, external = random_images(DATA.part("reserve")), random_images(DATA.part("test"))
    assert set(spy.fitted) == {part.method for part in task.arm.components}
    for name, given_to_method in spy.fitted.items():
        assert given_to_method == train, f"{name} is to learn from the training images alone"
        assert spy.reserve[name] == (reserve if method_class(name).needs_reserve else set())
    assert spy.validated == validation
    for sealed in (test, validation, external):
        assert not spy.trained & sealed
    if arm != "oracle":
        assert not spy.trained & reserve, "the reserve is for the oracle alone"


def test_a_method_that_copies_all_it_gets_cannot_copy_a_test_image(spy: Spy, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy_all(self: Any, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        return Recipe(extra=train if reserve is None else train.joined(reserve))

    monkeypatch.setattr(method_class("placebo"), "fit", copy_all)
    monkeypatch.setattr(method_class("placebo"), "needs_reserve", True)
    plan = plan_for(DATA, "placebo")
    for fold in range(3):
        spy.trained.clear()
        result = run_trial(DATA, plan, task_of(plan, "placebo", fold))
        assert spy.trained >= random_images(DATA.part("reserve"))
        assert not spy.trained & random_images(STUDY.take(result.test_indices))
        assert not spy.trained & random_images(DATA.part("test"))


def test_folds_are_tested_once_each_and_by_whole_groups() -> None:
    plan = plan_for(DATA)
    tested = [run_trial(DATA, plan, task).test_indices for task in plan.tasks(0) if task.arm.name == "raw"]
    assert sorted(chain.from_iterable(tested)) == list(range(len(STUDY)))
    groups = [set(STUDY.groups[fold]) for fold in tested]
    assert sum(map(len, groups)) == len(set().union(*groups))


def test_arms_start_from_the_same_weights_and_repeats_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[Key] = []

    def stop(train: Any, validation: Any, recipe: Any, key: Key, config: Any) -> Any:
        keys.append(key)
        raise Diverged("enough seen")

    monkeypatch.setattr(module, "train_classifier", stop)
    plan = plan_for(DATA, "raw,classical(policy=light,flips=no),mixup")
    for arm in plan.arms:
        run_trial(DATA, plan, Task(arm, 0, 0), {"classical": {"policy": "light", "flips": "no"}})
    assert len(set(keys)) == 1
    run_trial(DATA, plan, Task(plan.arms[0], 1, 0))
    run_trial(DATA, plan, Task(plan.arms[0], 0, 1))
    assert len(set(keys)) == 3
    again = next(arm for arm in plan_for(DATA, "classical#2").arms if arm.rerun == 2)
    run_trial(DATA, plan, Task(again, 0, 0))
    assert len(set(keys)) == 4, "an arm that runs again has weights of its own"


@pytest.mark.parametrize(
    ("error", "actual"),
    [
        (MethodFailed("the generator collapsed"), "the generator collapsed"),
        (Diverged("NaN"), "NaN"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_method_that_fails_gives_a_failed_trial(
    monkeypatch: pytest.MonkeyPatch, error: Exception, actual: str
) -> None:
    def fail(self: Any, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        raise error

    monkeypatch.setattr(method_class("mixup"), "fit", fail)
    plan = plan_for(DATA, "mixup")
    result = run_trial(DATA, plan, task_of(plan, "mixup"))
    assert result.failed == actual
    assert (result.test_indices, result.test_probabilities) == ([], [])


def test_a_bug_in_a_method_is_no_failed_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method_class("mixup"), "fit", lambda *_: 1 / 0)
    plan = plan_for(DATA, "mixup")
    with pytest.raises(ZeroDivisionError):
        run_trial(DATA, plan, task_of(plan, "mixup"))


def test_a_trial_that_was_broken_off_in_its_generator_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.training.loop.SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    arm = "classical+cgan(steps=20,watch_every=5,batch_size=8,width=4,least_diversity=0,label_filter=no)"
    plan = plan_for(DATA, arm)
    task, step, taken, breaks = task_of(plan, "classical+cgan"), GanStep.step, [], [13]

    def mortal(self: GanStep, number: int) -> dict[str, torch.Tensor]:
        if number in breaks:
            breaks.clear()
            raise KeyboardInterrupt
        taken.append(number)
        return step(self, number)

    monkeypatch.setattr(GanStep, "step", mortal)
    run = RunDirectory(tmp_path)
    jobs = [TrialJobs(plan, DATA, run).of_repeat(0)[task]]
    with pytest.raises(KeyboardInterrupt):
        list(run_jobs(jobs, run, Serial(Device())))
    assert taken == list(range(13))
    taken.clear()
    finished = {one.job: Trial(**one.result) for one in run_jobs(jobs, run, Serial(Device()))}
    assert taken[:10] == list(range(10, 20)), "from the look at step 10"
    selected = next(trial for trial in finished.values() if trial.arm == "classical").details["settled"]
    assert finished[jobs[0]].test_probabilities == run_trial(DATA, plan, task, selected).test_probabilities
    assert not list(tmp_path.rglob("*checkpoint*"))


@pytest.mark.parametrize("arm", ["raw", "oracle", "classical+cgan"])
def test_a_trial_as_a_job_gives_what_it_gives_here(tmp_path: Path, arm: str) -> None:
    plan, run = plan_for(DATA, EVERY_METHOD), RunDirectory(tmp_path)
    task = task_of(plan, arm)
    job = TrialJobs(plan, DATA, run).of_repeat(0)[task]
    finished = {one.job: Trial(**one.result) for one in run_jobs([job], run, Serial(Device()))}
    baseline = next((trial for trial in finished.values() if trial.arm == "classical"), None)
    here = run_trial(DATA, plan, task, baseline and baseline.details["settled"])
    kept = finished[job]
    for column in ("test_indices", "test_probabilities", "inner_score", "inner_loss", "external_predictions"):
        assert getattr(kept, column) == getattr(here, column)
    assert set(kept.details) == set(here.details)
    assert np.allclose(np.sum(kept.test_probabilities, axis=1), 1, atol=1e-4)
    assert len(kept.external_predictions) == 4
    assert kept.details["seconds"]["methods"] >= 0


def test_arms_need_the_baseline_of_their_own_fold_alone(tmp_path: Path) -> None:
    plan = plan_for(DATA, "classical,raw,classical+mixup,classical(policy=light,flips=no)+mixup,classical#2")
    jobs = TrialJobs(plan, DATA, RunDirectory(tmp_path)).of_repeat(0)
    assert [task.arm.name for task in jobs][:3] == ["classical"] * 3
    baselines = {task.fold: job for task, job in jobs.items() if task.arm.name == "classical"}
    for task, job in jobs.items():
        expected = {"baseline": baselines[task.fold]} if task.arm.name == "classical+mixup" else {}
        assert job.needs == expected


def test_what_several_methods_tell_stands_under_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def telling(steps: int) -> Any:
        return lambda self, train, reserve, key: Recipe(details={"generator_steps": steps, f"only_{steps}": 1})

    for name, steps in (("mixup", 5), ("cutmix", 7)):
        monkeypatch.setattr(method_class(name), "fit", telling(steps))
    plan = plan_for(DATA, "mixup,cutmix+mixup")
    alone = run_trial(DATA, plan, task_of(plan, "mixup")).details
    assert (alone["generator_steps"], alone["only_5"]) == (5, 1)
    assert "methods" not in alone
    both = run_trial(DATA, plan, task_of(plan, "cutmix+mixup")).details
    assert both["methods"] == {"mixup": {"generator_steps": 5}, "cutmix": {"generator_steps": 7}}
    assert (both["only_5"], both["only_7"], "generator_steps" in both) == (1, 1, False)
    monkeypatch.setattr(method_class("mixup"), "fit", lambda *_: Recipe(details={"steps": 9}))
    clashing = run_trial(DATA, plan, task_of(plan, "mixup")).details
    assert (clashing["steps"], clashing["methods"]) == (SHORT.steps, {"mixup": {"steps": 9}})


def test_a_network_that_all_trials_share_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.training.backbone_start.SOURCE_TRAINING", SHORT)
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    other = whole_set("another")
    np.savez(tmp_path / "other.npz", images=other.images[:, 0], labels=other.labels)
    source = f"source={tmp_path / 'other'}.npz"
    plan = plan_for(DATA, f"raw,classical,probe({source}),classical+transfer(fewest=1,{source},steps=5)")
    run = RunDirectory(tmp_path / "run")
    jobs = TrialJobs(plan, DATA, run).of_repeat(0)
    shared = {need.hash for job in jobs.values() for name, need in job.needs.items() if name in ("probe", "transfer")}
    assert len(shared) == 1
    task = task_of(plan, "probe")
    finished = list(run_jobs([jobs[task]], run, Serial(Device())))
    assert finished[0].job.function == "tenfold.training.backbone_start:train_source"
    with monkeypatch.context() as patch:
        patch.setattr("tenfold.training.backbone_start.train_classifier", lambda *_: pytest.fail("trained once more"))
        list(run_jobs([jobs[task_of(plan, "probe", 1)]], run, Serial(Device())))
    here = run_trial(DATA, plan, task, None)
    assert finished[-1].result["test_probabilities"] == here.test_probabilities


def test_the_external_test_is_told_as_shares() -> None:
    class Oracle:
        def probabilities(self, images: Any) -> Any:
            return np.eye(2)[[0, 1, 1, 1]]

    scores = external_test(Oracle(), DATA)
    assert scores is not None
    assert (scores["images"], scores["accuracy"], scores["balanced_accuracy"]) == (4, 0.75, 0.75)
    assert scores["interval"][0] < 0.75 < scores["interval"][1]
    assert external_test(Oracle(), STUDY) is None


def test_four_images_of_a_patient_judge_a_classifier_like_one() -> None:
    right = np.repeat(Key("patients judged").numpy_generator().random(40) < 0.7, 4)

    class OfPatients:
        def probabilities(self, images: Any) -> Any:
            return np.eye(2)[1 - right.astype(int)]

    def judged(groups: npt.NDArray[np.int64]) -> dict[str, Any]:
        scores = external_test(OfPatients(), easy_set([160, 0], groups=groups.tolist(), roles=["test"] * 160))
        assert scores is not None
        return scores

    alone, together = judged(np.arange(160)), judged(np.repeat(np.arange(40), 4))
    assert (alone["groups"], together["groups"], alone["accuracy"]) == (160, 40, together["accuracy"])
    assert 1.8 < np.ptp(together["interval"]) / np.ptp(alone["interval"]) < 2.2


def watched(monkeypatch: pytest.MonkeyPatch, loss_of: Callable[[Recipe, ImageDataset], float]) -> list[Any]:
    """Every training of a classifier as (its arguments, itself), its validation loss given."""
    train_classifier, trained = module.train_classifier, list[Any]()

    def watching(*arguments: Any) -> Any:
        train, _, recipe, *_ = arguments
        trained.append((arguments, replace(train_classifier(*arguments), inner_loss=loss_of(recipe, train))))
        return trained[-1][1]

    monkeypatch.setattr(module, "train_classifier", watching)
    monkeypatch.setattr(module, "diagnostics_of", lambda *_: {})
    return trained


def ratio_of(recipe: Recipe, train: ImageDataset) -> float:
    return 0.0 if recipe.extra is None else len(recipe.extra) / len(train)


@pytest.mark.parametrize("best", [0, 1, 2])
def test_short_tries_choose_how_many_new_images_are_used(monkeypatch: pytest.MonkeyPatch, best: int) -> None:
    trained = watched(monkeypatch, lambda recipe, train: abs(ratio_of(recipe, train) - best))
    plan = plan_for(DATA, f"raw,classical,{GROWING}", times=2.0)
    selected = {"classical": {"policy": "light", "flips": "no"}}
    details = run_trial(DATA, plan, task_of(plan, "classical+"), selected).details
    assert [ratio_of(recipe, train) for (train, _, recipe, *_), _ in trained] == [0, 1, 2, best]
    assert details["ratio"] == best
    assert details["extra_images"] == best * details["real_images"]
    assert details["inner_losses_of_ratios"] == {f"{ratio}": abs(ratio - best) for ratio in (0, 1, 2)}


def test_an_arm_that_does_without_its_new_images_is_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, ratio_of)
    plan = plan_for(DATA, f"raw,classical,{GROWING}")
    baseline = run_trial(DATA, plan, task_of(plan, "classical"))
    grown = run_trial(DATA, plan, task_of(plan, "classical+"), baseline.details["settled"])
    assert grown.test_probabilities == baseline.test_probabilities


def test_of_equal_losses_the_fewest_new_images_win(monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, lambda *_: 1.0)
    plan = plan_for(DATA, GROWING)
    assert run_trial(DATA, plan, task_of(plan, "classical+")).details["ratio"] == 0


@pytest.mark.parametrize("arm", ["raw", "classical", "placebo", "classical#2", GROWING, "classical+classifier"])
def test_every_arm_is_judged_by_one_training_whose_key_took_part_in_no_choice(
    monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    trained = watched(monkeypatch, lambda *_: 1.0)
    plan = plan_for(DATA, f"raw,classical,{arm}" if arm not in ("raw", "classical") else "raw,classical")
    run_trial(DATA, plan, task_of(plan, arm))
    *tries, ((_, _, _, key, config), _) = trained
    assert config.steps == SHORT.steps
    assert all(brief.steps < SHORT.steps and used != key for (_, _, _, used, brief), _ in tries)
    assert bool(tries) == (arm != "raw")


def test_without_related_images_nothing_is_aligned_with_them(tmp_path: Path) -> None:
    other = easy_set([6] * STUDY.class_count, shape=STUDY.image_shape, key="other")
    path = tmp_path / "other.npz"
    np.savez(
        path, images=other.images.transpose(0, 2, 3, 1), labels=other.labels, class_names=np.array(STUDY.class_names)
    )
    recipe = parse_component(f"related(source={path},align=true)").make({}).fit(STUDY, None, Key("a"))
    assert recipe.objective is not None
    assert module._with(recipe, 1.0, STUDY).objective is recipe.objective
    left = module._with(recipe, 0.0, STUDY)
    assert (left.extra, left.objective) == (None, None)
    other_loss = replace(recipe, needs_extra=False)
    assert module._with(other_loss, 0.0, STUDY).objective is recipe.objective


def test_a_given_ratio_is_kept_and_a_point_of_the_curve_has_fewer_images() -> None:
    given = QUICK_CGAN.replace("cgan(", "cgan(times=1,")
    plan = plan_for(DATA, f"classical,classical@50%,classical+{given}")
    whole = run_trial(DATA, plan, task_of(plan, "classical")).details
    grown = run_trial(DATA, plan, task_of(plan, "classical+")).details
    half = run_trial(DATA, plan, task_of(plan, "classical@50%")).details
    assert grown["extra_images"] == whole["real_images"]
    assert "ratio" not in grown
    assert (whole["real_images"], half["real_images"]) == (6, 4), "of three groups"


def test_new_images_are_diagnosed_in_the_first_repeat_by_images_that_are_not_tested(spy: Spy) -> None:
    plan = plan_for(DATA, f"classical,{GROWING}", repeats=2)
    first, second = (run_trial(DATA, plan, Task(task_of(plan, "classical+").arm, repeat, 0)) for repeat in (0, 1))
    assert {"kid", "near_copies", "real_alone", "generated_alone"} <= set(first.details["diagnostics"])
    assert all(np.isfinite(value) for value in first.details["diagnostics"].values())
    assert not {"diagnostics", "samples"} & set(second.details)
    images, labels = inspection.unpacked(first.details["samples"])
    assert images.shape == (6, 1, 8, 8), "as many as there are, at most four of a class"
    assert labels.tolist() == sorted(labels)
    assert np.bincount(labels).max() <= 4


def canary(monkeypatch: pytest.MonkeyPatch, share: float = 1.0) -> None:
    """A generator with a way around every rule: it hands out the test images of whatever fold it is in."""
    open_fold = module.open_fold
    stolen: list[ImageDataset] = []

    def burgled(study: ImageDataset, split: Any) -> Any:
        stolen[:] = [study.take(split.test[: max(1, round(share * len(split.test)))])]
        return open_fold(study, split)

    monkeypatch.setattr(module, "open_fold", burgled)
    monkeypatch.setattr(method_class("cgan"), "fit", lambda *_: Recipe(extra=stolen[0]))


@pytest.mark.parametrize("share", [1.0, 0.2])
def test_a_canary_that_copies_test_images_is_caught_and_its_arm_fails(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    canary(monkeypatch, share)
    plan = plan_for(DATA, f"classical,{GROWING}")
    for fold in range(3):
        result = run_trial(DATA, plan, task_of(plan, "classical+", fold))
        assert result.failed is not None
        assert "test images" in result.failed
        assert result.test_probabilities == []


@pytest.mark.parametrize("arm", ["placebo", "oracle", GROWING])
def test_an_honest_arm_is_no_canary(arm: str) -> None:
    plan = plan_for(DATA, EVERY_METHOD)
    assert all(run_trial(DATA, plan, task_of(plan, arm, fold)).failed is None for fold in range(3))


def test_a_network_that_has_learned_from_test_images_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.training.backbone_start.SOURCE_TRAINING", SHORT)
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    for name, data in (("same", DATA), ("other", whole_set("another"))):
        np.savez(tmp_path / f"{name}.npz", images=data.images[:, 0], labels=data.labels)
    same, other = (f"probe(source={tmp_path / name}.npz)" for name in ("same", "other"))
    plan = plan_for(DATA, f"classical,{same},{other}")
    trial = run_trial(DATA, plan, task_of(plan, same))
    assert trial.failed is not None
    assert "test images are among the 26 that the network has learned from" in trial.failed
    assert run_trial(DATA, plan, task_of(plan, other)).failed is None


def test_the_width_is_chosen_on_top_of_the_augmentation_and_taken_for_all() -> None:
    plan = plan_for(DATA, "classical,classical+classifier")
    selected = run_trial(DATA, plan, task_of(plan, "classical")).details["settled"]
    trial = run_trial(DATA, plan, task_of(plan, "classical+classifier"), selected)
    (chosen,) = trial.details["settled"].values()
    losses = trial.details["inner_losses"]["classifier"]
    assert list(losses) == [f"width={width}" for width in (24, 12, 6, 48)]
    assert chosen == {"width": min(losses, key=losses.get).removeprefix("width=")}
