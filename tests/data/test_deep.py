"""Files of more than 8 bits a value, and TIFF of every kind, whose values are known."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tenfold.core.keys import Key
from tenfold.data.decoding import decode
from tenfold.data.decoding.deep import is_tiff
from tenfold.data.decoding.pixels import (
    CMYK,
    FIRST_CHANNELS,
    FIRST_FRAME,
    FLATTENED,
    PALETTE,
    TURNED,
    UnreadableError,
    upright,
)


def values(top: int, *shape: int) -> np.ndarray:
    return (Key("deep files") / top / str(shape)).numpy_generator().integers(0, top + 1, shape)


GREY, COLOUR = values(4095, 12, 10).astype(np.uint16), values(4095, 12, 10, 3).astype(np.uint16)
BYTES, COLOUR_BYTES = values(255, 12, 10).astype(np.uint8), values(255, 12, 10, 3).astype(np.uint8)
SPECTRUM = values(4095, 12, 10, 5).astype(np.uint16)
COLOURS_OF_BYTES, COLOURS_OF_WORDS = (values(65535, 3, count).astype(np.uint16) for count in (256, 65536))
INKS = values(65535, 12, 10, 4).astype(np.uint16)
INK = INKS / 65535


def tiff(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def planes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(2, 0, 1))


BLACK, WHITE = {"photometric": "minisblack"}, {"photometric": "miniswhite"}
CONTIGUOUS = BLACK | {"planarconfig": "contig"}
COLOURED = {"photometric": "rgb"}
PLANES = COLOURED | {"planarconfig": "separate"}

TIFFS: dict[str, tuple[bytes, Any, tuple[str, ...]]] = {
    "8 bits": (tiff(BYTES, **BLACK), BYTES, ()),
    "8 bits, white is zero": (tiff(BYTES, **WHITE), 255 - BYTES, ()),
    "16 bits": (tiff(GREY, **BLACK), GREY, ()),
    "16 bits, white is zero": (tiff(GREY, **WHITE), 65535 - GREY, ()),
    "16 bits, white is zero, big-endian": (tiff(GREY, **WHITE, byteorder=">"), 65535 - GREY, ()),
    "12 bits packed": (tiff(GREY, **BLACK, bitspersample=12), GREY, ()),
    "12 bits packed, white is zero": (tiff(GREY, **WHITE, bitspersample=12), 4095 - GREY, ()),
    "32 bits, white is zero": (tiff(GREY.astype(np.uint32), **WHITE), 2**32 - 1 - GREY.astype(np.int64), ()),
    "signed": (tiff(GREY.astype(np.int16) - 1000, **BLACK), GREY.astype(int) - 1000, ()),
    "8 bits signed": (tiff(BYTES.astype(np.int8), **BLACK), BYTES.astype(np.int8), ()),
    "signed, white is zero": (tiff(GREY.astype(np.int16) - 1000, **WHITE), 999 - GREY.astype(int), ()),
    "1 bit": (tiff(BYTES > 127, **BLACK), 255 * (BYTES > 127), ()),
    "1 bit, white is zero": (tiff(BYTES > 127, **WHITE), 255 * (BYTES <= 127), ()),
    "half": (tiff(BYTES.astype(np.float16) / 256, **BLACK), BYTES / 256, ()),
    "float": (tiff(BYTES.astype(np.float32) / 256, **BLACK), BYTES / 256, ()),
    "float, white is zero": (tiff(BYTES.astype(np.float32) / 256, **WHITE), 1 - BYTES / 256, ()),
    "double": (tiff(BYTES / 256, **BLACK), BYTES / 256, ()),
    "float in colour": (tiff(COLOUR_BYTES.astype(np.float32) / 256, **COLOURED), COLOUR_BYTES / 256, ()),
    "8 bits in colour": (tiff(COLOUR_BYTES, **COLOURED), COLOUR_BYTES, ()),
    "8 bits in planes": (tiff(planes(COLOUR_BYTES), **PLANES), COLOUR_BYTES, ()),
    "16 bits in colour": (tiff(COLOUR, **COLOURED), COLOUR, ()),
    "16 bits in planes": (tiff(planes(COLOUR), **PLANES), COLOUR, ()),
    "16 bits in tiles": (tiff(COLOUR, **COLOURED, tile=(16, 16)), COLOUR, ()),
    "64-bit offsets": (tiff(COLOUR, **COLOURED, bigtiff=True), COLOUR, ()),
    "LZW with predictor": (tiff(COLOUR, **COLOURED, compression="lzw", predictor=True), COLOUR, ()),
    "deflate": (tiff(COLOUR, **COLOURED, compression="zlib"), COLOUR, ()),
    "Zstandard": (tiff(COLOUR, **COLOURED, compression="zstd"), COLOUR, ()),
    "JPEG 2000 inside": (tiff(COLOUR, **COLOURED, compression="jpeg2000"), COLOUR, ()),
    "palette": (
        tiff(BYTES, photometric="palette", colormap=COLOURS_OF_BYTES), COLOURS_OF_BYTES.T[BYTES] >> 8, (PALETTE,)
    ),
    "palette of 16 bits": (
        tiff(GREY, photometric="palette", colormap=COLOURS_OF_WORDS), COLOURS_OF_WORDS.T[GREY] >> 8, (PALETTE,)
    ),
    "inks": (
        tiff(INKS, photometric="separated"),
        np.rint((1 - INK[..., :3]) * (1 - INK[..., 3:]) * 65535),
        (CMYK,),
    ),
    "two samples": (tiff(SPECTRUM[..., :2], **CONTIGUOUS), SPECTRUM[..., 0], (FIRST_CHANNELS,)),
    "three samples not called colours": (tiff(COLOUR, **CONTIGUOUS), COLOUR, ()),
    "five samples": (tiff(SPECTRUM, **CONTIGUOUS), SPECTRUM[..., :3], (FIRST_CHANNELS,)),
    "five samples of 8 bits": (
        tiff((SPECTRUM >> 4).astype(np.uint8), **CONTIGUOUS), SPECTRUM[..., :3] >> 4, (FIRST_CHANNELS,)
    ),
    "colours and a fourth sample": (
        tiff(SPECTRUM[..., :4], **COLOURED, extrasamples=["unspecified"]), SPECTRUM[..., :3], (FIRST_CHANNELS,)
    ),
    "pages": (tiff(SPECTRUM.transpose(2, 0, 1), **BLACK), SPECTRUM[..., 0], (FIRST_FRAME,)),
    "a volume": (
        tiff(planes(SPECTRUM), **BLACK, volumetric=True, tile=(16, 16, 16)), SPECTRUM[..., 0], (FIRST_FRAME,)
    ),
    "on its side": (tiff(GREY, **BLACK, extratags=[(274, 3, 1, 6, True)]), np.rot90(GREY, -1), (TURNED,)),
}  # fmt: skip


@pytest.mark.parametrize("name", TIFFS)
def test_row_60_tiff_of_every_kind_has_the_values_that_were_written(name: str) -> None:
    content, expected, notes = TIFFS[name]
    image = decode(content, ".tif")
    assert image.pixels.shape == expected.shape
    assert np.array_equal(image.pixels, expected)
    assert image.notes == notes


def test_transparency_of_16_bits_is_flattened_on_white() -> None:
    opacity = np.full((12, 10, 1), 65535, np.uint16)
    opacity[0, 0], opacity[1, 1] = 0, 32768
    for premultiplied, kind in ((False, "unassalpha"), (True, "assocalpha")):
        image = decode(tiff(np.concatenate([COLOUR, opacity], 2), **COLOURED, extrasamples=[kind]), ".tif")
        assert image.notes == (FLATTENED,)
        assert (image.pixels[0, 0] == 65535).all() or premultiplied
        assert np.array_equal(image.pixels[2:], COLOUR[2:])
        share = 1 if premultiplied else 32768 / 65535
        assert np.allclose(image.pixels[1, 1], share * COLOUR[1, 1] + 32767, atol=1)


def test_an_opacity_that_is_the_same_everywhere_says_nothing() -> None:
    everywhere = np.full((12, 10, 1), 4095, np.uint16)
    for colours in (COLOUR, GREY[..., None]):
        content = png(np.concatenate([colours, everywhere], 2))
        assert np.array_equal(decode(content).pixels, colours.squeeze())


def png(array: np.ndarray, *, interlaced: bool = False) -> bytes:
    """A PNG of 16 bits, byte by byte: H x W (x 1..4)."""
    samples = array.reshape(*array.shape[:2], -1)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2]]
    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [samples[top::down, left::right] for top, left, down, right in steps] if interlaced else [samples]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for one in passes if one.size for row in one)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, interlaced)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("array", [GREY, COLOUR], ids=["grey", "colour"])
def test_row_60_png_of_16_bits_has_the_values_that_were_written(array: np.ndarray, interlaced: bool) -> None:
    image = decode(png(array, interlaced=interlaced), ".png")
    assert np.array_equal(image.pixels, array)
    assert image.notes == ()


@pytest.mark.parametrize("array", [GREY, COLOUR, COLOUR_BYTES], ids=["grey", "colour", "8 bits"])
def test_jpeg_2000_keeps_its_depth(array: np.ndarray) -> None:
    content = imagecodecs.jpeg2k_encode(array, level=0, codecformat="jp2")
    assert np.array_equal(decode(content, ".jp2").pixels, array)


@pytest.mark.parametrize("white", [4095, 65535])
def test_ppm_of_16_bits_keeps_its_depth_as_pgm_does(white: int) -> None:
    head = f"# a note\n10 12\n{white}\n".encode()
    colour = decode(b"P6\n" + head + COLOUR.astype(">u2").tobytes(), ".ppm")
    grey = decode(b"P5\n" + head + COLOUR[..., 0].astype(">u2").tobytes(), ".pgm")
    assert np.array_equal(colour.pixels, np.rint(COLOUR / white * 65535))
    assert np.array_equal(colour.pixels[..., 0], grey.pixels)
    with pytest.raises(UnreadableError, match="truncated"):
        decode(b"P6\n" + head + COLOUR.tobytes()[:-1], ".ppm")


@given(st.integers(0, 100_000), st.binary(min_size=1, max_size=40), st.booleans())
def test_damage_anywhere_never_escapes(position: int, garbage: bytes, cut: bool) -> None:
    wholes = [png(COLOUR), *(content for content, _, _ in TIFFS.values())]
    whole = wholes[position % len(wholes)]
    at = position // len(wholes) % len(whole)
    with contextlib.suppress(UnreadableError):
        image = decode(whole[:at] + garbage + (b"" if cut else whole[at + len(garbage) :]))
        assert image.pixels.ndim in (2, 3)


@pytest.mark.parametrize("name", ["16 bits in colour", "16 bits, white is zero, big-endian", "deflate", "float"])
def test_a_tiff_that_was_cut_off_is_set_aside(name: str) -> None:
    content = TIFFS[name][0]
    assert is_tiff(content)
    for share in (0.3, 0.6, 0.95):
        with pytest.raises(UnreadableError):
            decode(content[: int(len(content) * share)], ".tif")


def test_a_colour_space_that_is_not_read_names_a_converter() -> None:
    with pytest.raises(UnreadableError, match="CIELAB; convert it to RGB"):
        decode(tiff(COLOUR, photometric="cielab"), ".tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_values_are_turned_as_pillow_turns_images(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(BYTES).save(buffer, "PNG", exif=exif)
    assert np.array_equal(decode(buffer.getvalue()).pixels, upright(BYTES, orientation))
