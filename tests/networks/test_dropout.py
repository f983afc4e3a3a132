from __future__ import annotations

import copy

import pytest
import safetensors.torch
import torch
from torch import nn

from tenfold.core.keys import Key
from tenfold.networks.blocks import SeededDropout, build

KEY = Key("a")
ONES = torch.ones(8, 16, 10, 10)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(16, 4, 3), SeededDropout(0.5, KEY / 0), SeededDropout(0.2, KEY / 1))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_as_many_values_are_dropped_as_asked_and_the_mean_stays(share: float) -> None:
    dropped = SeededDropout(share, KEY)(ONES)
    assert dropped.eq(0).float().mean().item() == pytest.approx(share, abs=0.02)
    assert torch.allclose(dropped[dropped > 0], torch.tensor(1 / (1 - share)))


def test_slopes_pass_where_values_did() -> None:
    values = ONES.clone().requires_grad_()
    dropped = SeededDropout(0.5, KEY)(values)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped)


def test_each_pass_and_each_key_drops_others() -> None:
    layer = SeededDropout(0.5, KEY)
    first, second, of_another = layer(ONES), layer(ONES), SeededDropout(0.5, KEY / 1)(ONES)
    for one, other in ((first, second), (first, of_another)):
        assert (one == other).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert torch.equal(SeededDropout(0.5, KEY)(ONES), first)


def test_nothing_is_dropped_or_drawn_in_eval_mode_or_at_share_zero() -> None:
    for layer in (SeededDropout(0.5, KEY).eval(), SeededDropout(0.0, KEY)):
        assert layer(ONES) is ONES
        assert layer.state[1] == 0


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_cannot_be_dropped_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="can be dropped"):
        SeededDropout(share, KEY)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    SeededDropout(0.5, KEY)(ONES)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_build_makes_draws_as_its_key_says() -> None:
    built = build(network, KEY.torch_generator())
    assert torch.equal(built[1](ONES), SeededDropout(0.5, KEY / 0)(ONES))
    assert built[1].to("meta").state.device.type == "cpu"


def test_a_copy_goes_on_by_itself() -> None:
    layer = SeededDropout(0.5, KEY)
    layer(ONES)
    other = copy.deepcopy(layer)
    assert torch.equal(layer(ONES), other(ONES))
    layer(ONES)
    assert (layer.state[1], other.state[1]) == (3, 2)


def test_draws_go_on_from_a_file_whatever_the_key_was() -> None:
    before = network()
    before[1](ONES)
    kept = safetensors.torch.save(before.state_dict())
    after = nn.Sequential(nn.Conv2d(16, 4, 3), SeededDropout(0.5, Key("b")), SeededDropout(0.2, Key("b") / 1))
    assert not torch.equal(after[2](ONES), copy.deepcopy(before)[2](ONES))
    after.load_state_dict(safetensors.torch.load(kept))
    for layer in (1, 2):
        assert torch.equal(after[layer](ONES), before[layer](ONES))


def test_on_another_device_the_draws_are_still_the_processor_s() -> None:
    layer = SeededDropout(0.5, KEY)
    assert layer(ONES.to("meta")).is_meta
    assert layer.state[1] == 1
