"""Images of more than 8 bits a value, which Pillow would cut down to 8 or misread: TIFF, PNG, JPEG 2000 and PPM.

TIFF is read by tifffile, which hands over the values as they are in the file; what they mean (white is zero, a
palette, planes, samples that are no colours) is read from the tags here. PNG and JPEG 2000 are read by imagecodecs,
which brings libpng and OpenJPEG, and unpacks compressed TIFF too.
"""

from __future__ import annotations

import io
import logging
import re
from operator import add
from typing import Any

import numpy as np
from PIL import Image

from tenfold.data.decoding.pixels import (
    CMYK,
    FIRST_CHANNELS,
    FIRST_FRAME,
    FLATTENED,
    PALETTE,
    TURNED,
    UnreadableError,
    Values,
    check_size,
    damaged,
    flattened,
    rgb_of_cmyk,
    upright,
)

DEEP_PPM = re.compile(rb"P6" + 3 * rb"(?:\s|#[^\n]*\n)+(\d+)" + rb"\s")
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BITS_PER_SAMPLE, COMPRESSION, ORIENTATION, EXTRA_SAMPLES, SAMPLE_FORMAT, IMAGE_DEPTH = 258, 259, 274, 338, 339, 32997
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, INDEXED, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
DATA_PLACES = ((273, 279), (324, 325))
"""Where strips and tiles begin, and their bytes."""
JPEG_COMPRESSIONS = (6, 7, 34892, 33007, 34933, 34934)
"""Whose decoders turn YCbCr into RGB."""
PREMULTIPLIED, TRANSPARENCY = 1, (1, 2)
MOST_BYTES = 1 << 30

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it finds odd is judged here


def is_tiff(content: bytes) -> bool:
    """Whether the file begins as a TIFF does, of 32 or 64 bits and either order of bytes."""
    return content.startswith(TIFF_HEADS)


def pillow_is_exact(image: Image.Image, content: bytes) -> bool:
    """Whether Pillow's reading of a file that it has opened loses nothing."""
    if image.format == "PNG":
        depth, colour_type = content[24:26]
        return depth < 16 or colour_type == 0
    if image.format == "TIFF":
        tags: Any = image.tag_v2  # type: ignore[attr-defined]  # an image of this format has them
        unsigned = all(kind == 1 for kind in tags.get(SAMPLE_FORMAT, (1,)))
        known = all(kind in TRANSPARENCY for kind in tags.get(EXTRA_SAMPLES, ()))
        flat = tags.get(IMAGE_DEPTH, 1) == 1
        for starts, lengths in DATA_PLACES:
            ends = map(add, tags.get(starts, ()), tags.get(lengths, ()))
            # Of a packed one libtiff would say so on stderr, without the file's name.
            if tags.get(COMPRESSION, 1) != 1 and max(ends, default=0) > len(content):
                raise EOFError("the file ends before its image does")
        return unsigned and known and flat and max(tags.get(BITS_PER_SAMPLE, (1,))) <= 8
    if image.format == "PPM":
        return image.mode != "RGB" or not (header := DEEP_PPM.match(content)) or int(header[3]) <= 255
    return image.format != "JPEG2000" or image.mode == "L"


def read_deep(image_format: str, content: bytes) -> Values:
    """H x W (x 2, 3 or 4) values of a PNG, JPEG 2000 or PPM.

    Raises:
        UnreadableError: the file is damaged.
    """
    import imagecodecs

    if image_format == "PPM":
        return _read_ppm(content)
    decode = imagecodecs.png_decode if image_format == "PNG" else imagecodecs.jpeg2k_decode
    try:
        values: Values = decode(content)
    except Exception as error:  # whatever a decoder of a library in C raises is a fault of the file
        raise damaged(error) from error
    return values


def _read_ppm(content: bytes) -> Values:
    """Colours of 16 bits, brought from the file's own white to 65,535, as Pillow does it to grey ones."""
    header = DEEP_PPM.match(content)
    assert header is not None  # which `pillow_is_exact` has seen
    width, height, white = map(int, header.groups())
    if len(content) < header.end() + 6 * width * height:
        raise UnreadableError("truncated or damaged: fewer values than its header tells")
    values = np.frombuffer(content, ">u2", 3 * width * height, header.end()).reshape(height, width, 3)
    return np.rint(values.clip(0, white) * (65535 / white)).astype(np.uint16)


def read_tiff(content: bytes) -> tuple[Values, list[str]]:
    """H x W (x 3) values of the first page, upright, and what was done to them.

    Raises:
        UnreadableError: the file is damaged, or its values are in a colour space that is not read.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page = file.pages.first
            check_size(page.imagewidth, page.imagelength)
            if page.nbytes > MOST_BYTES:
                raise UnreadableError(f"{page.nbytes >> 20:,} MB of values in one page, not decoded")
            notes = [FIRST_FRAME] if _has_more_pages(file) else []
            values = page.asarray()
            for axis in set(page.axes) - set("YXS"):
                values, notes = values.take(0, axis=page.axes.index(axis)), [FIRST_FRAME]
            if "S" in page.axes:
                values = np.moveaxis(values, page.axes.replace("Z", "").index("S"), -1)
            values = _grey_or_rgb(values, page, notes)
            orientation = int(page.tags.valueof(ORIENTATION, 1))
    except UnreadableError:
        raise
    except Exception as error:  # tifffile raises what it meets in a damaged file
        raise damaged(error) from error
    if orientation in range(2, 9):
        notes.append(TURNED)
        values = upright(values, orientation)
    return values, notes


def _has_more_pages(file: Any) -> bool:
    try:
        return file.pages[1] is not None
    except IndexError:
        return False


def _grey_or_rgb(values: Values, page: Any, notes: list[str]) -> Values:
    """The samples as light: H x W (x 1 or 3)."""
    space, extra = int(page.photometric), [int(kind) for kind in page.extrasamples]
    if space == YCBCR and int(page.compression) in JPEG_COMPRESSIONS:
        space = RGB
    if space not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, INDEXED, SEPARATED):
        name = getattr(page.photometric, "name", space)
        raise UnreadableError(f"TIFF in the colour space {name}; convert it to RGB (ImageMagick, tiff2rgba)")
    if space == INDEXED:
        notes.append(PALETTE)
        colours = np.asarray(page.colormap).T[values]
        return (colours >> 8).astype(np.uint8)
    if space == WHITE_IS_ZERO:
        values = _negative(values, int(page.bitspersample))
    if values.ndim == 2:
        return values
    own = values.shape[2] - len(extra)
    if space == SEPARATED:
        if own != 4 or not np.issubdtype(values.dtype, np.unsignedinteger):
            raise UnreadableError("TIFF of other inks than cyan, magenta, yellow and black; convert it to RGB")
        notes.append(CMYK)
        return rgb_of_cmyk(values[..., :4])
    transparency = next((place for place, kind in enumerate(extra) if kind in TRANSPARENCY), None)
    if transparency is not None:
        notes.append(FLATTENED)
        shown = values[..., [*range(3 if own >= 3 else 1), own + transparency]]
        return flattened(shown, premultiplied=extra[transparency] == PREMULTIPLIED)
    if values.shape[2] not in (1, 3):
        notes.append(FIRST_CHANNELS)
    return values[..., : 3 if values.shape[2] >= 3 else 1]


def _negative(values: Values, bits: int) -> Values:
    """The values where white is stored as zero, with black as zero."""
    if np.issubdtype(values.dtype, np.unsignedinteger):
        white: Values = np.asarray((1 << bits) - 1, values.dtype)
        return white - values
    return 1 - values if np.issubdtype(values.dtype, np.floating) else ~values
