from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.core.keys import Key
from tenfold.networks import unet as deforming
from tenfold.networks.blocks import build

NOISE_SIZE = 6
HEADS = ["deform", "pixels", "both"]
SIDES = [8, 16, 28, 32, 45, 64, 128]


def random_images(count: int, shape: tuple[int, int, int], name: str = "pictures") -> torch.Tensor:
    """Smooth ones, as a shift of a fraction of a pixel changes noise beyond recognition."""
    coarse = torch.rand(count, shape[0], 4, 4, generator=Key(name).torch_generator()) * 2 - 1
    return F.interpolate(coarse, size=shape[1:], mode="bilinear", align_corners=False)


def noise(count: int, name: str = "noise") -> torch.Tensor:
    return torch.randn(count, NOISE_SIZE, generator=Key(name).torch_generator())


def a_generator(shape: tuple[int, int, int], head: deforming.Head = "both") -> deforming.Generator:
    read = deforming.read_at(torch.zeros(1, *shape)).shape
    return build(
        lambda: deforming.Generator((read[1], read[2], read[3]), 4, NOISE_SIZE, head),
        Key("generator").torch_generator(),
    )


def a_critic(shape: tuple[int, int, int]) -> deforming.Critic:
    return build(lambda: deforming.Critic(shape, 4), Key("critic").torch_generator())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("head", HEADS)
def test_every_size_runs_forward_and_backward(side: int, channels: int, head: Any) -> None:
    given_images = random_images(3, (channels, side, side))
    generator = a_generator((channels, side, side), head)
    made = generator(noise(3), given_images)
    assert made.shape == given_images.shape
    assert made.abs().max() <= 1 + 1e-6
    read, others = deforming.read_at(made), deforming.read_at(given_images)
    scores = a_critic((channels, read.shape[2], read.shape[3]))(read, others)
    assert scores.shape == (3,)
    scores.sum().backward()
    slopes = {name: weight.grad for name, weight in generator.named_parameters()}
    first = {"deform": ["field.weight", "affine.weight"], "pixels": ["residual.weight"]}
    for name in first["deform"] * (head != "pixels") + first["pixels"] * (head != "deform"):
        assert slopes[name] is not None
        assert slopes[name].any(), name
    assert all(slope is None or slope.isfinite().all() for slope in slopes.values())


@pytest.mark.parametrize("shape", [(1, 12, 30), (3, 33, 20), (1, 50, 20)], ids=str)
@pytest.mark.parametrize("head", HEADS)
def test_images_need_not_be_square(shape: tuple[int, int, int], head: Any) -> None:
    assert a_generator(shape, head)(noise(2), random_images(2, shape)).shape == (2, *shape)


@given(st.integers(1, 40))
def test_the_maps_hold_the_image_and_end_small(side: int) -> None:
    sides = deforming.map_sides(side)
    assert len(sides) >= 2
    assert sides[0] >= side
    assert all(larger == 2 * smaller for larger, smaller in pairwise(sides))
    assert sides[-1] <= 7
    if side >= 8:
        assert sides[-1] >= 4
        assert sides[0] < side + 2 ** (len(sides) - 1)


def test_every_small_side_has_a_network() -> None:
    for side in range(2, 41):
        assert a_generator((1, side, side))(noise(1), random_images(1, (1, side, side))).shape == (1, 1, side, side)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("head", ["deform", "both"])
def test_a_deformation_starts_near_the_identity(side: int, channels: int, head: Any) -> None:
    given_images = random_images(16, (channels, side, side))
    made = a_generator((channels, side, side), head)(noise(16), given_images).detach()
    apart = (made - given_images).abs().mean((1, 2, 3))
    strangers = (given_images.roll(1, 0) - given_images).abs().mean()
    assert apart.max() < 0.3 * strangers
    assert apart.min() > 0, "though noise already moves it a little"


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 13, 30)], ids=str)
def test_no_displacement_is_the_identity(shape: tuple[int, int, int]) -> None:
    given_images = torch.rand(4, *shape, generator=Key("noise").torch_generator()) * 2 - 1
    same = deforming.deformed(given_images, torch.zeros(4, 2, 7, 7), torch.zeros(4, 6))
    assert torch.allclose(same, given_images, atol=1e-4)


def test_a_displacement_moves_by_what_it_says() -> None:
    ramp = torch.linspace(-1, 1, 33)[1::2].expand(2, 1, 16, 16)  # each pixel holds where it lies, across
    field = torch.zeros(2, 2, 5, 5)
    field[:, 0] = torch.atanh(torch.tensor(0.5))
    moved = deforming.deformed(ramp, field, torch.zeros(2, 6))
    validation = slice(4, 12)
    assert torch.allclose(
        moved[..., validation, validation], ramp[..., validation, validation] + deforming.REACH / 2, atol=1e-4
    )
    field = field.flip(1)  # down, along which nothing changes
    assert torch.allclose(
        deforming.deformed(ramp, field, torch.zeros(2, 6))[..., validation, :], ramp[..., validation, :], atol=1e-4
    )
    affine = torch.zeros(2, 6)
    affine[:, 0] = -50.0  # the first entry of the matrix, at its bound
    shrunk = deforming.deformed(ramp, torch.zeros(2, 2, 5, 5), affine)
    assert torch.allclose(shrunk, (1 - deforming.LEAN) * ramp, atol=1e-4)


@settings(max_examples=20)
@given(st.floats(-1e6, 1e6, width=32), st.sampled_from([(8, 8), (21, 14)]))
def test_whatever_the_network_says_the_image_stays_one(value: float, size: tuple[int, int]) -> None:
    given_images = random_images(2, (1, *size))
    made = deforming.deformed(given_images, torch.full((2, 2, 4, 4), value), torch.full((2, 6), -value))
    assert made.isfinite().all()
    assert made.abs().max() <= 1 + 1e-5


def test_large_images_are_deformed_at_full_size() -> None:
    """Fine stripes, of which the network at half the side sees only grey, are stripes still."""
    stripes = torch.tensor([-1.0, 1.0]).repeat(64).expand(2, 1, 128, 128)
    assert deforming.read_at(stripes).abs().max() < 1e-6
    generator = a_generator((1, 128, 128), "deform")
    with torch.no_grad():
        generator.field.weight.zero_()
    assert torch.allclose(generator(noise(2), stripes), stripes, atol=1e-3)


@pytest.mark.parametrize("head", HEADS)
def test_the_same_weights_draw_at_any_size_that_reads_alike(head: Any) -> None:
    generator = a_generator((1, 28, 28), head)
    small, large = random_images(3, (1, 28, 28)), random_images(3, (1, 56, 56))
    assert generator(noise(3), large).shape == large.shape
    resized = F.avg_pool2d(generator(noise(3), large), 2)
    assert (resized - generator(noise(3), small)).abs().mean() < 0.1


def test_noise_and_image_both_count() -> None:
    for head in HEADS:
        generator = a_generator((1, 16, 16), head)
        one, other = random_images(2, (1, 16, 16), "one"), random_images(2, (1, 16, 16), "other")
        made = generator(noise(2), one)
        assert not torch.equal(made, generator(noise(2, "others"), one))
        assert not torch.equal(made, generator(noise(2), other))
        critic = a_critic((1, 16, 16))
        assert not torch.equal(critic(made, one), critic(made, other))


def test_half_precision_moves_no_image() -> None:
    """Eight bits are too few for where a pixel lies."""
    given_images = torch.rand(4, 1, 45, 45, generator=Key("noise").torch_generator()) * 2 - 1
    with torch.autocast("cpu", torch.bfloat16):
        same = deforming.deformed(given_images, torch.zeros(4, 2, 7, 7), torch.zeros(4, 6))
    assert torch.allclose(same, given_images, atol=1e-3)


def test_what_was_drawn_before_stands_in_no_trainings_way() -> None:
    """In one process a study draws after one training and before the next."""
    shape, affine = (1, 19, 19), torch.zeros(2, 6)
    deforming._places.cache_clear()
    with torch.inference_mode():
        deforming.deformed(random_images(2, shape), torch.zeros(2, 2, 4, 4), affine)
    field = torch.zeros(2, 2, 4, 4, requires_grad=True)
    deforming.deformed(random_images(2, shape), field, affine.requires_grad_()).sum().backward()
    assert field.grad is not None
    assert affine.grad is not None
