from __future__ import annotations

import ast
import inspect
import os
import re
import typing
import warnings
from collections import Counter
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
from tenfold.data.splits import FoldPlan, SealedFold, is_tested, make_splits, open_fold, part_of, plan_folds
from tenfold.methods import method_class, method_names

KEY = Key("splits")


Layout = list[list[tuple[int, int]]]
"""Of each group the classes that it holds, and of how many images each."""
CLASSES = 8
LAYOUTS = int(os.environ.get("TENFOLD_LAYOUTS", "300"))
"""As many are tried; 20,000 take some minutes."""


def layouts(most_classes: int, most_groups: int = 40) -> st.SearchStrategy[Layout]:
    held = st.tuples(st.integers(0, CLASSES - 1), st.one_of(st.integers(1, 3), st.integers(1, 30)))
    return st.lists(st.lists(held, min_size=1, max_size=most_classes), min_size=2, max_size=most_groups)


of_one_class, of_several = layouts(1), st.one_of(layouts(3), layouts(CLASSES, 6), layouts(CLASSES))
"""Groups as with duplicates, and as with patients; a few with many classes each are the hardest."""


def a_set(layout: Layout) -> ImageDataset:
    columns = [(label, group) for group, held in enumerate(layout) for label, images in held for _ in range(images)]
    labels, groups = np.array(sorted(columns)).T
    names, images = tuple("abcdefgh"[:CLASSES]), np.zeros((len(labels), 1, 1, 1), np.uint8)
    sources = tuple(map(str, range(len(labels))))
    return ImageDataset("made up", images, labels, names, groups, sources, np.full(len(labels), "train"))


def planned(data: ImageDataset, wanted: int = 5, **options: bool) -> FoldPlan:
    try:
        return plan_folds(data, wanted, **options)
    except InputError:
        with pytest.raises(InputError, match="add images"):
            plan_folds(data, wanted, **options)
        assume(False)
        raise


def given_up(plan: FoldPlan) -> set[int]:
    """The classes of which the plan says that some folds train on none."""
    lost = [re.findall(r"'(\w)' ", warning) for warning in plan.warnings if "nothing is trained on" in warning]
    return {"abcdefgh".index(name) for names in lost for name in names}


def check(data: ImageDataset, plan: FoldPlan, splits: list[Split]) -> None:
    times_tested = np.zeros(len(data), int)
    everything = set(data.labels)
    assert len(splits) == plan.folds
    for split in splits:
        parts = (split.train, split.validation, split.test)
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(data))), "every image has one place"
        groups = [set(data.groups[part]) for part in parts]
        assert all(not one & other for one, other in combinations(groups, 2))
        assert len(split.test)
        assert everything - set(data.labels[split.train]) <= given_up(plan), "every class is trained on"
        assert len(split.validation) or not could_validate(data, plan, split)
        times_tested[split.test] += 1
    assert np.array_equal(times_tested, is_tested(data))
    assert set(data.labels[times_tested > 0]) == {*plan.evaluated, *plan.rare}
    for label in plan.evaluated:
        assert len(set(data.groups[(data.labels == label) & (times_tested > 0)])) >= plan.folds


def could_validate(data: ImageDataset, plan: FoldPlan, split: Split) -> bool:
    """Whether a group could be spared that holds a class which counts."""
    train = data.take(split.train)
    holds = [set(train.labels[train.groups == group]) for group in set(train.groups)]
    left = Counter(label for held in holds for label in held)
    return any(held & set(plan.evaluated) and all(left[label] > 1 for label in held) for held in holds)


@settings(max_examples=LAYOUTS)
@given(st.one_of(of_one_class, of_several), st.integers(0, 9), st.integers(2, 5), st.booleans())
def test_groups_never_straddle_and_each_is_tested_once(
    layout: Layout, repeat: int, wanted: int, judge_rare: bool
) -> None:
    data = a_set(layout)
    plan = planned(data, wanted, judge_rare=judge_rare)
    if all(len(held) == 1 for held in layout):
        assert not given_up(plan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = make_splits(data, plan, repeat, KEY)
    check(data, plan, splits)


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


def test_a_rare_class_sets_no_folds_for_the_others_and_does_not_count() -> None:
    data = easy_set([30, 20, 9, 2], (1, 4, 4))
    plan = plan_folds(data)
    assert (plan.folds, plan.evaluated, plan.rare) == (5, (0, 1), (2, 3))
    (warning,) = plan.warnings
    assert "'class 2' (9), 'class 3' (2); trained on and tested all the same (--judge-rare" in warning
    tested = np.concatenate([split.test for split in make_splits(data, plan, 0, KEY)])
    assert np.array_equal(np.sort(tested), np.arange(len(data)))


def test_rare_classes_count_where_that_is_asked_for() -> None:
    plan = plan_folds(easy_set([30, 20, 9, 2], (1, 4, 4)), judge_rare=True)
    assert (plan.folds, plan.evaluated, plan.rare) == (2, (0, 1, 2, 3), ())
    assert "under 10: 'class 2' (9), 'class 3' (2); each weighs much" in plan.warnings[0]
    assert plan.warnings[1] == "class 'class 3' has only 2 images (or groups): 2 folds instead of 5"


@pytest.mark.parametrize(
    ("counts", "folds", "evaluated", "rare"),
    [
        ([10, 10, 9], 5, (0, 1), (2,)),
        ([300, 8, 2], 5, (0, 1), (2,)),
        ([9, 7, 5], 5, (0, 1, 2), ()),
        ([9, 7, 4], 5, (0, 1), (2,)),
        ([300, 4, 3], 3, (0, 1, 2), ()),
        ([4, 1, 3], 3, (0, 2), ()),
    ],
)
def test_where_all_classes_are_rare_those_count_that_fill_the_folds_and_else_all(
    counts: list[int], folds: int, evaluated: tuple[int, ...], rare: tuple[int, ...]
) -> None:
    plan = plan_folds(easy_set(counts, (1, 4, 4)))
    assert (plan.folds, plan.evaluated, plan.rare) == (folds, evaluated, rare)
    assert len(plan.warnings) == bool(rare) + (min(counts[label] for label in evaluated) < 10) + (folds < 5)


def test_a_patient_with_the_only_image_of_a_class_leaves_the_others_to_judge() -> None:
    # Patient 0 alone has class 2 and is never tested; of class 1 that leaves one patient to test.
    data = a_set([[(0, 1), (1, 1), (2, 1)], *[[(0, 1)]] * 6, [(1, 1)], *[[(3, 1)]] * 5])
    plan = plan_folds(data)
    assert (plan.evaluated, plan.rare) == ((0, 3), (1,))
    assert any("1 image(s) of other classes are never tested" in warning for warning in plan.warnings)
    check(data, plan, make_splits(data, plan, 0, KEY))


def test_what_cannot_be_had_is_said() -> None:
    # Two folds, three patients, any two of which share a class: one of the classes has both in one fold.
    data = a_set([[(0, 1), (1, 1)], [(1, 1), (2, 1)], [(2, 1), (0, 1)]])
    plan = plan_folds(data)
    assert plan.folds == 2
    assert len(given_up(plan)) == 1
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
        assert np.array_equal(shown[:], study.images[split.test])
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
    sealed.shown_to(lambda images: images[:].fill(0))
    assert sealed.shown_to(lambda images: images[:].any()), "who is shown the images cannot change them"


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
