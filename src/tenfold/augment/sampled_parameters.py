"""What classical augmentation does to each image of a batch: the draws, apart from the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from tenfold.augment.operations import KNOTS
from tenfold.augment.tensors import uniform


@dataclass(frozen=True)
class Ranges:
    """Half-widths of the uniform draws; 0 leaves a thing alone."""

    degrees: float = 0.0
    shift: float = 0.0
    """Share of the side, along each axis."""
    zoom: float = 0.0
    """The size changes by a factor exp(+-zoom), and the sides against one another by exp(+-zoom / 2)."""
    shear: float = 0.0
    """Tangent of the angle by which verticals lean."""
    bend: float = 0.0
    """Elastic displacement of each of 4 x 4 knots, as a share of the side."""
    brightness: float = 0.0
    """As a share of half the range between black and full light."""
    contrast: float = 0.0
    """A factor exp(+-contrast) about the middle grey."""
    saturation: float = 0.0
    """A factor exp(+-saturation) on the distance from grey; of images with three channels alone."""
    noise: float = 0.0
    """Largest standard deviation of Gaussian noise, unit as for brightness; each image draws its own, 0..noise."""
    erase: float = 0.0
    """Probability that a box is covered with the border's colour. It has 5..20 % of the image's area and sides
    in a ratio of 1/e..e before it is cut off at the border, and its centre lies anywhere."""
    whole_pixels: bool = False
    """Whether shifts are rounded to whole pixels, which keeps an image that is only shifted and mirrored sharp."""

    def __post_init__(self) -> None:
        wrong = next((field.name for field in fields(self) if getattr(self, field.name) < 0), None)
        if wrong or self.erase > 1:
            name = wrong or "erase"
            raise ValueError(f"{name} = {getattr(self, name)} is no half-width or probability")

    def relights(self, channels: int) -> bool:
        """Whether images of so many channels become lighter, darker or otherwise coloured."""
        return any((self.brightness, self.contrast, self.saturation and channels == 3))

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return any((self.degrees, self.shift, self.zoom, self.shear, self.bend))


POLICIES = {
    "light": Ranges(shift=0.07, noise=0.05),
    "standard": Ranges(
        degrees=15, shift=0.1, zoom=0.2, shear=0.2, brightness=0.1, contrast=0.1, saturation=0.2, noise=0.05
    ),
    "crops": Ranges(shift=0.125, brightness=0.15, contrast=0.3, saturation=0.3, erase=0.5, whole_pixels=True),
    "strong": Ranges(
        degrees=25,
        shift=0.15,
        zoom=0.3,
        shear=0.3,
        bend=0.05,
        brightness=0.3,
        contrast=0.3,
        saturation=0.5,
        noise=0.1,
        erase=0.5,
    ),
}


Flips = Literal["no", "horizontal", "both"]


@dataclass(frozen=True, eq=False)
class SampledParameters:
    """What is done to each of B images, in the order in which it is done."""

    size: Tensor
    """B x 2: factors across and down; negative where the image is mirrored."""
    shear: Tensor
    """B: how far the image's verticals lean, as a tangent."""
    degrees: Tensor
    """B: turned anticlockwise."""
    shift: Tensor
    """B x 2: to the right and downwards, as shares of the sides."""
    bend: Tensor
    """B x 2 x KNOTS x KNOTS, as shares of the sides."""
    boxes: Tensor
    """B x 4: centre across and down, from the image's centre, then half width and height, as shares of the sides;
    the half width is below 0 where nothing is covered."""
    contrast: Tensor
    """B: a factor."""
    brightness: Tensor
    """B: added, in half ranges between black and full light."""
    saturation: Tensor
    """B: a factor."""
    noise: Tensor
    """B: standard deviation, unit as for brightness."""

    def part(self, images: slice) -> SampledParameters:
        """The changes of some of the images."""
        return SampledParameters(**{field.name: getattr(self, field.name)[images] for field in fields(self)})

    def describe(self, index: int, *, coloured: bool = True) -> str:
        """One image's changes in words, those too small to be seen left out, and of grey ones the colour's."""
        across, down = self.size[index].tolist()
        right, below = (round(100 * share) for share in self.shift[index].tolist())
        parts = [
            _mirrored(across < 0, down < 0),
            _described("{:+.0f}°", float(self.degrees[index]), least=0.5),
            f"shift {right:+d} % {below:+d} %" if right or below else "",
            _described("size {:.2f}", math.sqrt(abs(across * down)), usual=1),
            _described("shear {:+.2f}", float(self.shear[index])),
            _described("bend {:.0f} %", 100 * float(self.bend[index].abs().max()), least=0.5),
            "box" if float(self.boxes[index, 2]) > 0 else "",
            _described("light {:+.2f}", float(self.brightness[index])),
            _described("contrast {:.2f}", float(self.contrast[index]), usual=1),
            _described("colour {:.2f}", float(self.saturation[index]), usual=1) if coloured else "",
            _described("noise {:.2f}", float(self.noise[index])),
        ]
        return ", ".join(filter(None, parts)) or "unchanged"


def _described(form: str, value: float, usual: float = 0, least: float = 0.02) -> str:
    return form.format(value) if abs(value - usual) >= least else ""


def _mirrored(across: bool, down: bool) -> str:
    return {(True, False): "mirrored", (False, True): "upside down", (True, True): "mirrored, upside down"}.get(
        (across, down), ""
    )


def sample_parameters(
    ranges: Ranges, flips: Flips, quarter_turns: bool, count: int, generator: torch.Generator
) -> SampledParameters:
    """Draw what is to be done to each of `count` images; tensors are on the generator's device."""
    draws = uniform((18, count), generator)
    widths = [ranges.degrees, ranges.zoom, ranges.zoom / 2, ranges.shear, ranges.shift, ranges.shift]
    widths += [ranges.brightness, ranges.contrast, ranges.saturation]
    signed = (draws[:9] * 2 - 1) * torch.tensor(widths, device=draws.device)[:, None]
    degrees, both, sides, shear, _, _, brightness, contrast, saturation = signed
    if quarter_turns:
        degrees = degrees + (draws[9] * 4).floor() * 90
    size = torch.stack([both + sides, both - sides], 1).exp()
    if flips != "no":
        signs = torch.where(draws[10:12].T < 0.5, -1.0, 1.0)
        if flips == "horizontal":
            signs[:, 1] = 1
        size = size * signs
    bend = size.new_zeros(()).expand(count, 2, KNOTS, KNOTS)
    if ranges.bend:
        bend = (uniform((count, 2, KNOTS, KNOTS), generator) * 2 - 1) * ranges.bend
    return SampledParameters(
        size=size,
        shear=shear,
        degrees=degrees,
        shift=signed[4:6].T,
        bend=bend,
        boxes=_boxes(draws[12:17], ranges.erase),
        contrast=contrast.exp(),
        brightness=brightness,
        saturation=saturation.exp(),
        noise=draws[17] * ranges.noise,
    )


def _boxes(draws: Tensor, probability: float) -> Tensor:
    """After Zhong et al. 2017 (Random Erasing): area and ratio of the sides are drawn, then the place."""
    area, ratio = 0.05 + 0.15 * draws[0], torch.exp(draws[1] * 2 - 1)
    half_width = torch.where(draws[2] < probability, (area / ratio).sqrt() / 2, -1.0)
    return torch.stack([draws[3] - 0.5, draws[4] - 0.5, half_width, (area * ratio).sqrt() / 2], 1)
