from __future__ import annotations

import ast
import inspect
import typing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tenfold
from made_up_sets import easy_set
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.splits import SealedFold, make_splits, open_fold, part_of, plan_folds
from tenfold.methods import method_class, method_names

KEY = Key("tests/sealed")
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


def test_who_is_shown_the_test_images_cannot_change_them() -> None:
    sealed = SealedFold(easy_set([2, 2]).rows, np.arange(4), np.arange(4))
    sealed.shown_to(lambda images: images.fill(0))
    assert sealed.shown_to(lambda images: images.any())


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


@settings(max_examples=50, deadline=None)
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
