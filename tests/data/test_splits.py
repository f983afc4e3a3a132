from __future__ import annotations

import warnings
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from made_up_sets import easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Split
from tenfold.data.splits import FoldPlan, make_splits, plan_folds

KEY = Key("splits")


def a_set(members: list[tuple[int, int]]) -> ImageDataset:
    """One image for each (label, group)."""
    members = sorted(members)
    counts = np.bincount([label for label, _ in members], minlength=4)
    return easy_set(counts.tolist(), (1, 4, 4), groups=[group for _, group in members])


def planned(data: ImageDataset) -> FoldPlan:
    try:
        return plan_folds(data)
    except InputError:
        assume(False)
        raise


pure = st.lists(st.integers(0, 15), min_size=2, max_size=60).map(lambda groups: [(g % 4, g) for g in groups])
"""Each group is of one class, as with duplicates."""
mixed = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=2, max_size=60)
"""Groups of several classes, as with patients."""


def check(data: ImageDataset, plan: FoldPlan, splits: list[Split]) -> None:
    times_tested = np.zeros(len(data), int)
    for split in splits:
        parts = (split.train, split.validation, split.test)
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(data))), "every image has one place"
        groups = [set(data.groups[part]) for part in parts]
        assert all(not one & other for one, other in combinations(groups, 2))
        assert set(data.labels[split.test]) <= set(plan.evaluated)
        assert len(split.test)
        assert set(data.labels[split.train]) >= set(data.labels[np.setdiff1d(np.arange(len(data)), split.test)])
        times_tested[split.test] += 1
    never_tested = ~np.isin(data.labels, plan.evaluated)
    tied_to_them = np.isin(data.groups, data.groups[never_tested])
    assert np.array_equal(times_tested, np.where(tied_to_them, 0, 1))
    for label in plan.evaluated:
        assert times_tested[data.labels == label].any()


@settings(deadline=None, max_examples=150)
@given(pure, st.integers(0, 9))
def test_groups_of_one_class_never_straddle_and_each_is_tested_once(
    members: list[tuple[int, int]], repeat: int
) -> None:
    data = a_set(members)
    plan = planned(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = make_splits(data, plan, repeat, KEY)
    assert len(splits) == plan.folds
    check(data, plan, splits)
    for split in splits:
        assert set(data.labels[split.train]) == set(data.labels), "every class is trained on in every fold"


@settings(deadline=None, max_examples=150)
@given(mixed, st.integers(0, 9))
def test_groups_of_several_classes_never_straddle_and_each_is_tested_once(
    members: list[tuple[int, int]], repeat: int
) -> None:
    data = a_set(members)
    plan = planned(data)
    check(data, plan, make_splits(data, plan, repeat, KEY))


def test_folds_are_stratified() -> None:
    data = easy_set([50, 20, 10], (1, 4, 4))
    for split in make_splits(data, plan_folds(data), 0, KEY):
        assert np.bincount(data.labels[split.test]).tolist() == [10, 4, 2]
        assert np.bincount(data.labels[split.validation]).tolist() == [8, 3, 2], "a fifth of the rest"


def test_a_class_with_one_image_always_trains_and_is_never_tested() -> None:
    data = easy_set([10, 10, 1], (1, 4, 4))
    plan = plan_folds(data)
    assert plan.evaluated == (0, 1)
    assert plan.folds == 5
    for split in make_splits(data, plan, 0, KEY):
        assert 20 in split.train


def test_images_of_one_patient_are_one_group() -> None:
    data = easy_set([10, 10, 6], (1, 4, 4), groups=[*range(20), *[20] * 6])
    assert plan_folds(data).evaluated == (0, 1), "six images of one patient cannot train and test"


def test_a_small_class_lowers_the_folds_with_a_warning() -> None:
    plan = plan_folds(easy_set([10, 3], (1, 4, 4)))
    assert plan.folds == 3
    assert plan.warnings == ("class 'class 1' has only 3 images (or groups): 3 folds instead of 5",)
    assert plan_folds(easy_set([5, 5], (1, 4, 4))) == FoldPlan(5, (0, 1))


def test_a_patient_with_the_only_image_of_a_class_leaves_the_others_to_judge() -> None:
    # Patient 0 alone has class 2, so patient 0 is never tested; class 1 keeps one other patient only.
    data = a_set([(0, g) for g in range(6)] + [(1, 0), (1, 7), (2, 0), *((3, g) for g in range(8, 12))])
    plan = plan_folds(data)
    assert plan.evaluated == (0, 3)
    check(data, plan, make_splits(data, plan, 0, KEY))


@pytest.mark.parametrize("counts", [[1, 1], [9, 1], [9, 0], [9]])
def test_fewer_than_two_classes_to_judge_is_no_study(counts: list[int]) -> None:
    with pytest.raises(InputError, match="no verdict is possible"):
        plan_folds(easy_set(counts, (1, 4, 4)))


def test_splits_are_the_same_again_and_other_in_other_repeats_and_for_other_seeds() -> None:
    data = easy_set([20, 20], (1, 4, 4))
    plan = plan_folds(data)

    def fold(repeat: int, key: Key = KEY) -> list[list[int]]:
        return [split.test.tolist() for split in make_splits(data, plan, repeat, key)]

    assert fold(0) == fold(0)
    drawn = [fold(0), fold(1), fold(2), fold(0, Key("other"))]
    assert all(one != other for one, other in pairwise(drawn))


def test_the_inner_split_is_drawn_for_each_fold() -> None:
    data = easy_set([20, 20], (1, 4, 4))
    splits = make_splits(data, plan_folds(data), 0, KEY)
    assert len({tuple(split.validation) for split in splits}) == len(splits)
