"""The networks of the DAGAN article: a U-net of dense blocks that reads an image and noise, and a critic of pairs.

Source: Antoniou, Storkey & Edwards 2017, "Data augmentation generative adversarial networks". Deviations: plain batch
normalisation in place of batch renormalisation, and no dropout on the convolution that reads the image.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.networks.blocks import SeededDropout, with_gain

WIDTHS = (64, 64, 128, 128)
"""Channels below the first stride, the second, and so on; the last stands for deeper ones too."""
LARGE = 64
"""A side above which there is one level more, and less is dropped."""
DROPPED, DROPPED_OF_LARGE = 0.5, 0.05
NOISE_MAPS = (8, 4, 2)
"""Maps of noise at the smallest size, the next and the one after."""
BLOCK = 3
"""Convolutions of a dense block."""
FORGOTTEN = 0.01
"""Of the batch normalisation's running figures, at each batch: a decay of 0.99."""


class PaperGenerator(nn.Module):
    """(noise B x Z, images B x C x H x W) -> images of the same size and kind, in [-1, 1].

    Args:
        shape: C x H x W, each side 16..128.
        noise_size: Z.
        key: names the draws of the dropout.
    """

    def __init__(self, shape: tuple[int, int, int], noise_size: int, key: Key) -> None:
        super().__init__()
        channels, *size = shape
        widths = widths_for(max(size))
        self.sizes = map_sizes(size[0], size[1], len(widths))
        self.encoder = Encoder(channels, widths, BatchNorm, dropped_share(max(size)), key / "encoder")
        self.noises = nn.ModuleList(
            with_gain(nn.Linear(noise_size, maps * height * width), 1.0)
            for maps, (height, width) in zip(NOISE_MAPS, self.sizes[::-1], strict=False)
        )
        self.blocks, self.ups, self.dropouts = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        # From the smallest maps to the images' own size, where the image stands for the encoder's map.
        of_encoder = [channels, *widths]
        below, previous = 0, self.encoder.feature_count
        for depth in range(len(widths), -1, -1):
            maps = NOISE_MAPS[len(widths) - depth] if len(widths) - depth < len(NOISE_MAPS) else 0
            width = widths[max(0, depth - 1)]
            block = DenseBlock(below + of_encoder[depth] + maps, previous, width, BatchNorm, shrink=not below)
            self.blocks.append(block)
            if depth:
                self.ups.append(unit(block.outputs, width, BatchNorm))
                self.dropouts.append(SeededDropout(dropped_share(max(size)), key / f"decoder {depth}"))
            below = previous = width
        self.last = nn.Sequential(
            unit(block.outputs, WIDTHS[0], BatchNorm),
            unit(WIDTHS[0], WIDTHS[0], BatchNorm),
            with_gain(nn.Conv2d(WIDTHS[0], channels, 3, padding=1), 1.0),
        )

    def forward(self, noise: Tensor, images: Tensor, fade: float = 1.0) -> Tensor:
        """B x Z and B x C x H x W -> B x C x H x W; `fade` changes nothing, since there are no labels."""
        maps, features = self.encoder(images)
        known = maps.pop()
        for level, block in enumerate(self.blocks):
            if level:
                size = self.sizes[-1 - level]
                known = self.ups[level - 1](F.interpolate(known, size=size))
                known = torch.cat([self.dropouts[level - 1](known), maps.pop()], 1)
            if level < len(self.noises):
                known = torch.cat([known, self.noises[level](noise).unflatten(1, (-1, *self.sizes[-1 - level]))], 1)
            known, features = block(known, features)
        return torch.tanh(self.last(known))


class PaperCritic(nn.Module):
    """(images, others of the same class) -> how much each pair looks like two real images of one class: B.

    Args:
        shape: C x H x W of an image, each side 16..128.
        key: names the draws of the dropout.
    """

    def __init__(self, shape: tuple[int, int, int], key: Key) -> None:
        super().__init__()
        channels, height, width = shape
        side = max(height, width)
        widths = widths_for(side)
        smallest = map_sizes(height, width, len(widths))[-1]
        self.encoder = Encoder(2 * channels, widths, layer_norm, dropped_share(side), key)
        self.features = nn.Linear(widths[-1], 1024)
        self.score = with_gain(nn.Linear(1024 + widths[-1] * smallest[0] * smallest[1], 1), 1.0)

    def forward(self, images: Tensor, others: Tensor, fade: float = 1.0) -> Tensor:
        """Both B x C x H x W -> B."""
        maps, _ = self.encoder(torch.cat([images, others], 1))
        features = F.leaky_relu(self.features(maps[-1].mean((2, 3))), 0.2)
        score: Tensor = self.score(torch.cat([features, maps[-1].flatten(1)], 1)).squeeze(1)
        return score


class Encoder(nn.Module):
    """A convolution of stride 2, then dense blocks with one each."""

    def __init__(
        self, channels: int, widths: list[int], norm: Callable[[int], nn.Module], dropped: float, key: Key
    ) -> None:
        super().__init__()
        self.first = unit(channels, widths[0], norm, stride=2)
        self.blocks, self.downs, self.dropouts = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        previous = channels
        for level, (above, below) in enumerate(pairwise(widths), start=1):
            block = DenseBlock(above, previous, above, norm, shrink=True)
            self.blocks.append(block)
            self.downs.append(unit(block.outputs, below, norm, stride=2))
            self.dropouts.append(SeededDropout(dropped, key / level))
            previous = above
        self.feature_count = previous

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """The images, the maps after each stride, and the last block's features before its stride."""
        features = images.contiguous(memory_format=torch.channels_last)
        maps = [features, self.first(features)]
        for block, down, dropout in zip(self.blocks, self.downs, self.dropouts, strict=True):
            known, features = block(maps[-1], features)
            maps.append(dropout(down(known)))
        return maps, features


class DenseBlock(nn.Module):
    """Convolutions that read the block's input, all features before their own, and those of the previous block."""

    def __init__(
        self, inputs: int, previous: int, width: int, norm: Callable[[int], nn.Module], shrink: bool
    ) -> None:
        super().__init__()
        self.shrink = shrink
        """The previous block's maps are larger, and not smaller."""
        # No rectifier: the article passes by it between blocks, to let slopes through.
        self.resize = with_gain(nn.Conv2d(previous, previous, 3, stride=2 if shrink else 1, padding=1), 1.0)
        self.units = nn.ModuleList(unit(inputs + previous + k * width, width, norm) for k in range(BLOCK))
        self.outputs = inputs + previous + BLOCK * width

    def forward(self, hidden: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """All that the block knows, B x outputs x h x w, and its last features, B x width x h x w."""
        if not self.shrink:
            previous = F.interpolate(previous, size=hidden.shape[2:])
        known = torch.cat([hidden, self.resize(previous)], 1)
        for conv in self.units:
            features = conv(known)
            known = torch.cat([known, features], 1)
        return known, features


class BatchNorm(nn.BatchNorm2d):
    """torch's, but without its count of batches: what is kept with the weights is float throughout.

    A single value for each channel, which has no spread, is read with the running figures.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=FORGOTTEN, track_running_stats=False)  # there, the count would come too
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def reset_running_stats(self) -> None:
        if self.running_mean is not None and self.running_var is not None:  # the base class calls this too early
            self.running_mean.zero_()
            self.running_var.fill_(1.0)

    def forward(self, hidden: Tensor) -> Tensor:
        training = self.training and hidden.numel() > self.num_features
        return F.batch_norm(hidden, self.running_mean, self.running_var, self.weight, self.bias, training, FORGOTTEN)


def layer_norm(channels: int) -> nn.GroupNorm:
    """Layer normalisation of maps, with a scale and a shift for each channel."""
    return nn.GroupNorm(1, channels)


def unit(inputs: int, outputs: int, norm: Callable[[int], nn.Module], stride: int = 1) -> nn.Sequential:
    """What every layer is: a 3x3 convolution, a leaky rectifier, and a normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.LeakyReLU(0.2), norm(outputs))


def widths_for(side: int) -> list[int]:
    """Channels of the maps after each stride."""
    return [*WIDTHS, WIDTHS[-1]] if side > LARGE else list(WIDTHS)


def dropped_share(side: int) -> float:
    return DROPPED_OF_LARGE if side > LARGE else DROPPED


def map_sizes(height: int, width: int, strides: int) -> list[tuple[int, int]]:
    """Heights and widths from the image's own down to the smallest map's: strides + 1 of them."""
    return [(-(-height // 2**k), -(-width // 2**k)) for k in range(strides + 1)]
