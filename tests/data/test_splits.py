from __future__ import annotations

import ast
import inspect
import typing
import warnings
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tenfold
from made_up_sets import easy_set
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Split
from tenfold.data.splits import FoldPlan, SealedFold, make_splits, open_fold, part_of, plan_folds
from tenfold.methods import method_class, method_names

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


@settings(max_examples=300)
@given(st.one_of(pure, mixed), st.integers(0, 9))
def test_groups_never_straddle_and_each_is_tested_once(members: list[tuple[int, int]], repeat: int) -> None:
    data = a_set(members)
    plan = planned(data)
    of_one_class = all(len(set(data.labels[data.groups == group])) == 1 for group in data.groups)
    with warnings.catch_warnings():
        if of_one_class:
            warnings.simplefilter("error")
        splits = make_splits(data, plan, repeat, KEY)
    check(data, plan, splits)
    if of_one_class:
        assert len(splits) == plan.folds
        for split in splits:
            assert set(data.labels[split.train]) == set(data.labels), "every class is trained on in every fold"


def test_folds_are_stratified() -> None:
    data = easy_set([50, 20, 10], (1, 4, 4))
    for split in make_splits(data, plan_folds(data), 0, KEY):
        assert np.bincount(data.labels[split.test]).tolist() == [10, 4, 2]
        assert np.bincount(data.labels[split.validation]).tolist() == [8, 3, 2], "a fifth of the rest"


def test_a_class_with_one_image_or_patient_always_trains_and_is_never_tested() -> None:
    for data in (easy_set([10, 10, 1]), easy_set([10, 10, 6], groups=[*range(20), *[20] * 6])):
        plan = plan_folds(data)
        assert (plan.evaluated, plan.folds) == ((0, 1), 5)
        for split in make_splits(data, plan, 0, KEY):
            assert 20 in split.train


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
    splits = make_splits(data, plan, 0, KEY)
    assert len({tuple(split.validation) for split in splits}) == len(splits)


SOURCE = Path(tenfold.__file__).parent


def test_a_fold_holds_each_image_once_and_seals_those_to_test_on() -> None:
    study = easy_set([10, 10])
    for split in make_splits(study, plan_folds(study), 0, KEY):
        fold = open_fold(study, split)
        shown = fold.test.shown_to(lambda images: images)
        assert np.array_equal(shown, study.images[split.test])
        assert len(fold.test) == len(split.test)
        together = [*fold.train.sources, *fold.validation.sources, *(study.sources[i] for i in fold.test.indices)]
        assert sorted(together) == sorted(study.sources)


def test_a_sealed_fold_is_no_image_set_and_has_no_labels() -> None:
    sealed = SealedFold(easy_set([2, 2]).rows, np.arange(4), np.arange(4))
    assert not isinstance(sealed, ImageDataset)
    assert [name for name in dir(sealed) if not name.startswith("_")] == ["groups", "indices", "shown_to"]
    with pytest.raises(AttributeError):
        sealed.images  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError):
        sealed.extra = 1  # type: ignore[attr-defined]
    sealed.shown_to(lambda images: images.fill(0))
    assert sealed.shown_to(lambda images: images.any()), "who is shown the images cannot change them"


def test_a_fold_copies_no_image() -> None:
    data = easy_set([10, 10, 10], roles=["train"] * 20 + ["grown"] * 10)
    for split in make_splits(data.part("train"), plan_folds(data.part("train")), 0, KEY):
        fold = open_fold(data, split)
        for part in (fold.train, fold.validation):
            assert [id(array) for array in part.rows.parts] == [id(data.images)]


def test_only_a_trial_shows_a_test_fold_to_anything() -> None:
    """By the syntax tree: no other module calls `shown_to`, and none but `splits` takes a split's test part."""
    callers, takers = set(), set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "shown_to":
                callers.add(path.relative_to(SOURCE).as_posix())
            if isinstance(node, ast.Attribute) and node.attr == "test" and ast.unparse(node.value) == "split":
                takers.add(path.relative_to(SOURCE).as_posix())
    assert callers == {"runs/trial.py"}
    assert takers == {"data/splits.py"}


@pytest.mark.parametrize("name", method_names())
def test_a_method_is_typed_to_take_images_that_may_be_learned_from(name: str) -> None:
    for function in (method_class(name).fit, method_class(name).grow):
        hints = typing.get_type_hints(function)
        taken = {
            parameter: hints[parameter] for parameter in inspect.signature(function).parameters if parameter != "self"
        }
        allowed = (ImageDataset, ImageDataset | None, Key, float)
        assert all(hint in allowed for hint in taken.values()), taken


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=3, max_size=40), st.floats(1, 99))
def test_a_part_has_whole_groups_of_every_class_and_lies_within_a_larger_part(
    members: list[tuple[int, int]], percent: float
) -> None:
    labels = np.array([0, 1, 2, *(label for label, _ in members)])
    groups = [100, 101, 102, *(group for _, group in members)]
    data = easy_set([len(labels)], groups=groups)
    data = ImageDataset(data.name, data.images, labels, ("a", "b", "c"), data.groups, data.sources, data.roles)
    small, large = part_of(data, percent, KEY), part_of(data, (percent + 100) / 2, KEY)
    assert set(small.labels) == {0, 1, 2}
    assert set(small.sources) <= set(large.sources) <= set(data.sources)
    left_out = set(data.sources) - set(small.sources)
    assert not {data.groups[data.sources.index(source)] for source in left_out} & set(small.groups)
    assert part_of(data, 100, KEY) is data


def test_half_is_half_of_each_class() -> None:
    data = easy_set([20, 10, 3])
    assert part_of(data, 50, KEY).counts().tolist() == [10, 5, 2]
    assert set(part_of(data, 50, KEY / 1).sources) != set(part_of(data, 50, KEY / 2).sources)
