"""What hospitals keep images in, DICOM (by pydicom) and NIfTI (by nibabel), and HEIC of telephones (by pillow-heif).

Each is an optional extra; where it is missing the file is set aside and the reason names what to install. No image is
windowed by itself: values are scaled by the range of the set, as those of every other file are.
"""

from __future__ import annotations

import gzip
import io
import logging
import math
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from tenfold.data.decoding.pixels import FIRST_FRAME, PALETTE, UnreadableError, Values, check_size, damaged

NEGATIVE = "negative (MONOCHROME1) turned into its positive"
MIDDLE_SLICE = "middle axial slice of a volume used"
DICOM_SUFFIXES = (".dcm", ".dicom")
SIGN_AT = 128
"""Where a DICOM file says that it is one."""
NIFTI_MAGIC, NIFTI_HEADER_BYTES = (b"n+1\0", b"n+2\0"), 348
GZIP = b"\x1f\x8b"
LARGEST_VOLUME_BYTES = 1 << 29
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
CODECS = {
    "1.2.840.10008.1.2.4.51": "jpeg_decode",  # of 12 bits
    "1.2.840.10008.1.2.4.57": "jpegsof3_decode",  # lossless
    "1.2.840.10008.1.2.4.70": "jpegsof3_decode",
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",
}
"""What imagecodecs unpacks, by transfer syntax: pydicom would need a further package for each."""

logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # what it finds odd is judged here


def is_dicom(content: bytes) -> bool:
    """Whether the file says that it is DICOM; old ones do not, and are known by their names alone."""
    return content[SIGN_AT : SIGN_AT + 4] == b"DICM"


def is_nifti(content: bytes) -> bool:
    """Whether the file, or what is packed in it, is NIfTI with its image in the same file."""
    head = content[:NIFTI_HEADER_BYTES]
    if content.startswith(GZIP):
        try:
            head = zlib.decompressobj(31).decompress(content, NIFTI_HEADER_BYTES)
        except zlib.error:
            return False
    return head[344:348] in NIFTI_MAGIC or head[4:8] in NIFTI_MAGIC


def is_heif(content: bytes) -> bool:
    """Whether the file is HEIC or another still image of that family."""
    return content[4:8] == b"ftyp" and content[8:12] in HEIF_BRANDS


def open_heif(content: bytes) -> Image.Image:
    """The main image of a HEIC file, upright.

    Raises:
        UnreadableError: the file is damaged, or the extra `heic` is not installed.
    """
    pillow_heif = _extra("pillow_heif", "HEIC", "heic", "to JPEG (heif-convert)")
    try:
        file = pillow_heif.open_heif(io.BytesIO(content))
        check_size(*file.size)
        image: Image.Image = file.to_pillow()
    except UnreadableError:
        raise
    except Exception as error:  # libheif's faults are the file's
        raise damaged(error) from error
    return image


def read_dicom(content: bytes) -> tuple[Values, list[str]]:
    """H x W (x 3) values of the first frame in the unit that the file gives them, and what was done to them.

    Raises:
        UnreadableError: the file is damaged or holds no image, or the extra `dicom` is not installed.
    """
    pydicom = _extra("pydicom", "DICOM", "dicom", "to PNG (dcm2pnm)")
    try:
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
        if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
            raise UnreadableError("DICOM without an image (a report, a plan or a table)")
        if "Columns" not in dataset or "Rows" not in dataset:
            raise UnreadableError("DICOM that does not tell the size of its image")
        check_size(int(dataset.Columns), int(dataset.Rows))
        notes = [FIRST_FRAME] if int(dataset.get("NumberOfFrames") or 1) > 1 else []
        values = _first_frame(dataset, pydicom)
        return _meant(values, dataset, pydicom, notes), notes
    except UnreadableError:
        raise
    except Exception as error:  # pydicom raises what it meets in a damaged file
        raise damaged(error) from error


def read_nifti(content: bytes) -> tuple[Values, list[str]]:
    """H x W values of the middle axial slice of the first volume, front up, and what was done to them.

    Raises:
        UnreadableError: the file is damaged, too large, or the extra `nifti` is not installed.
    """
    nibabel = _extra("nibabel", "NIfTI", "nifti", "a slice of it to PNG")
    try:
        if content.startswith(GZIP):
            with gzip.open(io.BytesIO(content)) as packed:
                content = packed.read(LARGEST_VOLUME_BYTES + 1)
        if len(content) > LARGEST_VOLUME_BYTES:
            raise UnreadableError("a volume of more than 512 MB, not decoded")
        second = content[4:8] == NIFTI_MAGIC[1]
        image = (nibabel.Nifti2Image if second else nibabel.Nifti1Image).from_bytes(content)
        if math.prod(image.shape) * image.get_data_dtype().itemsize > LARGEST_VOLUME_BYTES:
            raise UnreadableError("a volume of more than 512 MB, not decoded")
        while len(image.shape) > 3:
            image = image.slicer[..., 0]
        if len(image.shape) < 2:
            raise UnreadableError("NIfTI without an image")
        notes = []
        if len(image.shape) == 3:
            image = nibabel.as_closest_canonical(image)
            middle = image.shape[2] // 2
            notes = [MIDDLE_SLICE] if image.shape[2] > 1 else []
            values = np.asarray(image.dataobj[:, :, middle])
        else:
            values = np.asarray(image.dataobj)
        return np.rot90(values), notes
    except UnreadableError:
        raise
    except Exception as error:  # nibabel raises what it meets in a damaged file
        raise damaged(error) from error


def patient_of(path: Path) -> str:
    """The PatientID of a DICOM file; empty where it has none, or is no such file."""
    try:
        import pydicom

        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
    except Exception:  # set aside when it is decoded, with the reason
        return ""
    return str(dataset.get("PatientID") or "").strip()


def _extra(module: str, kind: str, extra: str, otherwise: str) -> ModuleType:
    try:
        return __import__(module)
    except ImportError as error:
        package = module.replace("_", "-")
        reason = f"{kind}; pip install 'tenfold[{extra}]' reads it ({package}), or convert it {otherwise}"
        raise UnreadableError(reason) from error


def _first_frame(dataset: Any, pydicom: Any) -> Values:
    """The stored values, colours as RGB; what pydicom has no decoder for is unpacked by imagecodecs."""
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    if syntax not in CODECS:
        values: Values = pydicom.pixels.pixel_array(dataset, index=0)
        return values
    import imagecodecs

    frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
    stored = np.asarray(getattr(imagecodecs, CODECS[syntax])(frame))
    return stored.view(stored.dtype.str.replace("u", "i")) if dataset.PixelRepresentation else stored


def _meant(values: Values, dataset: Any, pydicom: Any, notes: list[str]) -> Values:
    """What stored values mean: a palette's colours, the positive of a negative, Hounsfield units."""
    interpretation = str(dataset.PhotometricInterpretation)
    if interpretation == "PALETTE COLOR":
        notes.append(PALETTE)
        colours: Values = pydicom.pixels.apply_color_lut(values, dataset)
        return colours if colours.dtype == np.uint8 else (colours >> 8).astype(np.uint8)
    if values.ndim == 3 or int(dataset.BitsStored) == 1:
        return values if values.ndim == 3 else values.astype(bool)
    padding = values == dataset.PixelPaddingValue if "PixelPaddingValue" in dataset else np.zeros(1, bool)
    if interpretation == "MONOCHROME1":
        notes.append(NEGATIVE)
        values = (
            ~values if values.dtype.kind == "i" else ((1 << int(dataset.BitsStored)) - 1 - values.astype(np.int64))
        )
    slope, intercept = (
        float(dataset.get(f"Rescale{name}") or usual) for name, usual in (("Slope", 1), ("Intercept", 0))
    )
    if (slope, intercept) != (1, 0):
        values = values * slope + intercept
        if slope.is_integer() and intercept.is_integer():
            values = values.astype(np.int64)
    elif "ModalityLUTSequence" in dataset:
        values = pydicom.pixels.apply_modality_lut(values, dataset)
    if padding.any() and not padding.all():
        values = np.where(padding, values[~padding].min(), values)
    return values
