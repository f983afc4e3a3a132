"""What two networks share: being built from a key, and the layout of their weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.core.keys import Key


class SeededDropout(nn.Module):
    """In training, a share of the values becomes 0, and the others grow to keep the mean; in eval mode, none does.

    torch's own draws from the global generator, whose state no checkpoint of ours holds. Here every pass has its own
    generator, named by the key and by how many passes there were. Both are in `state`, which travels in `state_dict`.

    Source: Srivastava et al. 2014.
    """

    state: Tensor
    """int64: the key's seed, and the passes so far."""

    def __init__(self, share: float, key: Key) -> None:
        """
        Args:
            share: of the values that become 0, 0 <= share < 1.
            key: names the draws; two layers of a network need two.

        Raises:
            ValueError: the share is not in that range.
        """
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"a share of 0 or more and less than 1 can be dropped, not {share}")
        self.share = share
        self.register_buffer("state", torch.tensor([key.seed, 0], device="cpu"))

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training or not self.share:
            return hidden
        seed, passes = self.state.tolist()
        self.state[1] += 1
        random = (Key("dropout") / seed / passes).torch_generator()
        keep = 1 - self.share
        # Drawn on the processor, in the memory format of what is dropped from: every device drops the same values.
        kept = torch.empty_like(hidden, device="cpu").bernoulli_(keep, generator=random).div_(keep)
        return hidden * kept.to(hidden.device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Change nothing: the state is read at every pass, so it stays on the processor.

        It also has to outlast `build`, which replaces whatever a network holds by empty memory.
        """
        return self

    def extra_repr(self) -> str:
        return f"share={self.share}"


Network = TypeVar("Network", bound=nn.Module)

NOISE = 5e-3
"""Added to the variance of each component of a patch, in [-1, 1]: what varies less is not enlarged to be as loud."""
FARTHEST = 1e4
"""Standard deviations from the mean; none of N vectors is farther than the root of N from the mean of all."""


def build(make: Callable[[], Network], generator: torch.Generator) -> Network:
    """A network whose every weight comes from `generator`: torch's own layers would draw from the global one.

    Convolutions and linear layers get normal weights of variance gain / inputs and zero biases. The gain is 2
    (He et al. 2015, for rectifiers) unless the layer was given another by `with_gain`.
    """
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            fan_in = 1 if isinstance(layer, nn.Embedding) else layer.weight[0].numel()
            gain = getattr(layer, "gain", 2.0)
            with torch.no_grad():
                layer.weight.normal_(0.0, 1.0, generator=generator).mul_(math.sqrt(gain / fan_in))
            if getattr(layer, "bias", None) is not None:
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # an Embedding never gets here
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm | Standardise | Whitening):
            layer.reset_parameters()
        elif next(layer.parameters(recurse=False), None) is not None:
            raise TypeError(f"build() does not know how to start a {type(layer).__name__}")
    return channels_last(network)


def empty(make: Callable[[], Network]) -> Network:
    """A network for weights to be loaded into: torch's own first ones would come from the global generator."""
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    for weights in network.state_dict().values():
        weights.zero_()
    return network


class Standardise(nn.Module):
    """Every feature with the mean and the spread that it has among the training vectors taken out.

    Both are buffers: they are kept with the weights, and nothing learns them.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))

    def reset_parameters(self) -> None:
        """Change nothing, until `fit` has seen vectors."""
        self.mean.zero_()
        self.spread.fill_(1.0)

    def fit(self, vectors: Tensor) -> None:
        """Take mean and standard deviation from these vectors, N x F; a constant feature is divided by 1."""
        exact = vectors.double()
        self.mean.copy_(exact.mean(0))
        self.spread.copy_(exact.std(0, correction=0))
        # By its values and not by its spread, which rounding keeps from being 0.
        self.spread[(vectors.amax(0) == vectors.amin(0)) | (self.spread == 0)] = 1.0

    def forward(self, vectors: Tensor) -> Tensor:
        """B x F -> B x F; what lies absurdly far from all training vectors is brought within reach of floats."""
        return ((vectors - self.mean) / self.spread).clamp(-FARTHEST, FARTHEST)


class Whitening(nn.Module):
    """Patches of 3 x 3 pixels by their principal components among the training images, each with spread 1.

    Neighbouring pixels are nearly alike, so that edges and textures are faint beside the light of a place, and the
    first layer of a network would learn them last. The filters are buffers: nothing learns them.

    Source: Coates et al. 2011; Jordan 2024 (airbench) for the first layer of a network.
    """

    filters: Tensor
    """9C x C x 3 x 3, those of most spread first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filters", torch.zeros(9 * channels, channels, 3, 3))

    def reset_parameters(self) -> None:
        """Every filter is one pixel of the patch, until `fit` has seen images."""
        self.filters.copy_(torch.eye(len(self.filters)).view_as(self.filters))

    def fit(self, images: Tensor) -> None:
        """Take the components from these images, float B x C x H x W in [-1, 1], with 3 pixels a side or more."""
        products = self.filters.new_zeros(2 * (len(self.filters),), dtype=torch.float64)
        for image in images.split(1):
            patches = F.unfold(image, 3)[0].double()
            products += patches @ patches.T / patches.shape[1]
        spreads, components = torch.linalg.eigh(products / len(images))
        scaled = components / (spreads + NOISE).sqrt()
        self.filters.copy_(scaled.T.flip(0).view_as(self.filters))

    def forward(self, images: Tensor) -> Tensor:
        """B x C x H x W -> B x 9C x H x W."""
        return F.conv2d(images, self.filters, padding=1)


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Float B x C x H x W -> B x C x height x width, smoothly; the images themselves where they are of that size."""
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(images, size=(height, width), mode="bilinear", align_corners=False, antialias=True)


def channels_last(network: Network) -> Network:
    """Lay the weights out as the convolutions of processors and graphics cards read them fastest."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's types leave it out
    return network


def device_of(network: nn.Module) -> torch.device:
    """Where its weights live."""
    return next(network.parameters()).device


def with_gain(layer: Network, gain: float) -> Network:
    """Tell `build` how large the layer's first weights are; 0 makes a residual block start as the identity."""
    layer.gain = gain  # type: ignore[assignment]  # torch takes plain attributes, its types do not say so
    return layer


class Residual(nn.Module):
    """Two 3x3 convolutions whose sum with the input starts as the identity, which needs no normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        same = inputs == outputs
        # No rectifier follows the shortcut, so its gain is 1.
        self.skip = nn.Identity() if same else with_gain(nn.Conv2d(inputs, outputs, 1, bias=False), 1.0)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = with_gain(nn.Conv2d(outputs, outputs, 3, padding=1), 0.0)

    def forward(self, hidden: Tensor) -> Tensor:
        changed = self.second(F.leaky_relu(self.first(F.leaky_relu(hidden, 0.2)), 0.2))
        total: Tensor = self.skip(hidden) + changed
        return total


def padded(images: Tensor, height: int, width: int) -> Tensor:
    """Images B x C x H x W that are no larger, with their last rows and columns repeated up to this size."""
    missing = (0, width - images.shape[3], 0, height - images.shape[2])
    images = F.pad(images, missing, mode="replicate") if any(missing) else images
    return images.contiguous(memory_format=torch.channels_last)


def pyramid(side: int, width: int) -> tuple[int, list[int]]:
    """The smallest map's side (4..7) and the widths from there up to the largest map."""
    halvings = max(0, math.ceil(math.log2(side / 7)))
    largest_map_width = width * 2 if halvings <= 1 else width
    return math.ceil(side / 2**halvings), [largest_map_width * min(4, 2**k) for k in range(halvings, -1, -1)]
