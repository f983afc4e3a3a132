from __future__ import annotations

import pytest
import torch

from tenfold.core.keys import Key
from tenfold.nets.blocks import build
from tenfold.nets.classifiers import SmallConvNet


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
