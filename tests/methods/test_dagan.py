from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from made_up_sets import easy_set
from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators.problem import GanProblem
from tenfold.methods import MethodFailed, dagan, make_method

SMALL = dagan.Config(steps=4, batch_size=8, width=4, noise_size=6, least_diversity=0.0, label_filter=False)
HEADS: tuple[Any, ...] = ("deform", "pixels", "both")
SIDES = [8, 16, 28, 32, 45, 64, 128]


def random_images(count: int, shape: tuple[int, int, int], name: str = "pictures") -> torch.Tensor:
    """Smooth ones, as a shift of a fraction of a pixel changes noise beyond recognition."""
    coarse = torch.rand(count, shape[0], 4, 4, generator=Key(name).torch_generator()) * 2 - 1
    return F.interpolate(coarse, size=shape[1:], mode="bilinear", align_corners=False)


def noise(count: int, name: str = "noise") -> torch.Tensor:
    return torch.randn(count, SMALL.noise_size, generator=Key(name).torch_generator())


def drawn_pairs(counts: list[int], count: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Indices of real and of given images in the set, which are all different."""
    train = easy_set(counts)
    config = replace(SMALL, turns=False, **options)
    problem = problem_of(train, config)
    real, condition = problem.draw(problem.images, count, Key("draws").torch_generator())
    place = {image.numpy().tobytes(): index for index, image in enumerate(to_float(torch.tensor(train.images)))}
    first, second = ([place[one.numpy().tobytes()] for one in part] for part in (real, condition))
    return np.array(first), np.array(second)


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
    place = {
        image.numpy().tobytes(): label
        for image, label in zip(to_float(torch.tensor(train.images)), train.labels.tolist(), strict=True)
    }
    real, condition = ([place[one.numpy().tobytes()] for one in part] for part in problem.held_out)
    assert real == condition
    assert len(set(real)) == 4
    many = problem.draw(problem.images, 4000, Key("draws").torch_generator())[0]
    drawn = {place[one.numpy().tobytes()] for one in many}
    assert drawn == set(range(40)) - set(real)
    probed = {place[one.numpy().tobytes()] for one in problem.probe}
    assert probed == set(real), "variety is asked of what was not trained on"
    assert problem_of(easy_set([3] * 31), SMALL).held_out is None


def test_the_spread_of_the_probe_is_that_of_its_classes() -> None:
    train = easy_set([4, 3, 1, 2])
    problem = problem_of(train, SMALL)
    images = to_float(torch.tensor(train.images)).numpy()
    place = {image.tobytes(): label for image, label in zip(images, train.labels.tolist(), strict=True)}
    labels = [place[one.numpy().tobytes()] for one in problem.probe]
    assert sorted(labels) == [0, 1, 3]
    expected = [images[train.labels == label].std(0).mean() for label in labels]
    assert problem.probe_spread.numpy() == pytest.approx(np.array(expected), abs=1e-5)


def test_no_class_with_two_images_is_too_little() -> None:
    with pytest.raises(MethodFailed, match="no class has two images"):
        dagan.Method(SMALL).learn(easy_set([1, 1, 0, 1]), Key("one"))


def test_a_class_of_one_image_is_no_source_but_is_grown() -> None:
    train = easy_set([4, 1])
    grown = dagan.Method(SMALL).grow(train, 3, Key("one"))
    assert np.array_equal(np.bincount(grown.labels), [12, 3])
    assert all(parents == (4,) for parents in grown.parents[12:])


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


@pytest.mark.parametrize("side", [28, 45, 64])
def test_an_empty_network_holds_the_weights_of_a_trained_one(side: int) -> None:
    train = easy_set([3, 2], (1, side, side))
    trained, empty = (dagan.Method(SMALL).generator(train) for _ in range(2))
    trained.network = problem_of(train).generator.eval()
    empty.load(trained.network.state_dict())
    conditions = trained.conditions(train, Key("one"))(np.array([0, 4]), np.array([1, 2]))
    first, second = (one.sample(conditions, [1, 2], train.image_shape) for one in (trained, empty))
    assert first.shape == (2, 1, side, side)
    assert np.array_equal(first, second)


def problem_of(train: ImageDataset, config: dagan.Config = SMALL) -> GanProblem:
    return dagan.Dagan(config, train.class_names, train.image_shape).problem(train, Key("one"))


def test_what_is_given_wins_over_the_preset() -> None:
    assert make_method("dagan").config == dagan.Config() == dagan.PRESETS["fast"]
    assert make_method("dagan", {"preset": "paper"}).config == dagan.PRESETS["paper"]
    paper = make_method("dagan", {"preset": "paper", "steps": 7, "penalty": 0.0}).config
    assert (paper.steps, paper.penalty) == (7, 0.0)
    assert (paper.loss, paper.critic_steps, paper.head) == ("wasserstein", 5, "pixels")
    assert (dagan.Config().loss, dagan.Config().critic_steps, dagan.Config().head) == ("relativistic", 1, "deform")
    assert dagan.Config().steps is None, "the set decides on them"


@pytest.mark.parametrize(("counts", "steps"), [([3, 2], 150), ([300], 375), ([1200], 1500), ([1700], 2000)])
def test_steps_follow_the_size_of_the_set_unless_they_are_given(counts: list[int], steps: int) -> None:
    train = easy_set(counts)
    for config, wanted in (
        (dagan.Config(), steps),
        (dagan.Config(steps=7), 7),
        (dagan.PRESETS["paper"], 20000),
    ):
        assert dagan.Method(config).for_set(train).config.steps == wanted
