"""Bytes to pixels: every accepted file becomes grey or RGB, upright, flattened; every other gets a reason.

Transparency is flattened on white, the paper that scans, drawings and icons are made for. Values wider than
8 bits stay as they are here: they are scaled later, once the range of the whole set is known.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

Pixels = npt.NDArray[np.uint8 | np.int32 | np.float32]

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
class Picture:
    """One decoded image."""

    pixels: Pixels
    """H x W (grey) or H x W x 3 (RGB); int32 or float32 where 8 bits do not hold the values."""
    notes: tuple[str, ...] = ()
    """What was done to it, each a key of `ImageDataset.conversions`."""

    @property
    def longer_side(self) -> int:
        return max(int(length) for length in self.pixels.shape[:2])


def decode(content: bytes, suffix: str = "") -> Picture:
    """Decode one image file; `suffix` (".png") is compared with what the bytes are.

    Raises:
        UnreadableError: nothing in it can be used, with the reason.
    """
    if not content:
        raise UnreadableError("empty file (0 bytes)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of large and odd files; both are judged here
        return _decode(content, suffix)


def _decode(content: bytes, suffix: str) -> Picture:
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


def from_array(values: npt.NDArray[np.generic], notes: tuple[str, ...] = ()) -> Picture:
    """A picture of H x W, H x W x 1, H x W x 3 or H x W x 4 values of any numeric type.

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
        return Picture(values.astype(np.uint8) * np.uint8(255), notes)
    if values.dtype == np.uint8:
        return Picture(values.astype(np.uint8, copy=False), notes)
    if not np.isfinite(values).all():
        raise UnreadableError("holds NaN or infinite values")
    depth_like = np.issubdtype(values.dtype, np.integer) and int(values.min()) >= 0
    if depth_like and int(values.max()) <= np.iinfo(np.int32).max:
        return Picture(values.astype(np.int32), notes)
    return Picture(values.astype(np.float32), notes)


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


def _is_misnamed(found: str | None, suffix: str) -> bool:
    named = Image.registered_extensions().get(suffix.lower())
    same = {"MPO": "JPEG"}  # a camera's JPEG with a second picture in it
    return named is not None and found is not None and same.get(named, named) != same.get(found, found)


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
