"""Bytes to pixels: every accepted file becomes grey or RGB, upright, flattened; every other gets a reason.

Transparency is flattened on white, the paper that scans, drawings and icons are made for. Values wider than
8 bits stay as they are here: they are scaled later, once the range of the whole set is known.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from tenfold.core.types import ValueRanges
from tenfold.data.value_range import Pixels, as_bytes, value_ranges

LARGEST_DEFAULT_SIDE = 64
RESIZED = "resized"
PADDED = "padded to a square"
GREY_AS_RGB = "grey image among colour ones, kept as RGB"
LARGEST_PIXELS = 80_000_000
SMALLEST_SIDE = 3
LONGEST_RATIO = 20
TURNED = "turned upright by EXIF"
FLATTENED = "transparency flattened on white"
PALETTE = "palette turned into colours"
CMYK = "CMYK turned into RGB"
OTHER_SPACE = "other colour space turned into RGB"
FIRST_FRAME = "first frame of several used"
WRONG_EXTENSION = "wrong extension, read by content"
BROKEN_EXIF = "broken EXIF ignored"

# What PIL's decoders are known to raise on files that are damaged rather than foreign.
DECODER_FAULTS = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError,
    AttributeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


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


def decode(content: bytes, suffix: str = "") -> DecodedImage:
    """Decode one image file; `suffix` (".png") is compared with what the bytes are.

    Raises:
        UnreadableError: nothing in it can be used, with the reason.
    """
    if not content:
        raise UnreadableError("empty file (0 bytes)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of large and odd files; both are judged here
        return _decode(content, suffix)


def _decode(content: bytes, suffix: str) -> DecodedImage:
    try:
        image: Image.Image = Image.open(io.BytesIO(content))
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"larger than {LARGEST_PIXELS:,} pixels, not decoded") from error
    except DECODER_FAULTS as error:
        raise UnreadableError(_what_else(content)) from error
    _check_size(*image.size)
    notes = []
    if _is_misnamed(image.format, suffix):
        notes.append(WRONG_EXTENSION)
    try:
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            notes.append(FIRST_FRAME)
            image.seek(0)
        image.load()
    except DECODER_FAULTS as error:
        raise UnreadableError(f"truncated or damaged: {error}") from error
    except MemoryError as error:
        raise UnreadableError("needs more memory than there is") from error
    try:
        upright = ImageOps.exif_transpose(image)
        if image.getexif().get(0x0112, 1) in range(2, 9):
            notes.append(TURNED)
        image = upright
    except DECODER_FAULTS:
        notes.append(BROKEN_EXIF)
    return from_array(_to_grey_or_rgb(image, notes), tuple(notes))


def from_array(values: npt.NDArray[np.generic], notes: tuple[str, ...] = ()) -> DecodedImage:
    """An image of H x W, H x W x 1, H x W x 3 or H x W x 4 values of any numeric type.

    Raises:
        UnreadableError: too small, too elongated, or not finite.
    """
    if values.ndim == 3 and values.shape[2] == 4:
        if values.dtype != np.uint8:
            raise UnreadableError("a transparent image of more than 8 bits")
        notes = (*notes, FLATTENED)
        values = np.asarray(_flattened(Image.fromarray(values)))
    _check_size(values.shape[1], values.shape[0])
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


def _to_grey_or_rgb(image: Image.Image, notes: list[str]) -> npt.NDArray[np.generic]:
    mode = image.mode
    if mode in ("1", "L", "RGB") and "transparency" not in image.info:
        return np.asarray(image.convert("L") if mode == "1" else image)
    if mode == "F" or mode == "I" or mode.startswith("I;"):
        return np.asarray(image)
    if mode == "P":
        notes.append(PALETTE)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        notes.append(FLATTENED)
        return np.asarray(_flattened(image))
    if mode == "CMYK":
        notes.append(CMYK)
    elif mode != "P":
        notes.append(OTHER_SPACE)
    return np.asarray(image.convert("RGB"))


def _flattened(image: Image.Image) -> Image.Image:
    over = image.convert("RGBA")
    white = Image.new("RGBA", over.size, "white")
    return Image.alpha_composite(white, over).convert("RGB")


def _check_size(width: int, height: int) -> None:
    if width * height > LARGEST_PIXELS:
        raise UnreadableError(f"{width} x {height} pixels, more than {LARGEST_PIXELS:,}: not decoded")
    shorter, longer = sorted((width, height))
    if shorter < SMALLEST_SIDE:
        raise UnreadableError(f"{width} x {height} pixels: too small")
    if longer > LONGEST_RATIO * shorter:
        raise UnreadableError(f"{width} x {height} pixels: too elongated")


def _is_misnamed(detected: str | None, suffix: str) -> bool:
    named = Image.registered_extensions().get(suffix.lower())
    same = {"MPO": "JPEG"}  # a camera's JPEG with a second image in it
    return named is not None and detected is not None and same.get(named, named) != same.get(detected, detected)


def _what_else(content: bytes) -> str:
    """The reason for bytes that PIL does not know, naming a converter where one is known to help."""
    head = content[:2048].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return "SVG drawing; convert it to PNG (inkscape, rsvg-convert)"
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return "a web page, not an image"
    if content[128:132] == b"DICM":
        return "DICOM; convert it to PNG (pydicom, dcm2pnm)"
    if content[4:8] == b"ftyp":
        return "HEIC or another camera container; convert it to JPEG (pillow-heif, heif-convert)"
    return "not an image that can be read"


def shrink(image: DecodedImage, side: int) -> DecodedImage:
    """The image with its longer side at most `side`: what is kept in memory of a large photograph."""
    return image if image.longer_side <= side else DecodedImage(_fit(image.pixels, side), image.notes)


def choose_side(longer_sides: Sequence[int], size: int | None) -> int:
    """The side of the squares in pixels: `size`, or the median of the longer sides, at most 64."""
    return size if size is not None else min(LARGEST_DEFAULT_SIDE, int(np.median(longer_sides)))


def resize_to_squares(
    decoded: Sequence[DecodedImage], longer_sides: Sequence[int], side: int, ranges: ValueRanges | None = None
) -> tuple[npt.NDArray[np.uint8], Counter[str]]:
    """All images as uint8 N x C x side x side, and how many were converted in which way.

    `longer_sides` are the sides in pixels before any shrinking. The longer side is fitted and the rest is
    padded with the median colour of the image's own border. C is 3 if any image is truly coloured. `ranges` are
    what values of more than 8 bits are scaled by, unless given those of these images.
    """
    done: Counter[str] = Counter(note for image in decoded for note in image.notes)
    scale = value_ranges((image.pixels for image in decoded), ranges)
    bytes_only = [as_bytes(image.pixels, scale, done) for image in decoded]
    channels = 3 if any(pixels.ndim == 3 for pixels in bytes_only) else 1
    images = np.empty((len(decoded), channels, side, side), np.uint8)
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
    return np.rint(whole).astype(pixels.dtype) if np.issubdtype(pixels.dtype, np.integer) else whole


def _pad(pixels: Pixels, side: int) -> Pixels:
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
