"""Pictures of any size and depth to one uint8 array: square, grey or RGB, nothing cropped or clipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from tenfold.data.decode import Picture, Pixels

LARGEST_DEFAULT_SIDE = 64
RESIZED = "resized"
PADDED = "padded to a square"
GREY_AS_RGB = "grey image among colour ones, kept as RGB"
SCALED_INTEGERS = "values of more than 8 bits scaled to 0..255"
SCALED_FLOATS = "real values scaled to 0..255"


def shrink(picture: Picture, side: int) -> Picture:
    """The picture with its longer side at most `side`: what is kept in memory of a large photograph."""
    if picture.longer_side <= side:
        return picture
    return Picture(_fit(picture.pixels, side), picture.notes)


def choose_side(longer_sides: Sequence[int], size: int | None) -> int:
    """The side of the squares in pixels: `size`, or the median of the longer sides, at most 64."""
    return size if size is not None else min(LARGEST_DEFAULT_SIDE, int(np.median(longer_sides)))


def to_squares(
    pictures: Sequence[Picture], longer_sides: Sequence[int], side: int
) -> tuple[npt.NDArray[np.uint8], Counter[str]]:
    """All pictures as uint8 N x C x side x side, and how many were converted in which way.

    `longer_sides` are the sides in pixels before any shrinking. The longer side is fitted and the rest is
    padded with the median colour of the picture's own border. C is 3 if any picture is truly coloured.
    """
    done: Counter[str] = Counter(note for picture in pictures for note in picture.notes)
    bytes_only = _as_bytes([picture.pixels for picture in pictures], done)
    channels = 3 if any(pixels.ndim == 3 for pixels in bytes_only) else 1
    images = np.empty((len(pictures), channels, side, side), np.uint8)
    for index, original in enumerate(bytes_only):
        pixels: Pixels = original
        if longer_sides[index] != side:
            done[RESIZED] += 1
        if max(pixels.shape[:2]) != side:
            pixels = _fit(pixels, side)
        if pixels.shape[0] != pixels.shape[1]:
            done[PADDED] += 1
            pixels = _pad(pixels, side)
        if pixels.ndim == 2:
            done[GREY_AS_RGB] += channels == 3
            images[index] = pixels
        else:
            images[index] = pixels.transpose(2, 0, 1)
    return images, +done


def _fit(pixels: Pixels, side: int) -> Pixels:
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
    return np.rint(whole).astype(np.int32) if pixels.dtype == np.int32 else whole.astype(np.float32)


def _pad(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    square = np.empty((side, side, *pixels.shape[2:]), np.uint8)
    square[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square


def _as_bytes(arrays: Sequence[Pixels], done: Counter[str]) -> list[npt.NDArray[np.uint8]]:
    """One scale for all images of a kind, so that brightness stays comparable between them."""
    integers = _integer_range([array for array in arrays if array.dtype == np.int32])
    floats = _float_range([array for array in arrays if array.dtype == np.float32])
    result: list[npt.NDArray[np.uint8]] = []
    for array in arrays:
        if array.dtype == np.uint8:
            result.append(array.astype(np.uint8, copy=False))
            continue
        low, high = integers if array.dtype == np.int32 else floats
        if (low, high) != (0.0, 255.0):
            done[SCALED_INTEGERS if array.dtype == np.int32 else SCALED_FLOATS] += 1
        unit = (array.astype(np.float64) - low) / ((high - low) or 1.0)
        result.append(np.rint(unit * 255).astype(np.uint8))
    return result


def _integer_range(arrays: Sequence[Pixels]) -> tuple[float, float]:
    """The narrowest of the depths that cameras and scanners have (8, 10, 12, 14, 16 bits) that holds all."""
    highest = max((int(array.max()) for array in arrays), default=0)
    for bits in (8, 10, 12, 14, 16):
        if highest < 1 << bits:
            return 0.0, float((1 << bits) - 1)
    return 0.0, float(highest)


def _float_range(arrays: Sequence[Pixels]) -> tuple[float, float]:
    """0..1, -1..1 or 0..255 where the values keep to one of them; their own minimum and maximum otherwise."""
    low = min((float(array.min()) for array in arrays), default=0.0)
    high = max((float(array.max()) for array in arrays), default=1.0)
    for usual_low, usual_high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if usual_low <= low and high <= usual_high:
            return usual_low, usual_high
    return low, high


def luminance(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """N x 3 x H x W -> N x 1 x H x W, to the bit as Pillow does it; equal channels keep their value."""
    red, green, blue = (images[:, channel].astype(np.uint32) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)[:, np.newaxis]
