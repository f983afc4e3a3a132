from __future__ import annotations

import numpy as np
import pytest
import torch

from made_up_sets import SHORT, easy_vectors
from tenfold.core.keys import Key
from tenfold.networks.blocks import Standardise, build
from tenfold.networks.convnet import SmallConvNet, VectorNet
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Recipe


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [4, 5, 8, 28, 40, 41, 45, 64, 200])
def test_every_size_gives_as_many_features_as_it_says(channels: int, side: int) -> None:
    network = build(lambda: SmallConvNet((channels, side, side), 7, 4), Key("a").torch_generator()).eval()
    pictures = torch.rand(2, channels, side, side, generator=Key("p").torch_generator()) * 2 - 1
    features = network.features(pictures)
    assert features.shape == (2, network.feature_count)
    assert network(pictures).shape == (2, 7)
    assert torch.allclose(network(pictures), network.head(features))


def test_where_something_stands_in_the_picture_counts() -> None:
    network = build(lambda: SmallConvNet((1, 28, 28), 2, 8), Key("a").torch_generator()).eval()
    corner = -torch.ones(1, 1, 28, 28)
    corner[:, :, 4:10, 4:10] = 1
    assert not torch.allclose(network(corner), network(corner.rot90(2, (2, 3))), atol=1e-3)


def test_no_picture_is_no_obstacle() -> None:
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
