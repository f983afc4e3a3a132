"""DICOM files of one image, as a scanner writes them."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest


def dicom(values: np.ndarray, *, preamble: bool = True, compression: str = "", **tags: Any) -> bytes:
    """A file of one image; colours are H x W x 3, frames N x H x W."""
    pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
    coloured = values.ndim == 3 and values.shape[2] == 3
    frames = values.shape[0] if values.ndim == 3 and not coloured else 1
    dataset = pydicom.Dataset()
    dataset.Rows, dataset.Columns = values.shape[-2:] if not coloured else values.shape[:2]
    dataset.SamplesPerPixel = 3 if coloured else 1
    dataset.PhotometricInterpretation = "RGB" if coloured else "MONOCHROME2"
    if coloured:
        dataset.PlanarConfiguration = 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(values.dtype.kind == "i")
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.SecondaryCaptureImageStorage, pydicom.uid.generate_uid()
    syntax = {"": "ExplicitVRLittleEndian", "lossless": "JPEGLosslessSV1", "jpegls": "JPEGLSLossless"}[compression]
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = getattr(pydicom.uid, syntax if preamble else "ImplicitVRLittleEndian")
    dataset.file_meta = meta
    if compression:
        encode = imagecodecs.ljpeg_encode if compression == "lossless" else imagecodecs.jpegls_encode
        dataset.PixelData = pydicom.encaps.encapsulate([encode(values)])
        dataset["PixelData"].VR = "OB"
    else:
        dataset.PixelData = np.ascontiguousarray(values).tobytes()
        dataset["PixelData"].VR = "OB" if values.dtype.itemsize == 1 else "OW"
    buffer = io.BytesIO()
    if preamble:
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    else:
        pydicom.dcmwrite(buffer, dataset, implicit_vr=True, little_endian=True)
    return buffer.getvalue()
