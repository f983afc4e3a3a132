from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tenfold.augment.tensors import to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.networks.blocks import Residual, build, pyramid, with_gain


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 64, 3), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(64, 32))


def test_every_weight_comes_from_the_key() -> None:
    before = torch.get_rng_state()
    first, again, other = (build(network, Key(name).torch_generator()) for name in ("a", "a", "b"))
    assert torch.equal(before, torch.get_rng_state())
    for one, same, different in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same)
        assert one.dim() == 1 or not torch.equal(one, different)


def test_weights_are_as_wide_as_their_inputs_ask_for() -> None:
    layers = build(network, Key("a").torch_generator())
    assert layers[0].weight.std().item() == pytest.approx(math.sqrt(2 / 36), rel=0.1)
    assert layers[3].weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.1)
    assert not layers[0].bias.any()
    assert layers[1].weight.eq(1).all()


@pytest.mark.parametrize("gain", [0.0, 0.1, 1.0])
def test_a_layer_has_the_gain_that_it_was_given(gain: float) -> None:
    layer = build(lambda: with_gain(nn.Conv2d(8, 200, 3), gain), Key("a").torch_generator())
    assert layer.weight.std().item() == pytest.approx(math.sqrt(gain / 72), rel=0.05)


def test_a_layer_that_would_be_left_unset_is_refused() -> None:
    with pytest.raises(TypeError, match="LayerNorm"):
        build(lambda: nn.LayerNorm(4), Key("a").torch_generator())


def test_grey_levels_survive_the_way_to_the_network_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    batch = to_float(torch.tensor(levels))
    assert (batch.min(), batch.max()) == (-1, 1)
    assert np.array_equal(to_uint8(batch), levels)
    assert to_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


@pytest.mark.parametrize("outputs", [6, 10])
def test_a_residual_block_starts_as_its_shortcut(outputs: int) -> None:
    block = build(lambda: Residual(6, outputs), Key("a").torch_generator())
    hidden = torch.randn(50, 6, 8, 8, generator=Key("hidden").torch_generator())
    after = block(hidden)
    assert after.shape == (50, outputs, 8, 8)
    if outputs == 6:
        assert torch.equal(after, hidden)
    else:
        # The spread over first weights is that of one draw of them.
        assert after.std().item() == pytest.approx(1, rel=0.35), "the size of what passes stays"
    assert block.first.weight.any(), "or no slope would reach the second"


def test_a_residual_block_learns_from_its_identity() -> None:
    block = build(lambda: Residual(4, 4), Key("a").torch_generator())
    block(torch.randn(2, 4, 5, 5, generator=Key("hidden").torch_generator())).square().sum().backward()
    assert block.second.weight.grad is not None
    assert block.second.weight.grad.any()


@given(st.integers(4, 256), st.sampled_from([4, 8, 24]))
def test_a_pyramid_holds_the_picture_and_ends_small(side: int, width: int) -> None:
    start, widths = pyramid(side, width)
    assert 4 <= start <= 7
    largest = start * 2 ** (len(widths) - 1)
    assert side <= largest < side + 2 ** (len(widths) - 1), "with less than one pixel of the smallest map to spare"
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == (width if side > 14 else 2 * width)
    assert widths[0] <= 4 * widths[-1]


def test_pyramids_of_usual_sizes() -> None:
    assert pyramid(8, 8) == (4, [32, 16])
    assert pyramid(28, 8) == (7, [32, 16, 8])
    assert pyramid(32, 8) == (4, [32, 32, 16, 8])
    assert pyramid(4, 8) == (4, [16])
