from __future__ import annotations

import numpy as np
import pytest
import torch

from made_up_sets import easy_set
from tenfold.core.keys import Key
from tenfold.methods import cgan
from tenfold.methods.base import MethodFailed
from tenfold.nets.blocks import build

SMALL = cgan.Config(steps=20, batch_size=8, width=4)

SHAPES = [(c, s, s) for c in (1, 3) for s in (4, 8, 14, 28, 40, 45, 64)]


def a_generator(shape: tuple[int, int, int] = (1, 8, 8), classes: int = 3) -> cgan.Generator:
    return build(lambda: cgan.Generator(shape, classes, SMALL), Key("generator").torch_generator()).eval()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_size_is_drawn_and_judged(shape: tuple[int, int, int]) -> None:
    generator = a_generator(shape)
    critic = build(lambda: cgan.Critic(shape, 3, SMALL), Key("critic").torch_generator())
    noise = torch.randn(5, SMALL.noise_size, generator=Key("noise").torch_generator())
    pictures = generator(noise, torch.tensor([0, 1, 2, 0, 1]))
    assert pictures.shape == (5, *shape)
    assert pictures.abs().max() <= 1
    assert critic(pictures, torch.tensor([0, 1, 2, 0, 1])).shape == (5,)


def test_what_a_seed_gives_does_not_depend_on_its_neighbours() -> None:
    generator = a_generator()
    labels = np.arange(200) % 3
    seeds = list(range(1000, 1200))
    together = cgan.sample(generator, labels, seeds, 8)
    backwards = cgan.sample(generator, labels[::-1].copy(), seeds[::-1], 8)[::-1]
    assert np.abs(together.astype(int) - backwards).max() <= 1
    for index in (0, 127, 128, 199):
        alone = cgan.sample(generator, labels[index : index + 1], [seeds[index]], 8)
        # A batch of another size may be summed in another order: one grey level at most.
        assert np.abs(alone[0].astype(int) - together[index]).max() <= 1


def test_other_seeds_and_other_classes_give_other_pictures() -> None:
    generator = a_generator()
    one, other_seed, other_class = (
        cgan.sample(generator, np.array([k]), [s], 8) for k, s in ((0, 1), (0, 2), (1, 1))
    )
    assert not np.array_equal(one, other_seed)
    assert not np.array_equal(one, other_class)


def test_a_generator_that_draws_one_picture_is_told() -> None:
    train = easy_set([6, 6])
    constant = np.repeat(train.images[:1], 12, axis=0)
    with pytest.raises(MethodFailed, match="collapsed"):
        cgan._check_diversity(constant, train.labels, train, cgan.Config())
    assert cgan._check_diversity(train.images, train.labels, train, cgan.Config()) == pytest.approx(1)


def test_one_collapsed_class_among_sound_ones_is_no_alarm_and_one_image_a_class_nothing_to_judge() -> None:
    train = easy_set([6, 6, 6])
    images = train.images.copy()
    images[:6] = images[0]
    assert cgan._check_diversity(images, train.labels, train, cgan.Config()) == pytest.approx(1)
    single = easy_set([1, 1])
    assert cgan._check_diversity(single.images, single.labels, single, cgan.Config()) == 1


def test_a_collapsed_generator_is_never_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_picture(generator: cgan.Generator, labels: np.ndarray, seeds: list[int], side: int) -> np.ndarray:
        return np.full((len(seeds), 1, side, side), 90, np.uint8)

    monkeypatch.setattr(cgan, "sample", one_picture)
    with pytest.raises(MethodFailed, match="nothing is used from it"):
        cgan.Method(SMALL).fit(easy_set([4, 4]), None, Key("one"))


def test_a_short_training_moves_towards_the_classes() -> None:
    train = easy_set([8, 8], noise=10)
    config = cgan.Config(steps=120, batch_size=16, width=4)
    grown = cgan.Method(config).grow(train, 2, Key("one"))
    means = [train.images[train.labels == k].mean(0) for k in range(2)]
    made = [grown.images[grown.labels == k].mean(0) for k in range(2)]
    right = sum(np.abs(made[k] - means[k]).mean() < np.abs(made[k] - means[1 - k]).mean() for k in range(2))
    assert right == 2


def test_both_halves_of_a_batch_are_disturbed_alike() -> None:
    half = torch.rand(6, 3, 16, 16, generator=Key("half").torch_generator()) * 2 - 1
    disturbed = cgan.disturb(torch.cat([half, half]), Key("draws").torch_generator())
    assert disturbed.shape == (12, 3, 16, 16)
    assert torch.equal(disturbed[:6], disturbed[6:])
    assert not torch.allclose(disturbed[:6], half, atol=0.05)


def test_the_critics_view_lets_slopes_through() -> None:
    given = torch.zeros(4, 1, 8, 8, requires_grad=True)
    cgan.disturb(given, Key("draws").torch_generator()).sum().backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0


def test_a_class_without_images_is_no_obstacle() -> None:
    train = easy_set([4, 4, 2])
    train = train.take(np.flatnonzero(train.labels != 1))
    grown = cgan.Method(SMALL).grow(train, 1, Key("one"))
    assert set(grown.labels) == {0, 2}
