"""Real damaged and unusual files, one row of the bad-input table after another."""

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
from tenfold.data import decoding
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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"), "NaN"),
        (encoded(photo(64, 64))[:900], "truncated or damaged"),
        (encoded(photo(64, 64), "JPEG")[:900], "truncated or damaged"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "rsvg-convert"),
        (b"just some notes", "not an image"),
        (encoded(photo(1, 1)), "too small"),
        (encoded(photo(3, 100)), "too elongated"),
        (encoded(photo(1, 10_000)), "too small"),
    ],
)
def test_unusable_files_are_set_aside_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        decode(content, ".jpg")


@pytest.mark.parametrize("side", [9_500, 30_000])
def test_a_bomb_is_refused_by_its_header(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = encoded(Image.new("1", (side, side)))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UnreadableError, match="80,000,000"):
        decode(bomb)


def test_wrong_extension_is_used_and_noted() -> None:
    assert decode(encoded(photo()), ".jpg").notes == (decoding.WRONG_EXTENSION,)
    assert decode(encoded(photo()), ".PNG").notes == ()


def test_exif_turns_the_image_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn clockwise
    lying = photo(12, 10)
    image = decode(encoded(lying, exif=exif))
    assert image.notes == (pixels.TURNED,)
    assert (image.pixels == np.rot90(np.asarray(lying), -1)).all()


def test_cmyk_becomes_rgb() -> None:
    image = decode(encoded(photo(32, 32).convert("CMYK"), "JPEG"), ".jpg")
    assert image.pixels.shape == (32, 32, 3)
    assert image.notes == (pixels.CMYK,)


def test_transparency_is_flattened_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    clear.putpixel((2, 3), (10, 20, 30, 255))
    image = decode(encoded(clear))
    assert image.notes == (pixels.FLATTENED,)
    assert image.pixels[3, 2].tolist() == [10, 20, 30]
    assert image.pixels[0, 0].tolist() == [255, 255, 255]


def test_palette_with_transparency() -> None:
    image = decode(encoded(photo(8, 8).quantize(4), transparency=0))
    assert image.notes == (pixels.PALETTE, pixels.FLATTENED)
    assert (image.pixels == 255).all(axis=-1).any()


def test_first_page_of_several_is_used() -> None:
    pages = [Image.new("L", (8, 8), value) for value in (10, 200)]
    image = decode(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert image.notes == (pixels.FIRST_FRAME,)
    assert (image.pixels == 10).all()


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
