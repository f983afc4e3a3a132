"""What every decoder hands back: grey or RGB values as the file holds them, upright, flattened on white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tenfold.core.errors import first_line
from tenfold.data.value_range import Pixels

Values = npt.NDArray[Any]

LARGEST_PIXELS = 80_000_000
SMALLEST_SIDE = 3
LONGEST_RATIO = 20
TURNED = "turned upright by EXIF"
FLATTENED = "transparency flattened on white"
PALETTE = "palette turned into colours"
CMYK = "CMYK turned into RGB"
OTHER_SPACE = "other colour space turned into RGB"
FIRST_FRAME = "first frame of several used"
FIRST_CHANNELS = "more channels than red, green and blue: the first used, the others left out"
MADE = "made by tenfold"
MADE_MARK = ("tenfold", "generated")
"""What stands in the text of a PNG that a method has made."""


class UnreadableError(ValueError):
    """This file is set aside; the message is the reason."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """One decoded image."""

    pixels: Pixels
    """H x W (grey) or H x W x 3 (RGB); integers or float32 where 8 bits do not hold the values."""
    notes: tuple[str, ...] = ()
    """What was done to it, each a key of `ImageDataset.conversions`."""

    @property
    def longer_side(self) -> int:
        return max(int(length) for length in self.pixels.shape[:2])


def from_array(values: Values, notes: tuple[str, ...] = ()) -> DecodedImage:
    """An image of H x W values of any numeric type, or H x W x C: C = 1 grey, 3 RGB, 2 or 4 with transparency.

    Raises:
        UnreadableError: too small, too elongated, or not finite.
    """
    if values.ndim == 3 and values.shape[2] in (2, 4):
        notes, values = (*notes, FLATTENED), flattened(values)
    check_size(values.shape[1], values.shape[0])
    if values.ndim == 3 and (values.shape[2] == 1 or (values == values[..., :1]).all()):
        values = values[..., 0]
    if values.dtype == np.bool_:
        return DecodedImage(values.astype(np.uint8) * np.uint8(255), notes)
    if values.dtype == np.uint8:
        return DecodedImage(values.astype(np.uint8, copy=False), notes)
    # The type decides, never the values: else images of one set would be scaled by several ranges.
    if np.issubdtype(values.dtype, np.integer):
        if int(values.max()) > np.iinfo(np.int64).max:
            raise UnreadableError("holds whole numbers of more than 63 bits")
        small = max(-int(values.min()), int(values.max())) <= np.iinfo(np.int32).max
        return DecodedImage(values.astype(np.int32 if small else np.int64), notes)
    if not np.issubdtype(values.dtype, np.floating):
        raise UnreadableError(f"holds values of type {values.dtype}, not numbers")
    with np.errstate(over="ignore"):
        reals = values.astype(np.float32)
    if not np.isfinite(reals).all():
        raise UnreadableError("holds NaN or infinite values")
    return DecodedImage(reals, notes)


def flattened(values: Values, *, premultiplied: bool = False) -> Values:
    """H x W x (1 or 3) of H x W x (2 or 4), whose last channel says how opaque a pixel is, on white.

    White is the highest value of the type, and 1 of real values. An opacity that is the same everywhere says nothing.
    """
    colours, opacity = values[..., :-1], values[..., -1:]
    if values.dtype == np.uint8 and not premultiplied:
        modes = {1: "LA", 3: "RGBA"}
        image = Image.fromarray(np.ascontiguousarray(values), modes[colours.shape[2]])
        return np.asarray(flattened_image(image))
    if (opacity == opacity[0, 0]).all() and opacity[0, 0] > 0:
        return colours
    white = float(np.iinfo(values.dtype).max) if np.issubdtype(values.dtype, np.integer) else 1.0
    share = opacity / white
    blended = (1.0 if premultiplied else share) * colours + (1 - share) * white
    return blended.clip(0, white).round().astype(values.dtype) if white > 1 else blended.astype(values.dtype)


def flattened_image(image: Image.Image) -> Image.Image:
    """The same of an image of Pillow's."""
    over = image.convert("RGBA")
    white = Image.new("RGBA", over.size, "white")
    return Image.alpha_composite(white, over).convert("RGB")


def rgb_of_cmyk(values: Values) -> Values:
    """H x W x 3 of H x W x 4 unsigned whole numbers, as Pillow does it to 8 bits: ink taken from white paper."""
    white = float(np.iinfo(values.dtype).max)
    ink = values / white
    rgb = (1 - ink[..., :3]) * (1 - ink[..., 3:]) * white
    result: Values = rgb.round().astype(values.dtype)
    return result


def upright(values: Values, orientation: int) -> Values:
    """H x W (x C) turned and mirrored as an EXIF orientation, 1..8, asks for."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    upside_down, mirrored = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return values[:: -1 if upside_down else 1, :: -1 if mirrored else 1]


def check_size(width: int, height: int) -> None:
    """Refuse what no network could learn from, before it is decoded.

    Raises:
        UnreadableError: too many pixels, too few, or too elongated.
    """
    if width * height > LARGEST_PIXELS:
        raise UnreadableError(f"{width} x {height} pixels, more than {LARGEST_PIXELS:,}: not decoded")
    shorter, longer = sorted((width, height))
    if shorter < SMALLEST_SIDE:
        raise UnreadableError(f"{width} x {height} pixels: too small")
    if longer > LONGEST_RATIO * shorter:
        raise UnreadableError(f"{width} x {height} pixels: too elongated")


def damaged(error: Exception) -> UnreadableError:
    """The reason for a file that a decoder stopped at."""
    if isinstance(error, MemoryError):
        return UnreadableError("needs more memory than there is")
    return UnreadableError(f"truncated or damaged: {first_line(error)}")
