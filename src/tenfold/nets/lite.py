"""EfficientNet-Lite0 without its last layer, its batch normalisation folded into the convolutions.

Batch normalisation with fixed figures is a scale and a shift of each channel, which the convolution before it can do
itself. So a picture is read in half of the time, and training goes on with figures that stay as they came.

Source: Tan and Le 2019; the Lite variants leave out squeeze and excitation and take ReLU6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM, LAST = 32, 1280
STAGES = (
    # expansion, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
EPSILON = 1e-3
"""That batch normalisation was trained with."""


class LiteNet(nn.Module):
    """Pictures as the weights were trained -> the last map, 1280 channels at a 32nd of the side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, STEM, 3, stride=2)
        blocks, inputs = [], STEM
        for expansion, kernel, stride, channels, count in STAGES:
            for index in range(count):
                blocks.append(_Block(inputs, channels, expansion, kernel, stride if index == 0 else 1))
                inputs = channels
        self.blocks = nn.Sequential(*blocks)
        self.last = _Convolution(inputs, LAST, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """B x 3 x S x S -> B x 1280 x S/32 x S/32."""
        hidden: Tensor = F.relu6(self.last(self.blocks(F.relu6(self.stem(pictures)))))
        return hidden


class _Convolution(nn.Conv2d):
    """With padding as TensorFlow's `same`, which is uneven where a stride of 2 meets an even side."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, hidden: Tensor) -> Tensor:
        if self.stride[0] > 1:
            sides = [max(0, (-(-side // 2) - 1) * 2 + self.kernel_size[0] - side) for side in hidden.shape[2:]]
            hidden = F.pad(hidden, [part for side in reversed(sides) for part in (side // 2, side - side // 2)])
        return super().forward(hidden)


class _Block(nn.Module):
    """An inverted residual: expanded, filtered channel by channel, projected."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _Convolution(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = _Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = _Convolution(wide, outputs, 1)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, hidden: Tensor) -> Tensor:
        inside = hidden if self.expand is None else F.relu6(self.expand(hidden))
        inside = self.project(F.relu6(self.depthwise(inside)))
        total: Tensor = hidden + inside if self.is_residual else inside
        return total


def folded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights, with batch normalisation apart, as the weights of a LiteNet.

    Raises:
        LookupError: they are of another network.
    """
    found: dict[str, Tensor] = {}
    for name, convolution, norm in _pairs():
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + EPSILON).sqrt()
        found[f"{name}.weight"] = weights[f"{convolution}.weight"] * scale[:, None, None, None]
        found[f"{name}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return found


def _pairs() -> Iterator[tuple[str, str, str]]:
    """(ours, their convolution, their batch normalisation)."""
    yield "stem", "_conv_stem", "_bn0"
    count = sum(stage[-1] for stage in STAGES)
    for index in range(count):
        ours, theirs = f"blocks.{index}", f"_blocks.{index}"
        if index:
            yield f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0"
        yield f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1"
        yield f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2"
    yield "last", "_conv_head", "_bn1"


def empty_lite_net() -> LiteNet:
    """One without values, to be filled by `load_state_dict(..., assign=True)`."""
    with torch.device("meta"):  # its first weights would be drawn from the global generator
        return LiteNet()
