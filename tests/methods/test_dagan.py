from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from made_up_sets import easy_set
from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators.problem import GanProblem
from tenfold.methods import dagan

SMALL = dagan.Config(steps=4, batch_size=8, width=4, noise_size=6, least_diversity=0.0, label_filter=False)


def drawn_pairs(counts: list[int], count: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Indices of real and of given images in the set, which are all different."""
    train = easy_set(counts)
    config = replace(SMALL, turns=False, **options)
    problem = problem_of(train, config)
    real, condition = problem.draw(problem.images, count, Key("draws").torch_generator())
    return places(real, train), places(condition, train)


def places(images: torch.Tensor, train: ImageDataset) -> np.ndarray:
    """Which images of the set they are."""
    known = {image.numpy().tobytes(): index for index, image in enumerate(to_float(torch.tensor(train.images)))}
    return np.array([known[image.numpy().tobytes()] for image in images])


def test_pairs_are_two_different_images_of_one_class_and_classes_come_equally_often() -> None:
    counts = [20, 2, 5, 1, 3]
    labels = np.repeat(np.arange(5), counts)
    first, second = drawn_pairs(counts, 6000)
    assert np.array_equal(labels[first], labels[second])
    assert (first != second).all()
    times = np.bincount(labels[first], minlength=5)
    assert times[3] == 0, "one image makes no pair"
    assert stats.chisquare(times[[0, 1, 2, 4]]).pvalue > 0.001


@pytest.mark.parametrize("size", [2, 3, 5])
def test_all_ordered_pairs_of_a_class_are_equally_likely(size: int) -> None:
    first, second = drawn_pairs([size, size], 6000)
    times = np.bincount(first * 2 * size + second, minlength=4 * size**2)
    assert (times > 0).sum() == 2 * size * (size - 1)
    assert stats.chisquare(times[times > 0]).pvalue > 0.001


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(lambda counts: max(counts) > 1))
def test_pairs_are_sound_whatever_the_sizes_of_classes(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    first, second = drawn_pairs(counts, 50)
    assert np.array_equal(labels[first], labels[second])
    assert (first != second).all()


@pytest.mark.parametrize(
    ("shape", "preset", "ways"),
    [((1, 8, 8), "fast", 8), ((3, 8, 12), "fast", 2), ((1, 8, 8), "paper", 4), ((3, 8, 12), "paper", 1)],
    ids=str,
)
def test_both_of_a_pair_are_turned_alike(shape: tuple[int, int, int], preset: str, ways: int) -> None:
    batch = torch.rand(3, *shape, generator=Key("batch").torch_generator())
    seen = set()
    for name in range(60):
        twice = dagan.turned(torch.cat([batch, batch]), preset, Key(f"turn/{name}").torch_generator())
        assert twice.shape[2:] == batch.shape[2:]
        assert torch.equal(twice[:3], twice[3:])
        seen.add(twice[0].numpy().tobytes())
    assert len(seen) == ways


def test_whole_classes_are_held_out_where_there_are_many() -> None:
    train = easy_set([3] * 40)
    problem = problem_of(train, replace(SMALL, turns=False))
    assert problem.held_out is not None
    real, condition = (train.labels[places(part, train)].tolist() for part in problem.held_out)
    assert real == condition
    assert len(set(real)) == 4
    many = problem.draw(problem.images, 4000, Key("draws").torch_generator())[0]
    assert set(train.labels[places(many, train)]) == set(range(40)) - set(real)
    probed = set(train.labels[places(problem.probe, train)])
    assert probed == set(real), "variety is asked of what was not trained on"
    assert problem_of(easy_set([3] * 31), SMALL).held_out is None


def test_the_spread_of_the_probe_is_that_of_its_classes() -> None:
    train = easy_set([4, 3, 1, 2])
    problem = problem_of(train, SMALL)
    images = to_float(torch.tensor(train.images)).numpy()
    labels = train.labels[places(problem.probe, train)].tolist()
    assert sorted(labels) == [0, 1, 3]
    expected = [images[train.labels == label].std(0).mean() for label in labels]
    assert problem.probe_spread.numpy() == pytest.approx(np.array(expected), abs=1e-5)


def test_the_generator_is_applied_to_classes_it_never_saw() -> None:
    source, new = easy_set([4, 4, 4]), easy_set([2, 3], key="new", noise=5)
    method = dagan.Method(replace(SMALL, head="deform"))
    learned = method.learn(source, Key("one"))
    grown = method.more(learned, new, np.repeat(np.arange(5), 4), Key("two"))
    assert np.array_equal(np.bincount(grown.labels), [8, 12])
    assert [parent for (parent,) in grown.parents] == sorted(np.repeat(np.arange(5), 4).tolist())
    for image, (parent,) in zip(grown.images, grown.parents, strict=True):
        apart = np.abs(image.astype(float) - new.images[parent])
        stranger = np.abs(image.astype(float) - new.images[0 if new.labels[parent] else 4])
        assert apart.mean() < stranger.mean(), "what came out is of the class that went in"


def problem_of(train: ImageDataset, config: dagan.Config = SMALL) -> GanProblem:
    return dagan.Dagan(config, train.class_names, train.image_shape).problem(train, Key("one"))
