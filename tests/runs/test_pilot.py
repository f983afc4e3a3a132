from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from made_up_plans import plan_for, run_trial, whole_set

from made_up_sets import QUICK_CGAN, SHORT, easy_set
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.splits import SealedFold, make_splits
from tenfold.methods import Method, MethodFailed, make_method, method_class, method_names
from tenfold.runs import cost_probe as module
from tenfold.runs import trial
from tenfold.runs.cost_probe import measure_costs
from tenfold.runs.plan import Task
from tenfold.training.recipe import Recipe

DATA = whole_set()
STUDY = DATA.part("train")
ARMS = f"raw,classical,classical+mixup,placebo,oracle,classical+{QUICK_CGAN}"


def test_every_arm_gets_a_cost_that_was_measured() -> None:
    plan = plan_for(DATA, f"{ARMS},classical@50%,raw#2")
    measured = measure_costs(DATA, plan)
    assert set(measured.costs) == {arm.components for arm in plan.arms}
    by_name = {arm.name: measured.costs[arm.components] for arm in plan.arms}
    assert {name for name, cost in by_name.items() if cost.makes_images} == {
        "placebo",
        "oracle",
        f"classical+{QUICK_CGAN}",
    }
    assert all(0 < cost.training < 60 for cost in measured.costs.values())
    assert by_name[f"classical+{QUICK_CGAN}"].methods > by_name["raw"].methods
    assert by_name["placebo"].training == by_name["classical"].training, "their batches are made alike"
    assert 0 < measured.prediction < measured.seconds


def test_a_network_of_its_own_is_timed_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tenfold.training.backbone_start.SOURCE_TRAINING", SHORT)
    source = tmp_path / "source.npz"
    np.savez(source, images=STUDY.images[:, 0], labels=STUDY.labels)
    arms = ["classical", "classical+classifier(width=4)", f"probe(source={source})"]
    plan = plan_for(DATA, ",".join([*arms, f"transfer(fewest=1,source={source},steps=30)"]))
    measured = measure_costs(DATA, plan)
    by_name = {arm.name: measured.costs[arm.components] for arm in plan.arms}
    assert by_name.pop("classical").prediction is None
    for cost in by_name.values():
        assert cost.training > 0
        assert cost.prediction is not None
        assert 0 < cost.prediction < 1


def test_the_error_is_that_of_the_first_baseline_trial_on_its_validation_images() -> None:
    plan = plan_for(DATA, "classical")
    result, first = measure_costs(DATA, plan), run_trial(DATA, plan, Task(plan.arms[0], 0, 0))
    assert result.validation_error == 1 - first.inner_score
    validation = make_splits(STUDY, plan.fold_plan, 0, Key("seed-0"))[0].validation
    assert result.validation_images == pytest.approx(len(validation) / 2), "two images a group"


def test_no_sealed_image_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[bytes] = set()

    def keep(*sets: ImageDataset | None) -> None:
        seen.update(image.tobytes() for data in sets if data is not None for image in data.images)

    def watch(name: str) -> None:
        method = method_class(name)
        fit = method.fit

        def watched(self: Any, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
            keep(train, reserve)
            return fit(self, train, reserve, key)

        monkeypatch.setattr(method, "fit", watched)

    for name in method_names():
        watch(name)
    for place in (module, trial):
        train_classifier = place.train_classifier

        def train_watched(
            train: ImageDataset, validation: ImageDataset, recipe: Recipe, *rest: Any, really: Any = train_classifier
        ) -> Any:
            keep(train, validation, recipe.extra)
            return really(train, validation, recipe, *rest)

        monkeypatch.setattr(place, "train_classifier", train_watched)
    monkeypatch.setattr(SealedFold, "shown_to", lambda *_: pytest.fail("a test fold was read"))
    plan = plan_for(DATA, ARMS)
    measure_costs(DATA, plan)
    split = make_splits(STUDY, plan.fold_plan, 0, Key("seed-0"))[0]
    sealed = {image.tobytes() for image in (*STUDY.images[split.test], *DATA.part("test").images)}
    assert len(seen) > 10
    assert not seen & sealed


def test_a_generator_is_timed_by_a_few_of_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def work(self: Any, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        steps.append(self.config.steps)
        end = time.process_time() + 0.02 + 0.0005 * self.config.steps
        while time.process_time() < end:
            pass
        return Recipe()

    monkeypatch.setattr(method_class("cgan"), "fit", work)
    plan = plan_for(DATA, "classical+cgan(steps=1000)")
    measured = measure_costs(DATA, plan)
    methods = measured.costs[plan.arms[-1].components].methods
    assert sum(steps) < 100
    assert methods > 0.8 * 0.52, "nothing is left out"
    assert methods < 20 * 0.52, "what does not grow with the steps is not multiplied, on a machine however busy"


def test_a_generator_that_has_learned_too_little_to_draw_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Recipe:
        raise MethodFailed("collapsed")

    monkeypatch.setattr(method_class("cgan"), "fit", fail)
    plan = plan_for(DATA, "classical+cgan")
    cost = measure_costs(DATA, plan).costs[plan.arms[-1].components]
    assert cost.makes_images
    assert cost.training > 0


def test_a_set_without_validation_images_has_a_cost_probe_too() -> None:
    lone = DATA.take([i for i in range(len(DATA)) if DATA.roles[i] == "train"][:6] + list(range(13, 19)))
    plan = plan_for(lone)
    measured = measure_costs(lone, plan)
    assert measured.validation_images >= 0


def test_the_number_of_threads_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        measure_costs(DATA, plan_for(DATA))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["cgan", "dagan", "dcgan", "restyle", "vae"])
def test_no_generator_is_trained_in_full_for_a_forecast(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def timed(method: Method, fold: Any, key: Key) -> tuple[float, Recipe]:
        steps.append(method.config.steps)
        return float(steps[-1]), Recipe()

    monkeypatch.setattr(module, "_fit_timed", timed)
    train = easy_set([8, 8])
    seconds, _ = module._fit_in_part(make_method(name), SimpleNamespace(train=train), Key("one"))  # type: ignore[arg-type]
    whole = make_method(name).for_set(train).config.steps
    assert seconds == pytest.approx(whole), "a second a step, all of them estimated"
    assert sum(steps) < 0.7 * whole
