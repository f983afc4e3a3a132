"""Classical augmentation: each image of a batch is turned, moved, bent, lit and covered with draws of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.augment.operations import LUMA, Grid, border_colour
from tenfold.augment.sampled_parameters import POLICIES, Flips, Ranges, SampledParameters, sample_parameters
from tenfold.augment.tensors import UNIT, Draws, Noise, Range, computed_in_float32, to_float

VALUES_IN_CACHE = 2**19
"""On the CPU as many images are changed at a time as take, with all that is made on the way, so many floats, which
a core's cache holds. It also spares the system from handing out and taking back large blocks of memory."""


class Classical:
    """Change every image of a batch by a draw of its own.

    Args:
        policy: `light`, `standard`, `strong`, or ranges of your own.
        flips: mirror left-right, or also upside down, each with probability 1/2. Off unless asked for: it turns
            letters and digits into others.
        quarter_turns: turn by a random multiple of 90 degrees; images must be square.
        seed: begins the stream that is drawn from where a call is given no generator.
        value_range: black and full light, in images of floats; uint8 images are turned into such.

    Raises:
        ValueError: there is no such policy.
    """

    def __init__(
        self,
        policy: str | Ranges = "standard",
        *,
        flips: Flips = "no",
        quarter_turns: bool = False,
        seed: int = 0,
        value_range: Range = UNIT,
    ) -> None:
        if isinstance(policy, str) and policy not in POLICIES:
            raise ValueError(f"there is no policy '{policy}'; take one of {', '.join(POLICIES)}, or Ranges(...)")
        self.ranges = POLICIES[policy] if isinstance(policy, str) else policy
        self.flips: Flips = flips
        self.quarter_turns = quarter_turns
        self.value_range = value_range
        self._draws = Draws(seed)

    @computed_in_float32
    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A changed copy of each image.

        Args:
            images: uint8 or float, B x C x H x W.

        Returns:
            Floats of the same shape, and of the images' precision if they are floats, within `value_range`.
        """
        generator = generator or self._draws.generator()
        return self.apply(images, self.draw(len(images), generator), generator)

    def draw(self, count: int, generator: torch.Generator) -> SampledParameters:
        """What is to be done to each of `count` images."""
        return sample_parameters(self.ranges, self.flips, self.quarter_turns, count, generator)

    def apply(self, images: Tensor, changes: SampledParameters, generator: torch.Generator) -> Tensor:
        """The images with these changes; the generator only says where noise begins."""
        if self.quarter_turns and images.shape[2] != images.shape[3]:
            raise ValueError(f"quarter turns need square images; these are {images.shape[2]} x {images.shape[3]}")
        ranges, (low, high) = self.ranges, self.value_range
        half = (high - low) / 2
        # What is small is made for the whole batch, what is large for as many images as the cache holds.
        grid = self._grid(images, changes) if self._moves else None
        light = Light(images, changes, (low + high) / 2, half) if ranges.relights(images.shape[1]) else None
        noise = Noise(images, changes.noise * half, generator) if ranges.noise else None
        changed = torch.empty(images.shape, device=images.device)
        floats_given = images.is_floating_point()  # they are the caller's, and stay as they are
        for part in _parts(images):
            floats = to_float(images[part], self.value_range)
            if grid is not None:
                fill = border_colour(floats)
                centred = floats - fill if floats_given else floats.sub_(fill)
                floats = F.grid_sample(centred, grid.of(part), align_corners=False).add_(fill)
            if light is not None:
                floats = light.on(floats, part)
            if noise is not None:
                untouched = floats_given and grid is None and light is None
                floats = noise.add_to(floats.clone() if untouched else floats, part)
            torch.clamp(floats, low, high, out=changed[part])
        return changed

    @property
    def _moves(self) -> bool:
        return self.ranges.moves or bool(self.ranges.erase) or self.quarter_turns or self.flips != "no"

    def _grid(self, images: Tensor, changes: SampledParameters) -> Grid:
        """From where each pixel is taken, which is the inverse of what is done to the image."""
        height, width = images.shape[2:]
        sides = torch.tensor((width, height), device=changes.size.device)
        angle = torch.deg2rad(changes.degrees)
        cosine, sine = angle.cos(), angle.sin()
        across, down = changes.size.reciprocal().unbind(1)
        shift = changes.shift * sides
        right, below = (-(shift.round() if self.ranges.whole_pixels else shift)).unbind(1)
        upper = (across * cosine, down * (changes.shear * cosine - sine), right)
        lower = (across * sine, down * (changes.shear * sine + cosine), below)
        return Grid(
            torch.stack((*upper, *lower), 1).view(-1, 2, 3).to(images.device),
            height,
            width,
            bend=(changes.bend * sides.view(2, 1, 1)).to(images.device) if self.ranges.bend else None,
            boxes=(changes.boxes * sides.repeat(2)).to(images.device) if self.ranges.erase else None,
        )


class Light:
    """Brightness, contrast and saturation as one linear map of each image's channels."""

    def __init__(self, images: Tensor, changes: SampledParameters, middle: float, half: float) -> None:
        contrast = changes.contrast.view(-1, 1, 1)
        self._bias = ((1 - contrast) * middle + changes.brightness.view(-1, 1, 1) * half).to(images.device)
        if images.shape[1] == 3:
            saturation = changes.saturation.view(-1, 1, 1)
            grey = torch.tensor(LUMA, device=saturation.device).expand(3, 3)
            contrast = contrast * torch.lerp(grey, torch.eye(3, device=saturation.device), saturation)
        self._factor = contrast.to(images.device)

    def on(self, images: Tensor, part: slice) -> Tensor:
        """Some of the images, relit."""
        bias, factor = self._bias[part], self._factor[part]
        if images.shape[1] == 3:
            return torch.baddbmm(bias, factor, images.flatten(2)).view(images.shape)
        return torch.addcmul(bias[..., None], images, factor[..., None])


def _parts(images: Tensor) -> list[slice]:
    """The batch in parts that fit into the cache of a processor's core; on other devices all of it."""
    _, channels, height, width = images.shape
    at_once = max(1, VALUES_IN_CACHE // max(1, height * width * (2 * channels + 2)))
    if images.device.type != "cpu":
        at_once = max(1, len(images))
    return [slice(start, start + at_once) for start in range(0, len(images), at_once)]
