from __future__ import annotations

from typing import Any

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.augment import RandAugment, TrivialAugment
from tenfold.augment.automatic import COUNT
from tenfold.augment.tensors import SIGNED, UNIT
from tenfold.core.keys import Key

TRANSFORMS = [TrivialAugment, RandAugment]
both = pytest.mark.parametrize("made", TRANSFORMS)


def pictures(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, generator=Key("automatic").torch_generator(), dtype=torch.uint8)


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


@both
def test_each_picture_has_a_draw_of_its_own(made: Any) -> None:
    same = pictures(1, 3, 16, 16).expand(200, -1, -1, -1)
    changed = made()(same, Key("own").torch_generator())
    assert len(changed.flatten(1).unique(dim=0)) > 100


def test_at_strength_zero_rand_leaves_every_bit() -> None:
    images = torch.rand(64, 3, 12, 12, generator=Key("zero").torch_generator())
    changed = RandAugment(2, 0)(images, Key("draws").torch_generator())
    assert torch.equal(changed, images)
    assert changed.data_ptr() != images.data_ptr()
    assert torch.equal(RandAugment(0)(images, Key("draws").torch_generator()), images)


@both
@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 5), st.integers(1, 40), st.integers(1, 40)),
    value_range=st.sampled_from([UNIT, SIGNED]),
)
def test_any_size_and_any_channels(made: Any, shape: tuple[int, ...], value_range: tuple[float, float]) -> None:
    images = pictures(*shape)
    before = images.clone()
    changed = made(value_range=value_range)(images, Key("any").torch_generator())
    assert torch.equal(images, before)
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= value_range[0] - 1e-6
    assert changed.max() <= value_range[1] + 1e-6


@both
def test_the_generator_says_all_on_one_thread_and_on_two(made: Any) -> None:
    images = pictures(64, 3, 45, 45)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 1):
            torch.set_num_threads(count)
            results.append(made(seed=len(results))(images, Key("same").torch_generator()))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], made()(images, Key("other").torch_generator()))


@both
def test_without_a_generator_the_seed_begins_a_stream(made: Any) -> None:
    images = pictures(8, 1, 20, 20)
    first, second = made(seed=3), made(seed=3)
    one, two = first(images), first(images)
    assert torch.equal(one, second(images))
    assert not torch.equal(one, two)
    assert not torch.equal(one, made(seed=4)(images))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="count = -1"):
        RandAugment(-1)
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="strength"):
            RandAugment(2, strength)
