"""Bytes and arrays handed to the decoder; whole files of every kind are in tests/cli."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tenfold.core.keys import Key
from tenfold.data.decoding import decode, pixels
from tenfold.data.decoding.pixels import DecodedImage, UnreadableError, from_array


def encoded(image: Image.Image, format_name: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def photo(height: int = 12, width: int = 10) -> Image.Image:
    values = Key("photo").numpy_generator().integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_grey_and_colour_come_through_unchanged_and_equal_channels_are_grey() -> None:
    colour = photo()
    grey = colour.convert("L")
    for image, expected in ((colour, colour), (grey, grey), (grey.convert("RGB"), grey)):
        assert np.array_equal(decode(encoded(image)).pixels, np.asarray(expected))


def test_transparency_is_flattened_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    clear.putpixel((2, 3), (10, 20, 30, 255))
    image = decode(encoded(clear))
    assert image.notes == (pixels.FLATTENED,)
    assert image.pixels[3, 2].tolist() == [10, 20, 30]
    assert image.pixels[0, 0].tolist() == [255, 255, 255]


def test_sixteen_bits_and_floats_keep_their_values() -> None:
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    image = decode(encoded(Image.fromarray(deep)))
    assert image.pixels.dtype == np.int32
    assert (image.pixels == deep).all()
    real = np.linspace(-2, 3, 64, dtype=np.float32).reshape(8, 8)
    assert (decode(encoded(Image.fromarray(real), "TIFF")).pixels == real).all()


@pytest.mark.parametrize("make", [lambda v: v > 127, lambda v: v.astype(np.int64) * 200, lambda v: v / 255])
def test_arrays_of_any_type(make: Callable[..., np.ndarray]) -> None:
    values = make(np.asarray(photo().convert("L")))
    image = from_array(values)
    assert isinstance(image, DecodedImage)
    assert image.pixels.shape == values.shape


@given(st.integers(0, 3_000), st.binary(min_size=1, max_size=40))
def test_damage_anywhere_never_escapes(position: int, garbage: bytes) -> None:
    """Whatever a disk or a download does to a file, the outcome is an image or a reason."""
    for whole in WHOLE_FILES:
        at = position % len(whole)
        with contextlib.suppress(UnreadableError):
            image = decode(whole[:at] + garbage + whole[at + len(garbage) :])
            assert image.pixels.ndim in (2, 3)


WHOLE_FILES = [
    encoded(photo(), "PNG"),
    encoded(photo(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
    encoded(photo(), "BMP"),
    encoded(photo(), "GIF"),
    encoded(photo(), "TIFF"),
    encoded(photo(), "WEBP"),
]
