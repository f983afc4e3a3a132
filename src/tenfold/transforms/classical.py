"""Classical augmentation: each picture of a batch is turned, moved, bent, lit and covered with draws of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.transforms.changes import Changes, Flips, draw_changes
from tenfold.transforms.draws import Draws
from tenfold.transforms.geometry import border_colour, sampling_grid
from tenfold.transforms.noise import add_noise
from tenfold.transforms.pixels import UNIT, Range, to_float
from tenfold.transforms.policies import POLICIES, Ranges
from tenfold.transforms.tones import LUMA

VALUES_IN_CACHE = 2**18
"""Of pictures on the CPU so many values are changed at a time, which a core's cache holds. It also spares the
system from handing out and taking back large blocks of memory, which takes longer than the arithmetic."""


class Classical:
    """Change every picture of a batch by a draw of its own.

    Args:
        policy: `light`, `standard`, `strong`, or ranges of your own.
        flips: mirror left-right, or also upside down, each with probability 1/2. Off unless asked for: it turns
            letters and digits into others.
        quarter_turns: turn by a random multiple of 90 degrees; pictures must be square.
        seed: begins the stream that is drawn from where a call is given no generator.
        value_range: black and full light, in pictures of floats; uint8 pictures are turned into such.

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

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A changed copy of each picture.

        Args:
            images: uint8 or float, B x C x H x W.

        Returns:
            Floats of the same shape, within `value_range`.
        """
        generator = generator or self._draws.generator()
        return self.apply(images, self.draw(len(images), generator), generator)

    def draw(self, count: int, generator: torch.Generator) -> Changes:
        """What is to be done to each of `count` pictures."""
        return draw_changes(self.ranges, self.flips, self.quarter_turns, count, generator)

    def apply(self, images: Tensor, changes: Changes, generator: torch.Generator) -> Tensor:
        """The pictures with these changes; the generator only says where noise begins."""
        if self.quarter_turns and images.shape[2] != images.shape[3]:
            raise ValueError(f"quarter turns need square pictures; these are {images.shape[2]} x {images.shape[3]}")
        at_once = max(1, VALUES_IN_CACHE // max(1, images.shape[1:].numel()))
        if images.device.type != "cpu" or len(images) <= at_once:
            return self._changed(images, changes, generator)
        changed = torch.empty(images.shape)
        for start in range(0, len(images), at_once):
            part = slice(start, start + at_once)
            changed[part] = self._changed(images[part], changes.part(part), generator)
        return changed

    def _changed(self, images: Tensor, changes: Changes, generator: torch.Generator) -> Tensor:
        ranges = self.ranges
        low, high = self.value_range
        half = (high - low) / 2
        floats = to_float(images, self.value_range)
        if floats is images:
            floats = images.clone(memory_format=torch.contiguous_format)  # what follows works in place
        if ranges.moves or ranges.erase or self.quarter_turns or self.flips != "no":
            fill = border_colour(floats)
            floats = F.grid_sample(floats.sub_(fill), self._grid(images, changes), align_corners=False).add_(fill)
        if ranges.brightness or ranges.contrast or (ranges.saturation and images.shape[1] == 3):
            floats = _relit(floats, changes, (low + high) / 2, half)
        if ranges.noise:
            add_noise(floats, changes.noise.to(images.device) * half, generator)
        return floats.clamp_(low, high)

    def _grid(self, images: Tensor, changes: Changes) -> Tensor:
        """From where each pixel is taken, which is the inverse of what is done to the picture."""
        height, width = images.shape[2:]
        sides = torch.tensor((width, height), device=changes.size.device)
        angle = torch.deg2rad(changes.degrees)
        cosine, sine = angle.cos(), angle.sin()
        across, down = changes.size.reciprocal().unbind(1)
        right, below = (-changes.shift * sides).unbind(1)
        upper = (across * cosine, down * (changes.shear * cosine - sine), right)
        lower = (across * sine, down * (changes.shear * sine + cosine), below)
        return sampling_grid(
            torch.stack((*upper, *lower), 1).view(-1, 2, 3).to(images.device),
            height,
            width,
            bend=(changes.bend * sides.view(2, 1, 1)).to(images.device) if self.ranges.bend else None,
            boxes=(changes.boxes * sides.repeat(2)).to(images.device) if self.ranges.erase else None,
        )


def _relit(images: Tensor, changes: Changes, middle: float, half: float) -> Tensor:
    """Brightness, contrast and saturation as one linear map of each picture's channels."""
    device = images.device
    contrast = changes.contrast.to(device).view(-1, 1, 1)
    bias = (1 - contrast) * middle + changes.brightness.to(device).view(-1, 1, 1) * half
    if images.shape[1] != 3:
        return images.mul_(contrast[..., None]).add_(bias[..., None])
    saturation = changes.saturation.to(device).view(-1, 1, 1)
    grey = torch.tensor(LUMA, device=device).expand(3, 3)
    mixing = contrast * (saturation * torch.eye(3, device=device) + (1 - saturation) * grey)
    return torch.baddbmm(bias, mixing, images.flatten(2)).view(images.shape)
