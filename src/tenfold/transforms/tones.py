"""Changes of tone, each picture of a batch with a strength of its own: what Pillow does to a picture of 8 bits.

Pictures are floats, B x C x H x W, within a value range, and are changed IN PLACE: that takes half the time. What
counts grey levels (`posterize`, `solarize`, `equalize`) reads each value as the nearest of 256; the rest does not
round.

Products and sums are calls of their own. Fused ones round otherwise at the end of a piece of work, and so otherwise
on another number of threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.transforms.pixels import Range

LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue add to brightness (ITU-R BT.601)."""


def brighten(images: Tensor, factor: Tensor, value_range: Range) -> None:
    """Scale the distance from black by a factor for each picture; 1 leaves it as it is."""
    _scale_from(value_range[0], images, factor, value_range)


def change_contrast(images: Tensor, factor: Tensor, value_range: Range) -> None:
    """Scale the distance from the picture's mean grey."""
    # Two means: one over a whole picture would be summed in another order on another number of threads.
    _scale_from(_grey(images.mean(3, keepdim=True).mean(2, keepdim=True)), images, factor, value_range)


def saturate(images: Tensor, factor: Tensor, value_range: Range) -> None:
    """Scale each pixel's distance from its own grey: the weighted mean of red, green and blue, else the plain one."""
    _scale_from(_grey(images), images, factor, value_range)


def sharpen(images: Tensor, factor: Tensor, value_range: Range) -> None:
    """Scale the distance from a smoothed picture: below 1 it blurs, above 1 it sharpens.

    A pixel of the smoothed picture has 5 parts of its own value and 1 of each neighbour's. The outermost pixels
    have no 8 neighbours and stay as they are.
    """
    if min(images.shape[2:]) < 3:
        return
    centre = images[:, :, 1:-1, 1:-1]
    rows = (images[:, :, :-2] + images[:, :, 1:-1]).add_(images[:, :, 2:])
    smooth = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).add_(centre * 4).mul_(1 / 13)
    _scale_from(smooth, centre, factor, value_range)


def posterize(images: Tensor, bits: Tensor, value_range: Range) -> None:
    """Keep the highest `bits` bits of each grey level, 0..8, and make the others 0."""
    step = torch.exp2(8 - bits.to(images)).view(-1, 1, 1, 1)
    _as_values(_as_levels(images, value_range).div_(step).floor_().mul_(step), value_range)


def solarize(images: Tensor, threshold: Tensor, value_range: Range) -> None:
    """Turn the grey levels from `threshold` on (0..256) into their negative."""
    low, high = value_range
    darkest_turned = low + (threshold.ceil() - 0.5) * ((high - low) / 255)
    bright = images >= darkest_turned.to(images).view(-1, 1, 1, 1)
    images.copy_(torch.where(bright, (low + high) - images, images))


def autocontrast(images: Tensor, value_range: Range) -> None:
    """Stretch each channel until its darkest value is black and its lightest is full light."""
    low, high = value_range
    darkest, lightest = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = darkest == lightest
    scale = ((high - low) / (lightest - darkest)).masked_fill_(flat, 1)
    images.sub_(darkest.masked_fill(flat, 0)).mul_(scale).add_(torch.full_like(scale, low).masked_fill_(flat, 0))
    images.clamp_(low, high)


def equalize(images: Tensor, value_range: Range) -> None:
    """Spread the grey levels of each channel so that each is taken by about as many pixels.

    Level v becomes (pixels darker than v + step / 2) / step, where step is a 255th of the pixels below the
    lightest level. Where that is less than one pixel nothing is changed: of pictures below 256 pixels, always.
    """
    batch, channels, height, width = images.shape
    maps = batch * channels
    levels = torch.arange(256, device=images.device)
    place = _as_levels(images.clone(), value_range).clamp_(0, 255).long().view(maps, -1)
    place.add_(torch.arange(maps, device=images.device)[:, None] * 256)
    histogram = torch.bincount(place.flatten(), minlength=maps * 256).view(maps, 256)
    lightest = levels.where(histogram > 0, 0).amax(1, keepdim=True)
    step = (height * width - histogram.gather(1, lightest)) // 255
    darker = histogram.cumsum(1).sub_(histogram)
    # Counts are exact in 64 bits of float as well, whose division is many times faster.
    spread = (darker + step // 2).double().div_(step.clamp_min(1)).floor_().clamp_max_(255)
    values = _as_values(spread.to(images), value_range)
    equalized = values.flatten().index_select(0, place.flatten()).view(images.shape)
    images.copy_(torch.where((step > 0).view(batch, channels, 1, 1), equalized, images))


def _scale_from(anchor: Tensor | float, images: Tensor, factor: Tensor, value_range: Range) -> None:
    images.sub_(anchor).mul_(factor.to(images).view(-1, 1, 1, 1)).add_(anchor).clamp_(*value_range)


def _grey(images: Tensor) -> Tensor:
    """B x 1 x H x W."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = (images[:, channel, None] * weight for channel, weight in enumerate(LUMA))
    return red.add_(green).add_(blue)


def _as_levels(values: Tensor, value_range: Range) -> Tensor:
    low, high = value_range
    return (values.sub_(low) if low else values).mul_(255 / (high - low)).round_()


def _as_values(levels: Tensor, value_range: Range) -> Tensor:
    low, high = value_range
    levels.mul_((high - low) / 255)
    return levels.add_(low) if low else levels
