"""Augmentation without a search for a policy: each image draws its own operations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from tenfold.augment import operations
from tenfold.augment.operations import sampling_grid, warp
from tenfold.augment.tensors import UNIT, Draws, Range, computed_in_float32, to_float, uniform


class Operation(IntEnum):
    """What can be done to an image; at strength s, -1..1, within a `Space`."""

    IDENTITY = 0
    ROTATE = 1
    """By s x `degrees`, anticlockwise."""
    SHEAR_X = 2
    """The bottom moves against the top by s x `shear` for each unit of height."""
    SHEAR_Y = 3
    """The same for the right side against the left."""
    TRANSLATE_X = 4
    """By s x `shift` of the width, and by no more than `pixels`."""
    TRANSLATE_Y = 5
    """The same for the height."""
    BRIGHTNESS = 6
    """The distance from black, by a factor of 1 + s x `factor`."""
    CONTRAST = 7
    """The distance from the image's mean grey, by such a factor."""
    SATURATION = 8
    """The distance from each pixel's grey, by such a factor. Images of one channel have none."""
    SHARPNESS = 9
    """The distance from a smoothed copy, by such a factor."""
    POSTERIZE = 10
    """Of the 8 bits of a grey level the lowest |s| x `bits`, rounded, become 0."""
    SOLARIZE = 11
    """The lightest |s| x 256 grey levels become their negative."""
    AUTOCONTRAST = 12
    """Each channel is stretched to the whole range; without a strength."""
    EQUALIZE = 13
    """Each channel's histogram is made flat; without a strength."""


COUNT = len(Operation)

GROUPS = (
    (Operation.ROTATE, Operation.TRANSLATE_Y),
    *((kind, kind) for kind in Operation if kind >= Operation.BRIGHTNESS),
)
"""First and last of the operations that are done in one call."""


@dataclass(frozen=True)
class Space:
    """What each operation does at strength 1."""

    degrees: float
    shear: float
    shift: float
    pixels: float
    factor: float
    bits: int


WIDE = Space(degrees=135, shear=0.99, shift=150 / 331, pixels=32, factor=0.99, bits=6)
"""TrivialAugment's. It shifts by up to 32 pixels; here never by more than RandAugment's share, since 32 pixels are
the whole of a small image."""

USUAL = Space(degrees=30, shear=0.3, shift=150 / 331, pixels=math.inf, factor=0.9, bits=4)
"""RandAugment's, as most libraries have it."""


def operate(
    images: Tensor, operation: Tensor, strength: Tensor, *, value_range: Range = UNIT, space: Space = WIDE
) -> Tensor:
    """A copy of the batch in which each image had its own operation, or several one after the other.

    Args:
        images: uint8 or float, B x C x H x W.
        operation: integers of `Operation`, B, or N x B for N in turn; on the CPU or on the images' device.
        strength: -1..1, of the same shape; at 0 an operation that has a strength leaves every bit as it was.
        value_range: black and full light, in images of floats.

    Returns:
        Floats of the same shape.
    """
    idle = (strength == 0) & (operation < Operation.AUTOCONTRAST)
    if images.shape[1] == 1:
        idle = idle | (operation == Operation.SATURATION)
    operation = operation.masked_fill(idle, Operation.IDENTITY)
    changed = images
    standing = torch.arange(len(images), device=operation.device)
    for kinds, strengths in zip(torch.atleast_2d(operation), torch.atleast_2d(strength), strict=True):
        order = kinds.argsort(stable=True)
        changed = to_float(changed.index_select(0, standing[order].to(images.device)), value_range).contiguous()
        _operate_on_sorted(changed, kinds[order], strengths[order], value_range, space)
        standing = order.argsort()
    return to_float(changed.index_select(0, standing.to(images.device)), value_range).contiguous()


def _operate_on_sorted(images: Tensor, operation: Tensor, strength: Tensor, value_range: Range, space: Space) -> None:
    # Counted where the draws are, which is mostly the CPU: an accelerator need not be waited for.
    ends = torch.bincount(operation, minlength=COUNT).cumsum(0).tolist()
    operation, strength = operation.to(images.device), strength.to(images.device)
    for first, last in GROUPS:
        part = slice(ends[first - 1], ends[last])
        if part.start == part.stop:
            continue
        if last == Operation.TRANSLATE_Y:
            images[part] = _moved(images[part], operation[part], strength[part], space)
        else:
            _change_tone(first, images[part], strength[part], value_range, space)


def _moved(images: Tensor, operation: Tensor, strength: Tensor, space: Space) -> Tensor:
    """Turned, sheared or shifted: all in one warp."""
    height, width = images.shape[2:]
    right, down = min(space.shift * width, space.pixels), min(space.shift * height, space.pixels)
    most = torch.tensor((math.radians(space.degrees), space.shear, space.shear, -right, -down), device=images.device)
    amounts = torch.diag(most)[operation - Operation.ROTATE] * strength[:, None].float()
    angle, shear_x, shear_y, shift_x, shift_y = amounts.unbind(1)
    cosine, sine = angle.cos(), angle.sin()
    matrix = torch.stack((cosine, shear_x - sine, shift_x, shear_y + sine, cosine, shift_y), 1)
    return warp(images, sampling_grid(matrix.view(-1, 2, 3), height, width))


def _change_tone(kind: Operation, images: Tensor, strength: Tensor, value_range: Range, space: Space) -> None:
    match kind:
        case Operation.BRIGHTNESS:
            operations.brighten(images, 1 + strength * space.factor, value_range)
        case Operation.CONTRAST:
            operations.change_contrast(images, 1 + strength * space.factor, value_range)
        case Operation.SATURATION:
            operations.saturate(images, 1 + strength * space.factor, value_range)
        case Operation.SHARPNESS:
            operations.sharpen(images, 1 + strength * space.factor, value_range)
        case Operation.POSTERIZE:
            operations.posterize(images, 8 - (strength.abs() * space.bits).round(), value_range)
        case Operation.SOLARIZE:
            operations.solarize(images, 256 * (1 - strength.abs()), value_range)
        case Operation.AUTOCONTRAST:
            operations.autocontrast(images, value_range)
        case Operation.EQUALIZE:
            operations.equalize(images, value_range)


class TrivialAugment:
    """One operation an image, each as likely as any other, at a strength uniform in -1..1 of the wide space.

    Args:
        seed: begins the stream that is drawn from where a call is given no generator.
        value_range: black and full light, in images of floats; uint8 images are turned into such.

    Source: Müller & Hutter 2021, TrivialAugment. Strengths are a continuum here, and 31 steps there.
    """

    def __init__(self, *, seed: int = 0, value_range: Range = UNIT) -> None:
        self.value_range = value_range
        self._draws = Draws(seed)

    @computed_in_float32
    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A changed copy of each image: uint8 or float, B x C x H x W -> floats of the same shape
        and, of floats, of the same precision."""
        operation, strength = self.draw(len(images), generator or self._draws.generator())
        return operate(images, operation, strength, value_range=self.value_range, space=WIDE)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """For each of `count` images an operation and a signed strength, on the generator's device."""
        operation = draw_operations((count,), generator)
        return operation, uniform((count,), generator) * 2 - 1


class RandAugment:
    """A few operations an image, one after the other, all of one strength, with a sign of its own each.

    Args:
        count: operations an image.
        strength: 0..1, of the usual space. At 0 the images are returned as they are, also by the operations that
            have no strength.
        seed: begins the stream that is drawn from where a call is given no generator.
        value_range: black and full light, in images of floats; uint8 images are turned into such.

    Raises:
        ValueError: a negative count, or a strength outside 0..1.

    Source: Cubuk et al. 2020, RandAugment, of which most implementations draw the operations once a batch.
    """

    def __init__(self, count: int = 2, strength: float = 0.3, *, seed: int = 0, value_range: Range = UNIT) -> None:
        if count < 0:
            raise ValueError(f"count = {count} is below 0")
        if not 0 <= strength <= 1:
            raise ValueError(f"strength = {strength} is not within 0..1")
        self.count = count
        self.strength = strength
        self.value_range = value_range
        self._draws = Draws(seed)

    @computed_in_float32
    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A changed copy of each image: uint8 or float, B x C x H x W -> floats of the same shape
        and, of floats, of the same precision."""
        operations, strengths = self.draw(len(images), generator or self._draws.generator())
        if not self.strength:
            operations, strengths = operations[:0], strengths[:0]
        return operate(images, operations, strengths, value_range=self.value_range, space=USUAL)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Operations and signed strengths, each `self.count` x count, on the generator's device."""
        shape = (self.count, count)
        sign = (uniform(shape, generator) < 0.5).float() * 2 - 1
        return draw_operations(shape, generator), sign * self.strength


def draw_operations(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Each operation as likely as any other."""
    return torch.randint(COUNT, shape, generator=generator, device=generator.device)
