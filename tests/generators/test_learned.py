from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tenfold.core.keys import Key
from tenfold.generators import NoiseConfig, NoiseGenerator
from tenfold.generators.learned import redrawing
from tenfold.transforms import Learned


class White(NoiseGenerator):
    """Draws images that are black or white, by the sign of its noise, and keeps the classes that it was asked for."""

    def __init__(self, refused: str | None = None) -> None:
        super().__init__(NoiseConfig(noise_size=2), ("a", "b"), (1, 4, 4))
        self.refused = refused
        self.asked: list[list[int]] = []

    @property
    def refusal(self) -> str | None:
        return self.refused

    def _drawn(self, noise: Tensor, given: Tensor, sides: Sequence[int]) -> Tensor:
        self.asked.append(given.tolist())
        return noise[:, :1, None, None].sign().expand(-1, 1, *sides)

    learn = start = make_network = lambda self, *_: None  # type: ignore[assignment]


def batch(count: int = 400) -> tuple[Tensor, Tensor]:
    return torch.full((count, 1, 4, 4), 0.5), torch.arange(count) % 2


def changed(images: Tensor) -> Tensor:
    return (images != 0.5).flatten(1).any(1)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_share_of_the_images_is_drawn_anew_and_labels_stay(share: float) -> None:
    images, labels = batch()
    new, same = Learned(White(), share)(images, labels, torch.Generator().manual_seed(1))
    assert changed(new).float().mean() == pytest.approx(share, abs=0.08)
    assert set(new[changed(new)].unique().tolist()) == {0.0, 1.0}, "in the range of the images"
    assert same is labels
    assert torch.equal(images, torch.full_like(images, 0.5)), "the batch that was handed over is as it was"


def test_each_is_drawn_of_its_own_class() -> None:
    generator, (images, labels) = White(), batch(50)
    for told in (labels, torch.nn.functional.one_hot(labels, 2).float()):
        generator.asked.clear()
        new, _ = Learned(generator)(images, told, torch.Generator().manual_seed(1))
        assert generator.asked == [labels[changed(new)].tolist()]


def test_none_and_all() -> None:
    images, labels = batch()
    assert not changed(Learned(White(), 0.0)(images, labels)[0]).any()
    assert changed(Learned(White(), 1.0)(images, labels)[0]).all()


def test_draws_come_from_the_generator_or_from_a_stream_of_its_own() -> None:
    images, labels = batch()
    before = torch.random.get_rng_state()
    one, again = (Learned(White())(images, labels, torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(one, again)
    change = Learned(White(), seed=1)
    first, second = change(images, labels)[0], change(images, labels)[0]
    assert not torch.equal(first, second)
    assert torch.equal(Learned(White(), seed=1)(images, labels)[0], first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bytes_become_floats_and_half_precision_stays() -> None:
    _, labels = batch(20)
    new, _ = redrawing(White(), 1.0)(torch.zeros(20, 1, 4, 4, dtype=torch.uint8), labels, Key("a").torch_generator())
    assert set(new.unique().tolist()) == {-1.0, 1.0}
    half, _ = Learned(White(), 0.5)(torch.zeros(20, 1, 4, 4, dtype=torch.float16), labels)
    assert half.dtype == torch.float16


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_outside_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Learned(White(), share)


def test_what_may_not_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match="none may be used"):
        Learned(White("none may be used"))
