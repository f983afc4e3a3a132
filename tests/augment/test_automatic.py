from __future__ import annotations

import math

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.augment import RandAugment, TrivialAugment
from tenfold.augment.automatic import COUNT, USUAL, WIDE, Operation, Space, operate
from tenfold.augment.tensors import SIGNED, UNIT, Range, to_float
from tenfold.core.keys import Key


def uniform_p_value(operations: torch.Tensor) -> float:
    return float(scipy.stats.chisquare(torch.bincount(operations.flatten(), minlength=COUNT).numpy()).pvalue)


def test_trivial_draws_each_operation_alike_and_strengths_uniformly() -> None:
    operation, strength = TrivialAugment().draw(8000, Key("law").torch_generator())
    assert uniform_p_value(operation) > 0.001
    assert scipy.stats.kstest(strength.numpy(), scipy.stats.uniform(-1, 2).cdf).pvalue > 0.001
    for kind in range(COUNT):
        own = strength[operation == kind].numpy()
        assert scipy.stats.kstest(own, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-4, "strength depends on operation"


def test_rand_draws_each_operation_alike_and_a_sign_for_each() -> None:
    operation, strength = RandAugment(3, 0.4).draw(4000, Key("law").torch_generator())
    assert operation.shape == strength.shape == (3, 4000)
    assert uniform_p_value(operation) > 0.001
    assert torch.equal(strength.abs(), torch.full((3, 4000), 0.4))
    assert scipy.stats.binomtest(int((strength > 0).sum()), 12000).pvalue > 0.001
    assert (
        scipy.stats.chi2_contingency(
            torch.bincount(operation[0] * COUNT + operation[1], minlength=COUNT**2).view(COUNT, COUNT).numpy()
        ).pvalue
        > 0.001
    ), "the first operation tells the second"


WITH_STRENGTH = [kind for kind in Operation if kind < Operation.AUTOCONTRAST]


def floats(*shape: int, value_range: Range = UNIT) -> torch.Tensor:
    low, high = value_range
    return torch.rand(shape, generator=Key("operations").torch_generator()) * (high - low) + low


def every_operation(strength: float, times: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    operation = torch.arange(COUNT).repeat(times)
    signs = torch.tensor([1.0, -1.0]).repeat(len(operation))[: len(operation)]
    return operation, signs * strength


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("value_range", [UNIT, SIGNED], ids=str)
def test_strength_zero_leaves_every_bit(channels: int, value_range: Range) -> None:
    images = floats(COUNT, channels, 20, 18, value_range=value_range)
    changed = operate(images, *every_operation(0.0), value_range=value_range)
    with_strength = torch.tensor(WITH_STRENGTH)
    assert torch.equal(changed[with_strength], images[with_strength])
    assert not torch.equal(changed[Operation.AUTOCONTRAST], images[Operation.AUTOCONTRAST])
    assert changed.data_ptr() != images.data_ptr()


@pytest.mark.parametrize("kind", list(Operation)[1:], ids=lambda kind: kind.name)
def test_every_operation_does_something(kind: Operation) -> None:
    images = floats(4, 3, 24, 24) * 0.8
    changed = operate(images, torch.full((4,), kind), torch.tensor([0.5, -0.5, 1.0, -1.0]))
    assert ((changed - images).abs().amax((1, 2, 3)) > 0.01).all()


def test_grey_images_have_no_saturation() -> None:
    images = floats(5, 1, 9, 9)
    assert torch.equal(operate(images, torch.full((5,), Operation.SATURATION), torch.ones(5)), images)


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(0, 12), st.integers(1, 4), st.integers(1, 33), st.integers(1, 33)),
    seed=st.integers(0, 1000),
    value_range=st.sampled_from([UNIT, SIGNED, (0.0, 255.0)]),
    depth=st.integers(0, 3),
)
def test_each_image_has_its_own_operation_and_no_other(
    shape: tuple[int, int, int, int], seed: int, value_range: Range, depth: int
) -> None:
    generator = Key(f"own/{seed}").torch_generator()
    low, high = value_range
    images = torch.rand(shape, generator=generator) * (high - low) + low
    before = images.clone()
    operation = torch.randint(COUNT, (depth, shape[0]), generator=generator)
    strength = torch.rand((depth, shape[0]), generator=generator) * 2 - 1
    together = operate(images, operation, strength, value_range=value_range)
    assert torch.equal(images, before), "the input was written to"
    assert together.shape == images.shape
    for index in range(shape[0]):
        alone = images[index : index + 1]
        for step in range(depth):
            at = slice(index, index + 1)
            alone = operate(alone, operation[step, at], strength[step, at], value_range=value_range)
        # Not to the bit: a product of matrices may round otherwise in a batch of another size, and a level that
        # lies on an edge then falls to its other side.
        close = (together[index] - alone[0]).abs() <= 1e-3 * (high - low)
        assert close.float().mean() > (0.97 if depth else 0.9999)
    if shape[0]:
        assert together.min() >= low - 1e-5 * (high - low)
        assert together.max() <= high + 1e-5 * (high - low)


def test_what_is_turned_sheared_and_shifted_goes_where_it_is_said_to() -> None:
    images = torch.zeros(5, 1, 41, 41)
    images[:, 0, 10, 20] = 1.0  # 10 pixels above the centre
    space = Space(degrees=90, shear=1.0, shift=0.25, pixels=8, factor=0, bits=0)
    kinds = torch.tensor([1, 2, 3, 4, 5])
    changed = operate(images, kinds, torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0]), space=space)
    brightest = [divmod(int(image.argmax()), 41) for image in changed]
    assert brightest == [
        (20, 10),  # anticlockwise: from above the centre to its left
        (10, 30),  # what lies 10 pixels above moves 10 to the side
        (10, 20),  # on the middle column nothing moves up or down
        (10, 28),  # 8 pixels, not a quarter of 41
        (2, 20),
    ]


@pytest.mark.parametrize("side", [20, 21])
def test_a_quarter_turn_is_exact_and_anticlockwise(side: int) -> None:
    images = floats(2, 3, side, side)
    space = Space(degrees=90, shear=0, shift=0, pixels=0, factor=0, bits=0)
    changed = operate(images, torch.full((2,), Operation.ROTATE), torch.tensor([1.0, -1.0]), space=space)
    assert torch.allclose(changed[0], images[0].rot90(1, (1, 2)), atol=1e-4)
    assert torch.allclose(changed[1], images[1].rot90(-1, (1, 2)), atol=1e-4)


@pytest.mark.parametrize("kind", [Operation.SHEAR_X, Operation.TRANSLATE_X], ids=lambda kind: kind.name)
def test_down_is_across_of_the_image_on_its_side(kind: Operation) -> None:
    images = floats(1, 2, 15, 15)
    strength = torch.tensor([0.37])
    across = operate(images, torch.tensor([kind]), strength)
    down = operate(images.mT, torch.tensor([kind + 1]), strength)
    assert torch.allclose(down, across.mT, atol=1e-4)


@pytest.mark.parametrize("space", [WIDE, USUAL], ids=["wide", "usual"])
def test_the_published_ranges(space: Space) -> None:
    degrees, shear, factor, bits = (135, 0.99, 0.99, 6) if space is WIDE else (30, 0.3, 0.9, 4)
    assert (space.degrees, space.shear, space.factor, space.bits) == (degrees, shear, factor, bits)
    assert math.isclose(space.shift, 150 / 331)
    flat = torch.full((1, 1, 8, 8), 0.25)
    brighter = operate(flat, torch.tensor([Operation.BRIGHTNESS]), torch.tensor([1.0]), space=space)
    assert torch.allclose(brighter, flat * (1 + factor))
    levels = torch.arange(256).view(1, 1, 16, 16).to(torch.uint8)
    fewer = operate(levels, torch.tensor([Operation.POSTERIZE]), torch.tensor([-1.0]), space=space)
    assert len(fewer.unique()) == 2 ** (8 - bits)
    half = operate(levels, torch.tensor([Operation.SOLARIZE]), torch.tensor([0.5]), space=space)
    assert torch.allclose(half.flatten()[:128] * 255, torch.arange(128.0))
    assert torch.allclose(half.flatten()[128:] * 255, torch.arange(127.0, -1, -1), atol=1e-4)


def test_bytes_and_floats_give_the_same() -> None:
    images = (floats(COUNT, 3, 16, 16) * 255).to(torch.uint8)
    operation, strength = every_operation(0.7)
    for value_range in (UNIT, SIGNED):
        from_bytes = operate(images, operation, strength, value_range=value_range)
        assert torch.equal(
            from_bytes, operate(to_float(images, value_range), operation, strength, value_range=value_range)
        )


def test_another_memory_layout_gives_the_same() -> None:
    images = floats(COUNT, 3, 16, 16)
    operation, strength = every_operation(0.7)
    turned = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(operate(turned, operation, strength), operate(images, operation, strength))
