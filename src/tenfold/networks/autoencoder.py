"""A Fader-type autoencoder: a code that is to hold an image's style and not its label, a decoder told the label.

Encoder and decoder are those of an article on restyling digits (two convolutions of 16 and 32 channels on 28 x 28
pixels), for any size. The code is bounded by batch normalisation without learned scales: the size of an unbounded
one hides the label from whoever reads it, and the decoder finds it all the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.networks.blocks import SeededDropout, padded

LARGEST_SIDE = 40
"""Larger images are read at half the side and what is drawn is enlarged, which keeps a step affordable."""
SMALLEST_SIDE = 7
"""Pixels of the smallest map, at most, but for the two halvings that every image gets."""
MOST_WIDENING = 4


class Fader(nn.Module):
    """Images and labels -> images in the same style; `encode` and `decode` apart.

    Args:
        shape: C, H, W of the images.
        class_count: K.
        code_size: Z.
        width: channels of the largest map; doubled at each halving, up to four times.
        bounded: whether each value of the code has mean 0 and variance 1 over a batch.
        dropout: a layer for each halving, `halvings_of(shape)` of them; none drops nothing.

    Source: Lample et al. 2017, Fader Networks. Deviations: small, and the decoder is told the label once, beside the
    code, where theirs is told at each layer.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        class_count: int,
        code_size: int,
        width: int,
        bounded: bool,
        dropout: Sequence[SeededDropout] = (),
    ) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        self.class_count = class_count
        self.halved, halvings = max(shape[1:]) > LARGEST_SIDE, halvings_of(shape)
        self.read_height, self.read_width = (-(-side // 2) if self.halved else side for side in shape[1:])
        self.small = tuple(-(-side // 2**halvings) for side in (self.read_height, self.read_width))
        widths = [width * min(MOST_WIDENING, 2**k) for k in range(halvings)]
        self.down = nn.ModuleList(_block(a, b) for a, b in pairwise([channels, *widths]))
        self.dropout = nn.ModuleList(dropout)
        area = widths[-1] * self.small[0] * self.small[1]
        self.to_code = nn.Linear(area, code_size)
        self.bound = nn.BatchNorm1d(code_size, affine=False) if bounded else nn.Identity()
        self.from_code = nn.Linear(code_size + class_count, area)
        self.up = nn.ModuleList(_enlarging(a, b) for a, b in pairwise(widths[::-1]))
        self.to_picture = nn.ConvTranspose2d(widths[0], channels, 4, 2, 1)

    def encode(self, images: Tensor) -> Tensor:
        """B x C x H x W in [-1, 1] -> B x Z."""
        hidden = F.avg_pool2d(images, 2, ceil_mode=True) if self.halved else images
        below, right = (small * 2 ** len(self.down) for small in self.small)
        hidden = padded(hidden, below, right)
        for index, block in enumerate(self.down):
            hidden = F.max_pool2d(block(hidden), 2)
            if self.dropout:
                hidden = self.dropout[index](hidden)
        code: Tensor = self.bound(self.to_code(hidden.flatten(1)))
        return code

    def decode(self, codes: Tensor, labels: Tensor) -> Tensor:
        """B x Z and B -> B x C x H x W in [-1, 1]."""
        conditioned = torch.cat([codes, F.one_hot(labels, self.class_count).to(codes.dtype)], dim=1)
        hidden = F.relu(self.from_code(conditioned)).unflatten(1, (-1, *self.small))
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        for block in self.up:
            hidden = block(hidden)
        image = torch.tanh(self.to_picture(hidden))[:, :, : self.read_height, : self.read_width]
        if self.halved:
            image = F.interpolate(image, size=(self.height, self.width), mode="bilinear", align_corners=False)
        return image

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The images' styles under these labels."""
        return self.decode(self.encode(images), labels)


class CodeReader(nn.Module):
    """Guesses the label from a code: B x Z -> logits B x K.

    Where `scaled`, each value of the code is brought to variance 1 first, so that nothing hides by being small
    or by growing faster than the reader learns.
    """

    def __init__(self, code_size: int, class_count: int, width: int = 128, scaled: bool = True) -> None:
        super().__init__()
        self.scale = nn.BatchNorm1d(code_size, affine=False) if scaled else nn.Identity()
        self.hidden = nn.ModuleList([nn.Linear(code_size, width), nn.Linear(width, width)])
        self.head = nn.Linear(width, class_count)

    def forward(self, codes: Tensor) -> Tensor:
        """B x Z -> logits B x K."""
        hidden = self.scale(codes)
        for layer in self.hidden:
            hidden = F.relu(layer(hidden))
        logits: Tensor = self.head(hidden)
        return logits


def halvings_of(shape: tuple[int, int, int]) -> int:
    """How often the encoder halves images C x H x W: twice at least."""
    longer = max(shape[1:])
    longer = -(-longer // 2) if longer > LARGEST_SIDE else longer
    return max(2, math.ceil(math.log2(longer / SMALLEST_SIDE)))


def _block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _enlarging(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
