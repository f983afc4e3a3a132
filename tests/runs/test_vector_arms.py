from __future__ import annotations

import pytest

from made_up_sets import easy_set, easy_vectors
from tenfold.core.errors import InputError
from tenfold.data.splits import plan_folds
from tenfold.methods import method_class, method_names
from tenfold.runs.arms import BASELINE, parse_arms, require_vector_arms
from tenfold.runs.default_arms import baseline_for, curve_arms, default_arms
from tenfold.runs.plan import make_plan

VECTOR_METHODS = ("mixup", "oracle", "placebo", "raw")


def test_the_baseline_of_vectors_is_raw_and_everything_is_laid_on_it() -> None:
    assert baseline_for(easy_set([2, 2])) == BASELINE
    assert baseline_for(easy_vectors([2, 2])) == "raw"
    raw, mixup, placebo = parse_arms("mixup,placebo", "raw")
    assert [arm.name for arm in (raw, mixup, placebo)] == ["raw", "mixup", "placebo"]
    assert [part.method for part in placebo.components] == ["raw", "placebo"]
    half, more = curve_arms("raw")
    assert (half.name, half.components, more.name) == ("raw@50%", raw.components, "raw@70%")


def test_the_default_arms_of_vectors() -> None:
    assert default_arms(False, "raw") == ("raw", "placebo", "mixup")
    assert default_arms(True, "raw") == ("raw", "placebo", "mixup", "oracle")
    require_vector_arms(parse_arms(default_arms(True, "raw"), "raw"))


def test_the_validation_images_choose_between_the_baseline_and_what_is_no_control() -> None:
    vectors, images = easy_vectors([6, 6]), easy_set([6, 6])
    settings = {"repeats": 1, "seed": 0, "times": 1.0}
    arms = parse_arms("raw,placebo,mixup,raw@50%", "raw")
    plan = make_plan(vectors, arms, plan_folds(vectors, 2), **settings)
    assert (plan.baseline, plan.candidates) == ("raw", ("raw", "mixup"))
    arms = parse_arms("raw,placebo,mixup")
    plan = make_plan(images, arms, plan_folds(images, 2), **settings)
    assert (plan.baseline, plan.candidates) == ("classical", ("classical", "mixup"))


@pytest.mark.parametrize("name", sorted(set(method_names()) & {"augmix", "cgan", "classical", "cutmix"}))
def test_arms_that_work_on_images_are_refused_with_those_that_do_not(name: str) -> None:
    for arm in (name, f"mixup+{name}"):
        with pytest.raises(InputError, match=rf"'.*{name}'.* {name} works on images alone.*mixup, oracle.*raw"):
            require_vector_arms(parse_arms(f"raw,{arm}", "raw"))


@pytest.mark.parametrize("name", VECTOR_METHODS)
def test_what_reads_vectors_says_so(name: str) -> None:
    assert method_class(name).reads_vectors
