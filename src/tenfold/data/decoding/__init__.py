"""Bytes to pixels: every accepted file becomes grey or RGB, upright, flattened; every other gets a reason.

Transparency is flattened on white, the paper that scans, drawings and icons are made for. Values wider than
8 bits stay as they are here: they are scaled later, by the range of the set or of the model.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageCms, ImageOps

from tenfold.data.decoding.deep import is_tiff, pillow_is_exact, read_deep, read_tiff
from tenfold.data.decoding.medical import (
    DICOM_SUFFIXES,
    is_dicom,
    is_heif,
    is_nifti,
    open_heif,
    read_dicom,
    read_nifti,
)
from tenfold.data.decoding.pixels import (
    CMYK,
    FIRST_FRAME,
    FLATTENED,
    LARGEST_PIXELS,
    MADE,
    MADE_MARK,
    OTHER_SPACE,
    PALETTE,
    TURNED,
    DecodedImage,
    UnreadableError,
    Values,
    check_size,
    damaged,
    flattened_image,
    from_array,
    upright,
)

WRONG_EXTENSION = "wrong extension, read by content"
BROKEN_EXIF = "broken EXIF ignored"
BROKEN_PROFILE = "broken colour profile (ICC) ignored"
ORIENTATION, EXIF_PART = 0x0112, 0x8769
DRAWINGS = {"EPS": "Ghostscript", "WMF": "LibreOffice"}
"""What Pillow opens and can only draw where another program is installed, and what converts it everywhere."""
SVG_SUFFIXES = (".svg", ".svgz")
MEDICAL_SUFFIXES = {
    ".dcm": "DICOM", ".dicom": "DICOM", ".nii": "NIfTI", ".gz": "NIfTI", ".heic": "HEIF", ".heif": "HEIF",
}  # fmt: skip
WEB_PAGE = re.compile(rb"(<!--.*?-->\s*)*<(!doctype html|html|head|body|script|\?xml)", re.IGNORECASE | re.DOTALL)
FIRST_LETTERS = 40
"""Of a text that lies where an image should, in the reason: mostly they say what went wrong in a download."""

# What PIL's decoders are known to raise on files that are damaged rather than foreign.
DECODER_FAULTS = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError,
    AttributeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


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
    for kind, is_kind, read in (("DICOM", is_dicom, read_dicom), ("NIfTI", is_nifti, read_nifti)):
        if is_kind(content):
            values, done = read(content)
            return from_array(values, (*_misnamed(kind, suffix), *done))
    try:
        image: Image.Image = Image.open(io.BytesIO(content))
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"larger than {LARGEST_PIXELS:,} pixels, not decoded") from error
    except DECODER_FAULTS as error:
        if is_heif(content):
            return _by_pillow(open_heif(content), 1, _misnamed("HEIF", suffix))
        if is_tiff(content):
            values, done = read_tiff(content)
            return from_array(values, (*_misnamed("TIFF", suffix), *done))
        if suffix.lower() in DICOM_SUFFIXES:
            values, done = read_dicom(content)
            return from_array(values, tuple(done))
        raise UnreadableError(_what_else(content, suffix.lower())) from error
    if image.format in DRAWINGS:
        raise UnreadableError(f"{image.format} drawing; convert it to PNG ({DRAWINGS[image.format]})")
    check_size(*image.size)
    orientation, notes = _metadata(image)
    notes = [*_misnamed(image.format, suffix), *notes]
    try:
        exact = pillow_is_exact(image, content)
    except DECODER_FAULTS as error:
        raise damaged(error) from error
    if exact:
        return _by_pillow(image, orientation, notes)
    if image.format == "TIFF":
        values, done = read_tiff(content)
        return from_array(values, (*notes, *done))
    values = read_deep(image.format or "", content)
    if values.dtype == np.uint8:
        return _by_pillow(image, orientation, notes)
    if orientation in range(2, 9):
        notes.append(TURNED)
        values = upright(values, orientation)
    return from_array(values, tuple(notes))


def _by_pillow(image: Image.Image, orientation: int, notes: list[str]) -> DecodedImage:
    try:
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            notes.append(FIRST_FRAME)
            image.seek(0)
        image.load()
    except (*DECODER_FAULTS, MemoryError) as error:
        raise damaged(error) from error
    if orientation in range(2, 9):
        notes.append(TURNED)
        image = ImageOps.exif_transpose(image)  # it turned a TIFF while loading it
    return from_array(_to_grey_or_rgb(image, notes), tuple(notes))


def _metadata(image: Image.Image) -> tuple[int, list[str]]:
    """EXIF's orientation, 1 where it says nothing, and what else of the metadata is to be told."""
    orientation, notes = 1, []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            value = image.getexif().get(ORIENTATION, 1)
            # A JPEG's was read, and its faults passed over, as soon as it was opened.
            again = Image.Exif()
            again.load(image.info.get("exif") or b"")
            again.get_ifd(EXIF_PART)
            orientation = value if isinstance(value, int) else 1
            broken = not isinstance(value, int)
        except DECODER_FAULTS:
            broken = True
    if broken or any("corrupt" in str(warning.message).lower() for warning in told):
        notes.append(BROKEN_EXIF)
    word, made = MADE_MARK
    if image.info.get(word) == made:
        notes.append(MADE)
    if "icc_profile" in image.info and _is_broken(image.info["icc_profile"]):
        notes.append(BROKEN_PROFILE)
    return orientation, notes


def _is_broken(profile: bytes | None) -> bool:
    """Whether a colour profile does not read as one; None stands for parts of one that do not fit together."""
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
    except (OSError, TypeError, ValueError):
        return True
    return False


def _to_grey_or_rgb(image: Image.Image, notes: list[str]) -> Values:
    mode = image.mode
    if mode in ("1", "L", "RGB") and "transparency" not in image.info:
        return np.asarray(image.convert("L") if mode == "1" else image)
    if mode == "F" or mode == "I" or mode.startswith("I;"):
        return np.asarray(image)
    if mode == "P":
        notes.append(PALETTE)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        notes.append(FLATTENED)
        return np.asarray(flattened_image(image))
    if mode == "CMYK":
        notes.append(CMYK)
    elif mode != "P":
        notes.append(OTHER_SPACE)
    return np.asarray(image.convert("RGB"))


def _misnamed(detected: str | None, suffix: str) -> list[str]:
    named = MEDICAL_SUFFIXES.get(suffix.lower()) or Image.registered_extensions().get(suffix.lower())
    same = {"MPO": "JPEG"}  # a camera's JPEG with a second image in it
    is_wrong = named is not None and detected is not None and same.get(named, named) != same.get(detected, detected)
    return [WRONG_EXTENSION] if is_wrong else []


def _what_else(content: bytes, suffix: str) -> str:
    """The reason for bytes that PIL does not know, naming a converter where one is known to help."""
    head = content[:2048].lstrip(b"\xef\xbb\xbf \t\r\n")
    if b"<svg" in head.lower() or suffix in SVG_SUFFIXES:
        return "SVG drawing; convert it to PNG (inkscape, rsvg-convert)"
    if WEB_PAGE.match(head):
        return "a web page, not an image"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS in place of the image; `git lfs pull` fetches it"
    if content[4:8] == b"ftyp":
        return "a camera's container of another kind than HEIC; convert it to JPEG"
    line = head.partition(b"\n")[0].strip()[:FIRST_LETTERS].decode("latin-1")
    is_text = line.isascii() and line.isprintable() and len(line) > 1
    return "not an image that can be read" + (f", but {line!r}..." if is_text else "")
