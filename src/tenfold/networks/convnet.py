"""The judge: one small classifier for every arm, convolutional for images, dense for vectors."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.networks.blocks import Standardise, Whitening


class Backbone(nn.Module, ABC):
    """Images -> features."""

    feature_count: int
    """F."""
    parts: tuple[int, ...] = ()
    """Features of each layer that is read, where there are several; their sum is F."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Float B x C x H x W in [-1, 1], grey or colour, of any size -> B x F."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What `backbone_of` needs to build the same network again, as plain JSON values; weights are kept apart."""

    def first_layers(self) -> Sequence[nn.Module]:
        """What stays as it came where the rest is trained on: it knows edges and textures, which all images have."""
        return ()

    def weights_hash(self) -> str:
        """The sha256 of all weights and of what is told of them."""
        digest = hashlib.sha256(repr(sorted(self.description().items())).encode())
        for name, value in self.state_dict().items():
            digest.update(name.encode() + value.contiguous().numpy().tobytes())
        return digest.hexdigest()


class Classifier(nn.Module, ABC):
    """Features, and a linear layer that reads them: what the loop needs of a network."""

    head: nn.Linear

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """A batch, as `forward` reads it -> B x F."""

    def forward(self, images: Tensor) -> Tensor:
        """Float B x C x H x W in [-1, 1], or vectors B x F x 1 x 1 in the units of the data -> logits B x K."""
        logits: Tensor = self.head(self.features(images))
        return logits


class SmallConvNet(Classifier):
    """Plain 3x3 convolutions with batch normalisation; the field's sturdy choice for few small images.

    Halves the side until 4 pixels or fewer are left, doubles the width once, and reads a 2 x 2 pooled map, so
    that where something stands in the image still counts. Images over 40 pixels are halved by the first
    layer, which keeps a training step about as dear as at 32 pixels.

    Args:
        shape: C, H, W of the images.
        class_count: K.
        width: channels of the first layer; the rest have twice as many.
    """

    def __init__(self, shape: tuple[int, int, int], class_count: int, width: int = 24) -> None:
        super().__init__()
        channels, height, _ = shape
        self.width = width
        large = height > 40
        self.stem = self._stem(channels, large)
        self.body, wide = self._body((height + 1) // 2 if large else height)
        self.feature_count = 4 * wide
        self.head = nn.Linear(self.feature_count, class_count)

    def features(self, images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(self.body(self.stem(images)), 2).flatten(1)

    def _stem(self, channels: int, large: bool) -> nn.Sequential:
        return _block(channels, self.width, kernel=5 if large else 3, stride=2 if large else 1)

    def _body(self, side: int) -> tuple[nn.Sequential, int]:
        """From maps of this side down to 4 pixels or fewer, and the channels of the last map."""
        blocks: list[nn.Module] = []
        wide = self.width
        while side > 4 or not blocks:
            blocks += [nn.MaxPool2d(2), _block(wide, 2 * self.width)]
            wide, side = 2 * self.width, side // 2
        return nn.Sequential(*blocks, _block(wide, wide)), wide


class ResidualNet(SmallConvNet):
    """The same on whitened images, with a second doubling of the width, and residual blocks on the widest maps.

    For colour images, whose classes take more to be told apart: an image takes about twice as long. The wide layers
    stand where the maps are small. With the usual residual network (pre-activation blocks on the largest maps, width
    16, 32, 64) cifar10 was read worse than with the small one, in twice its time.

    Source: He et al. 2016 for the blocks.
    """

    @staticmethod
    def suits(shape: tuple[int, int, int]) -> bool:
        """Whether images of this shape, C, H, W, are colour and large enough for it to read them better."""
        return shape[0] > 1 and max(shape[1:]) > 16

    def whiten(self, images: Tensor) -> None:
        """Take the fixed first filters from training images, float B x C x H x W in [-1, 1]."""
        whitening = self.stem[0]
        assert isinstance(whitening, Whitening)
        whitening.fit(images)

    def _stem(self, channels: int, large: bool) -> nn.Sequential:
        return nn.Sequential(Whitening(channels), _block(9 * channels, self.width, stride=2 if large else 1))

    def _body(self, side: int) -> tuple[nn.Sequential, int]:
        blocks: list[nn.Module] = []
        wide = self.width
        while side > 4 or not blocks:
            inputs, wide, side = wide, min(2 * wide, 4 * self.width), side // 2
            blocks += [nn.MaxPool2d(2), _block(inputs, wide)]
            if side > 4 and wide == 4 * self.width:
                blocks.append(_ResidualBlock(wide))
        return nn.Sequential(*blocks), wide


class _ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation, added to what they read."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _block(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.relu(hidden + self.norm(self.second(self.first(hidden))))


class VectorNet(Classifier):
    """Two dense layers with batch normalisation over standardised features: embeddings and tables of numbers.

    Args:
        shape: F, 1, 1.
        class_count: K.
        width: a quarter of the units of each hidden layer.
    """

    def __init__(self, shape: tuple[int, int, int], class_count: int, width: int = 24) -> None:
        super().__init__()
        self.width, self.feature_count = width, 4 * width
        self.standardise = Standardise(shape[0])
        self.body = nn.Sequential(_dense(shape[0], 4 * width), _dense(4 * width, 4 * width))
        self.head = nn.Linear(self.feature_count, class_count)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.body(self.standardise(images.flatten(1)))
        return features


NETWORKS: dict[str, type[SmallConvNet | VectorNet]] = {
    network.__name__: network for network in (SmallConvNet, ResidualNet, VectorNet)
}
"""Those of the judge's own, by the name under which a classifier's file tells its network."""


def _dense(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True))


def _block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
