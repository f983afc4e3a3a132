"""DICOM, NIfTI and HEIC: the values that a radiologist's programs show, or the name of the extra that reads them."""

from __future__ import annotations

import contextlib
import gzip
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from made_up_scans import dicom
from tenfold.core.keys import Key
from tenfold.data.decoding import decode, medical
from tenfold.data.decoding.pixels import FIRST_FRAME, PALETTE, UnreadableError

STORED = Key("medical").numpy_generator().integers(0, 4096, (10, 12)).astype(np.uint16)


HOUNSFIELD = {"RescaleSlope": 1, "RescaleIntercept": -1024}
NEGATIVE = {"PhotometricInterpretation": "MONOCHROME1"}
SIGNED = STORED.astype(np.int16) - 2048


@pytest.mark.parametrize(
    ("stored", "tags", "expected", "notes"),
    [
        (STORED, {}, STORED, ()),
        (STORED, HOUNSFIELD, STORED.astype(int) - 1024, ()),
        (STORED, {"RescaleSlope": 0.5, "RescaleIntercept": 1}, STORED * 0.5 + 1, ()),
        (STORED, NEGATIVE | {"BitsStored": 12, "HighBit": 11}, 4095 - STORED, (medical.NEGATIVE,)),
        (STORED, NEGATIVE | HOUNSFIELD, 65535 - STORED.astype(int) - 1024, (medical.NEGATIVE,)),
        (SIGNED, {}, SIGNED, ()),
        (SIGNED, NEGATIVE, -1 - SIGNED, (medical.NEGATIVE,)),
        ((STORED >> 4).astype(np.uint8), {}, STORED >> 4, ()),
        ((STORED >> 4).astype(np.uint8), NEGATIVE, 255 - (STORED >> 4), (medical.NEGATIVE,)),
        (np.stack([STORED, STORED[::-1]]), {}, STORED, (FIRST_FRAME,)),
        (np.dstack([STORED >> 4, STORED >> 5, STORED >> 6]).astype(np.uint8), {}, None, ()),
        (STORED, {"compression": "lossless"}, STORED, ()),
        (STORED, {"compression": "jpegls"}, STORED, ()),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_dicom_has_the_values_that_it_means(
    stored: np.ndarray, tags: dict[str, Any], expected: np.ndarray | None, notes: tuple[str, ...]
) -> None:
    image = decode(dicom(stored, **tags), ".dcm")
    assert np.array_equal(image.pixels, stored if expected is None else expected)
    assert image.notes == notes


def test_padding_outside_of_what_was_scanned_is_as_dark_as_the_darkest_tissue() -> None:
    padded = SIGNED.copy()
    padded[:2] = -32768
    image = decode(dicom(padded, PixelPaddingValue=-32768), ".dcm")
    assert (image.pixels[:2] == SIGNED[2:].min()).all()
    assert np.array_equal(image.pixels[2:], SIGNED[2:])


def test_a_palette_of_dicom_is_turned_into_colours() -> None:
    table = np.arange(256, dtype=np.uint16) * 257
    tags = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, colours in {"Red": table, "Green": table[::-1], "Blue": table}.items():
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{name}PaletteColorLookupTableData"] = np.ascontiguousarray(colours).tobytes()
    index = (STORED >> 4).astype(np.uint8)
    image = decode(dicom(index, **tags), ".dcm")
    assert np.array_equal(image.pixels, np.dstack([index, 255 - index, index]))
    assert image.notes == (PALETTE,)


def test_dicom_without_its_sign_is_known_by_its_name() -> None:
    content = dicom(STORED, preamble=False)
    assert np.array_equal(decode(content, ".DCM").pixels, STORED)
    with pytest.raises(UnreadableError, match="not an image"):
        decode(content, ".bin")


def test_reports_and_plans_are_no_images() -> None:
    pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
    content = dicom(STORED)
    dataset = pydicom.dcmread(io.BytesIO(content))
    del dataset.PixelData
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    with pytest.raises(UnreadableError, match="without an image"):
        decode(buffer.getvalue(), ".dcm")


VOLUME = Key("volume").numpy_generator().integers(-1000, 2000, (10, 12, 7)).astype(np.int16)


def nifti(volume: np.ndarray, directions: tuple[float, ...] = (1, 1, 1), slope: float | None = None) -> bytes:
    nibabel = pytest.importorskip("nibabel", reason="needs the extra nifti")
    image = nibabel.Nifti1Image(volume, np.diag([*directions, 1]))
    if slope is not None:
        image.header.set_slope_inter(slope, 0)
    content: bytes = image.to_bytes()
    return content


@pytest.mark.parametrize("packed", [False, True])
def test_nifti_gives_its_middle_axial_slice_front_up(packed: bool) -> None:
    content = nifti(VOLUME)
    image = decode(gzip.compress(content) if packed else content, ".gz" if packed else ".nii")
    assert np.array_equal(image.pixels, np.rot90(VOLUME[:, :, 3]))
    assert image.notes == (medical.MIDDLE_SLICE,)


def test_a_volume_that_is_stored_the_other_way_round_shows_the_same() -> None:
    stored = VOLUME[::-1, ::-1].copy()
    assert np.array_equal(decode(nifti(stored, (-1, -1, 1))).pixels, decode(nifti(VOLUME)).pixels)


def test_of_several_volumes_the_first_is_used_and_a_flat_one_is_an_image() -> None:
    pixels = decode(nifti(np.stack([VOLUME, VOLUME + 5], axis=-1))).pixels
    assert np.array_equal(pixels, np.rot90(VOLUME[:, :, 3]))
    assert decode(nifti(VOLUME[:, :, :1])).notes == ()
    assert np.array_equal(decode(nifti(VOLUME[:, :, 0])).pixels, np.rot90(VOLUME[:, :, 0]))


def test_a_photograph_of_a_telephone_is_read() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (64, 64, 3))
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(np.ascontiguousarray(ramp))).save(buffer, quality=95)
    pixels = decode(buffer.getvalue(), ".heic").pixels.astype(int)
    assert pixels.shape[:2] == (64, 64)
    assert np.abs(pixels.reshape(64, 64, -1)[..., 0] - ramp[..., 0]).max() < 16


@given(st.integers(0, 1_000_000), st.binary(min_size=1, max_size=40), st.booleans())
def test_damage_anywhere_never_escapes(position: int, garbage: bytes, cut: bool) -> None:
    wholes = [dicom(STORED, **HOUNSFIELD), dicom(STORED, compression="jpegls"), nifti(VOLUME)]
    wholes.append(gzip.compress(wholes[-1]))
    whole = wholes[position % len(wholes)]
    at = position // len(wholes) % len(whole)
    with contextlib.suppress(UnreadableError):
        image = decode(whole[:at] + garbage + (b"" if cut else whole[at + len(garbage) :]), ".dcm")
        assert image.pixels.ndim in (2, 3)
