from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from made_up_sets import easy_set
from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators.problem import GanProblem
from tenfold.methods import cgan
from tenfold.networks.blocks import build

SMALL = cgan.Config(steps=20, batch_size=8, width=4, label_filter=False)

SHAPES = [(c, s, s) for c in (1, 3) for s in (4, 8, 14, 28, 40)] + [(1, 9, 20), (3, 30, 17)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_size_is_drawn_and_judged(shape: tuple[int, int, int]) -> None:
    generator = build(lambda: cgan.Generator(shape, 3, SMALL), Key("generator").torch_generator())
    critic = build(lambda: cgan.Critic(shape, 3, SMALL), Key("critic").torch_generator())
    noise = torch.randn(5, SMALL.noise_size, generator=Key("noise").torch_generator())
    images = generator(noise, torch.tensor([0, 1, 2, 0, 1]))
    assert images.shape == (5, *shape)
    assert images.abs().max() <= 1
    scores = critic(images, torch.tensor([0, 1, 2, 0, 1]))
    assert scores.shape == (5,)
    scores.sum().backward()
    used = [name for name, weight in generator.named_parameters() if weight.grad is not None and weight.grad.any()]
    assert "to_picture.weight" in used
    assert "embedding.weight" in used


def problem_of(train: ImageDataset) -> GanProblem:
    return cgan.Cgan(SMALL, train.class_names, train.image_shape).problem(train, Key("one"))


def test_without_labels_the_class_makes_no_difference() -> None:
    generator = build(lambda: cgan.Generator((1, 8, 8), 2, SMALL), Key("generator").torch_generator())
    critic = build(lambda: cgan.Critic((1, 8, 8), 2, SMALL), Key("critic").torch_generator())
    noise = torch.randn(4, SMALL.noise_size, generator=Key("noise").torch_generator())
    one, other = (torch.full((4,), label) for label in (0, 1))
    images = generator(noise, one, 0.0)
    assert torch.equal(images, generator(noise, other, 0.0))
    assert not torch.equal(generator(noise, one, 1.0), generator(noise, other, 1.0))
    assert torch.equal(critic(images, one, 0.0), critic(images, other, 0.0))
    assert not torch.equal(critic(images, one, 1.0), critic(images, other, 1.0))


def test_large_images_are_drawn_at_half_the_side() -> None:
    assert cgan.shrunk(torch.zeros(1, 3, 40, 40)).shape == (1, 3, 40, 40)
    assert cgan.shrunk(torch.zeros(1, 3, 45, 45)).shape == (1, 3, 23, 23)
    assert cgan.shrunk(torch.zeros(1, 1, 30, 64)).shape == (1, 1, 15, 32)
    assert torch.equal(cgan.shrunk(torch.full((1, 1, 45, 45), 0.5)), torch.full((1, 1, 23, 23), 0.5))


def test_classes_come_equally_often_and_each_with_its_own_images() -> None:
    train = easy_set([40, 10, 2])
    problem = problem_of(train)
    drawn, labels = problem.draw(problem.images, 3000, Key("draws").torch_generator())
    assert stats.chisquare(np.bincount(labels, minlength=3)).pvalue > 0.001
    images = to_float(torch.tensor(train.images)).numpy()
    real = {image.tobytes(): label for image, label in zip(images, train.labels, strict=True)}
    assert all(real[one.numpy().tobytes()] == label for one, label in zip(drawn, labels.tolist(), strict=True))


def test_what_is_held_out_is_never_drawn() -> None:
    train = easy_set([60, 60])
    problem = problem_of(train)
    assert problem.held_out is not None
    apart = {one.numpy().tobytes() for one in problem.held_out[0]}
    assert len(apart) == 12
    drawn = {one.numpy().tobytes() for one in problem.draw(problem.images, 4000, Key("draws").torch_generator())[0]}
    assert not apart & drawn
    assert len(drawn) == 108
    assert problem_of(easy_set([30, 30])).held_out is None, "too few to spare"


def test_a_class_without_images_is_no_obstacle() -> None:
    train = easy_set([4, 4, 2])
    train = train.take(np.flatnonzero(train.labels != 1))
    grown = cgan.Method(SMALL).grow(train, 1, Key("one"))
    assert set(grown.labels) == {0, 2}


def test_small_images_take_fewer_steps_at_twice_the_rate_and_given_steps_stay() -> None:
    usual = cgan.Config().learning_rate
    small, large = easy_set([2, 2]), easy_set([2, 2], (1, 28, 28))
    of = [
        (m.config.steps, m.config.learning_rate)
        for m in (cgan.Method(cgan.Config()).for_set(s) for s in (small, large))
    ]
    assert of == [(250, 2 * usual), (1000, usual)]
    given = cgan.Method(cgan.Config(steps=500)).for_set(small).config
    assert (given.steps, given.learning_rate) == (500, usual)
