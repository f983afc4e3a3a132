from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from made_up_sets import easy_set
from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.generators import problem

KEY = Key("generating")


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=6).filter(any),
    st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5]),
    st.integers(0, 5),
)
def test_of_no_class_more_than_its_share_is_held_out(counts: list[int], share: float, name: int) -> None:
    train = easy_set(counts, (1, 2, 2))
    learned, apart = problem.held_out(train, share, Key(f"held/{name}"))
    assert np.array_equal(np.sort(np.concatenate([learned, apart])), np.arange(len(train)))
    allowed = [int(count * share) for count in counts]
    taken = np.bincount(train.labels[apart], minlength=len(counts)).tolist()
    assert taken == (allowed if sum(allowed) >= 8 else [0] * len(counts))
    again = problem.held_out(train, share, Key(f"held/{name}"))
    assert np.array_equal(again[1], apart)


@pytest.mark.parametrize(
    ("shape", "scale"), [((1, 8, 8), 1), ((1, 28, 28), 12.25), ((3, 32, 32), 48), ((3, 128, 128), 48)]
)
def test_the_penalty_grows_with_the_image_to_an_end(shape: tuple[int, int, int], scale: float) -> None:
    train = easy_set([2, 2], shape)
    layer = partial(torch.nn.Linear, 1, 1)
    made = problem.labelled_problem(to_float(torch.tensor(train.images)), train, layer, layer, 0.0, KEY)
    assert made.penalty_scale == scale


def test_another_key_holds_others_out() -> None:
    train = easy_set([100, 100], (1, 2, 2))
    first, second = (problem.held_out(train, 0.1, Key(name))[1] for name in "ab")
    assert not np.array_equal(first, second)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20).filter(any))
def test_the_probe_is_of_classes_that_have_two_images(counts: list[int]) -> None:
    train = easy_set(counts, (1, 3, 3))
    images, labels = to_float(torch.tensor(train.images)), torch.tensor(train.labels)
    probe, spread_ = problem.spread_of(images, labels, len(counts))
    plural = [label for label, count in enumerate(counts) if count > 1][:16]
    assert probe.tolist() == (plural or [int(train.labels[0])])
    for label, result in zip(probe.tolist(), spread_.tolist(), strict=True):
        expected = images[labels == label].numpy().std(0).mean()
        assert result == pytest.approx(expected, abs=1e-5)
    assert plural or spread_.tolist() == [0]
