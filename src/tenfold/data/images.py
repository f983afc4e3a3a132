"""Decoded images to squares of one size, 8 bits and one number of channels: what networks read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from tenfold.core.memory import large_array, require_memory
from tenfold.core.types import ValueRanges
from tenfold.data.decoded_images import DecodedImages
from tenfold.data.decoding.pixels import DecodedImage
from tenfold.data.value_range import Pixels, as_bytes, value_ranges

LARGEST_DEFAULT_SIDE = 64
RESIZED = "resized"
PADDED = "padded to a square"
GREY_AS_RGB = "grey image among colour ones, kept as RGB"


def shrink(image: DecodedImage, side: int) -> DecodedImage:
    """The image with its longer side at most `side`: what is kept in memory of a large photograph."""
    return image if image.longer_side <= side else DecodedImage(fit(image.pixels, side), image.notes)


def choose_side(longer_sides: Sequence[int], size: int | None) -> int:
    """The side of the squares in pixels: `size`, or the median of the longer sides, at most 64."""
    return size if size is not None else min(LARGEST_DEFAULT_SIDE, int(np.median(longer_sides)))


def resize_to_squares(
    decoded: Sequence[DecodedImage], longer_sides: Sequence[int], side: int, ranges: ValueRanges | None = None
) -> tuple[npt.NDArray[np.uint8], Counter[str]]:
    """All images as uint8 N x C x side x side, and how many were converted in which way.

    `longer_sides` are the sides in pixels before any shrinking. The longer side is fitted and the rest is
    padded with the median colour of the image's own border. C is 3 if any image is truly coloured. `ranges` are
    what values of more than 8 bits are scaled by, unless given those of these images. `DecodedImages` are taken out
    one by one, so that never all are held beside the squares.
    """
    notes: Counter[str] = Counter(note for image in decoded for note in image.notes)
    scale = value_ranges((image.pixels for image in decoded), ranges)
    channels = 3 if any(image.pixels.ndim == 3 for image in decoded) else 1
    square = f"images of {channels} x {side} x {side}"
    require_memory(len(decoded), channels * side**2, square, "take a smaller --size or fewer images (--per-class)")
    images = large_array((len(decoded), channels, side, side))
    scaled, done = Counter[str](), Counter[str]()
    for index, image in enumerate(decoded.take_all() if isinstance(decoded, DecodedImages) else decoded):
        pixels: Pixels = as_bytes(image.pixels, scale, scaled)
        if longer_sides[index] != side:
            done[RESIZED] += 1
        if max(pixels.shape[:2]) != side:
            pixels = fit(pixels, side)
        if pixels.shape[0] != pixels.shape[1]:
            done[PADDED] += 1
            pixels = padded(pixels, side)
        if pixels.ndim == 2:
            done[GREY_AS_RGB] += channels == 3
            images[index] = pixels
        else:
            images[index] = pixels.transpose(2, 0, 1)
    return images, notes + scaled + done


def fit(pixels: Pixels, side: int) -> Pixels:
    """Resize so that the longer side is `side`; the filter is widened when shrinking, against aliasing."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize(target, Image.Resampling.LANCZOS))
    # Hamming has no negative lobes: values of unknown range must not overshoot the range they came with.
    planes = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    resized = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize(target, Image.Resampling.HAMMING))
        for plane in np.moveaxis(planes, 2, 0)
    ]
    whole = np.stack(resized, axis=2) if pixels.ndim == 3 else resized[0]
    return np.rint(whole).astype(pixels.dtype) if np.issubdtype(pixels.dtype, np.integer) else whole


def padded(pixels: Pixels, side: int) -> Pixels:
    """uint8 H x W (x 3) in the middle of a square, which is filled with the median colour of its border."""
    height, width = pixels.shape[:2]
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    square = np.empty((side, side, *pixels.shape[2:]), np.uint8)
    square[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square


def with_channels(images: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """N x (1 or 3) x H x W with 1 or 3 channels, as wished: grey three times, or the luminance of colours.

    The luminance is Pillow's to the bit; equal channels keep their value, so that copies stay equal.
    """
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=1)
    red, green, blue = (images[:, channel].astype(np.uint32) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)[:, np.newaxis]
