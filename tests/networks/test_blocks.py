from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from made_up_sets import SHORT, easy_set, easy_vectors
from tenfold.augment.tensors import to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.networks.blocks import Residual, SeededDropout, Standardise, Whitening, build, pyramid, with_gain
from tenfold.networks.convnet import ResidualNet, SmallConvNet, VectorNet
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Recipe

RESIDUAL = replace(SHORT, steps=2, residual=True)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 64, 3), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(64, 32))


def test_every_weight_comes_from_the_key() -> None:
    first, again, other = (build(network, Key(name).torch_generator()) for name in ("a", "a", "b"))
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
def test_a_pyramid_holds_the_image_and_ends_small(side: int, width: int) -> None:
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


KEY = Key("a")
ONES = torch.ones(8, 16, 10, 10)


def dropping(key: Key = KEY) -> nn.Sequential:
    return nn.Sequential(SeededDropout(0.5, key / 0), SeededDropout(0.2, key / 1))


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


def test_what_build_makes_draws_as_its_key_says() -> None:
    built = build(dropping, KEY.torch_generator())
    assert torch.equal(built[0](ONES), SeededDropout(0.5, KEY / 0)(ONES))
    assert built[0].to("meta").state.device.type == "cpu"


def test_a_copy_goes_on_by_itself() -> None:
    layer = SeededDropout(0.5, KEY)
    layer(ONES)
    other = copy.deepcopy(layer)
    assert torch.equal(layer(ONES), other(ONES))
    layer(ONES)
    assert (layer.state[1], other.state[1]) == (3, 2)


def test_draws_go_on_from_a_file_whatever_the_key_was() -> None:
    before, after = dropping(), dropping(Key("b"))
    before[0](ONES)
    kept = safetensors.torch.save(before.state_dict())
    assert not torch.equal(after[1](ONES), copy.deepcopy(before)[1](ONES))
    after.load_state_dict(safetensors.torch.load(kept))
    for layer in (0, 1):
        assert torch.equal(after[layer](ONES), before[layer](ONES))


def test_on_another_device_the_draws_are_still_the_processor_s() -> None:
    layer = SeededDropout(0.5, KEY)
    assert layer(ONES.to("meta")).is_meta
    assert layer.state[1] == 1


@pytest.mark.parametrize("kind", [SmallConvNet, ResidualNet])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [4, 5, 8, 28, 40, 41, 45, 64, 200])
def test_every_size_gives_as_many_features_as_it_says(kind: type[SmallConvNet], channels: int, side: int) -> None:
    network = build(lambda: kind((channels, side, side), 7, 4), Key("a").torch_generator()).eval()
    images = torch.rand(2, channels, side, side, generator=Key("p").torch_generator()) * 2 - 1
    features = network.features(images)
    assert features.shape == (2, network.feature_count)
    assert network(images).shape == (2, 7)
    assert torch.allclose(network(images), network.head(features))


def test_where_something_stands_in_the_image_counts() -> None:
    network = build(lambda: SmallConvNet((1, 28, 28), 2, 8), Key("a").torch_generator()).eval()
    corner = -torch.ones(1, 1, 28, 28)
    corner[:, :, 4:10, 4:10] = 1
    assert not torch.allclose(network(corner), network(corner.rot90(2, (2, 3))), atol=1e-3)


def test_no_image_is_no_obstacle() -> None:
    network = build(lambda: SmallConvNet((1, 8, 8), 3, 4), Key("a").torch_generator()).eval()
    assert network(torch.zeros(0, 1, 8, 8)).shape == (0, 3)


@pytest.mark.parametrize("features", [1, 6, 300])
def test_vectors_of_any_length_are_read(features: int) -> None:
    network = build(lambda: VectorNet((features, 1, 1), 7, 4), Key("a").torch_generator()).eval()
    vectors = torch.rand(3, features, 1, 1, generator=Key("v").torch_generator())
    read = network.features(vectors)
    assert read.shape == (3, network.feature_count)
    assert torch.allclose(network(vectors), network.head(read))
    assert network(vectors[:0]).shape == (0, 7)


def test_vectors_are_standardised_by_those_that_were_fitted() -> None:
    values = easy_vectors([30, 20]).images[:, :, 0, 0]
    layer = Standardise(6)
    layer.fit(torch.tensor(values))
    exact = values.astype(np.float64)
    assert np.allclose(layer(torch.tensor(values)), (exact - exact.mean(0)) / exact.std(0), atol=1e-4)
    assert np.allclose(layer(torch.tensor(2 * values)), (2 * exact - exact.mean(0)) / exact.std(0), atol=1e-4)


def whitened(images: torch.Tensor) -> torch.Tensor:
    layer = build(lambda: Whitening(images.shape[1]), KEY.torch_generator())
    layer.fit(images)
    return layer(images)[:, :, 1:-1, 1:-1].transpose(0, 1).flatten(1)


def test_whitened_patches_are_uncorrelated_and_what_is_noise_stays_faint() -> None:
    noise = torch.rand(40, 3, 18, 18, generator=Key("noise").torch_generator()) * 2 - 1
    smooth = F.avg_pool2d(noise, 3, 1, 1) * 3
    components = whitened(smooth)
    products = components @ components.T / components.shape[1]
    assert torch.allclose(products, products.diag().diag(), atol=1e-3)
    assert products.diag().max() < 1
    assert products.diag().min() > 0.5
    assert whitened(smooth * 1e-3).square().mean() < 1e-3


def test_images_of_one_colour_are_whitened_to_finite_values() -> None:
    assert whitened(torch.zeros(2, 3, 8, 8)).abs().max() == 0
    assert whitened(torch.ones(2, 3, 8, 8)).isfinite().all()


def test_a_training_whitens_by_its_own_images() -> None:
    nets = [
        train_classifier(easy_set([6, 6], (3, 24, 24), noise=noise), None, Recipe(), Key("t"), RESIDUAL).network
        for noise in (10, 60)
    ]
    first, second = (network.state_dict()["stem.0.filters"] for network in nets)
    assert first.square().sum() > second.square().sum(), "what varies less is enlarged more"


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e29, 1e-40])
def test_a_constant_feature_divides_by_one_and_what_is_absurdly_far_stays_finite(constant: float) -> None:
    values = torch.tensor([[constant, 1.0], [constant, 2.0], [constant, 4.0]])
    layer = Standardise(2)
    layer.fit(values)
    assert layer.spread[0] == 1
    assert layer(values)[:, 0].abs().max() == 0
    far = layer(torch.tensor([[3e38, 3e38], [-3e38, -3e38]]))
    assert far.isfinite().all()
    assert (far[0] > 0).all()


def test_a_network_that_has_seen_no_vectors_changes_none() -> None:
    network = build(lambda: VectorNet((3, 1, 1), 2, 4), Key("a").torch_generator())
    vectors = torch.tensor([[1.0, -2.0, 3.0]])
    assert torch.equal(network.standardise(vectors), vectors)


def test_statistics_come_from_the_training_vectors_alone_and_do_not_move() -> None:
    train, validation = easy_vectors([12, 12]), easy_vectors([6, 6], noise=50, key="other")
    extra = easy_vectors([4, 4], key="extra")
    for recipe, pool in ((Recipe(), train), (Recipe(extra=extra), train.joined(extra))):
        network = train_classifier(train, validation, recipe, Key("t"), SHORT).network
        assert isinstance(network, VectorNet)
        assert np.allclose(network.standardise.mean, pool.images[:, :, 0, 0].mean(0, dtype=np.float64), rtol=1e-5)
        assert np.allclose(network.standardise.spread, pool.images[:, :, 0, 0].std(0, dtype=np.float64), rtol=1e-5)
