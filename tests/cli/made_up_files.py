"""Image files of many kinds, and what `tenfold check` says of them."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from made_up_images import noise_image

GREY = noise_image("grey", 24, 24)
COLOURS = noise_image("colours", 24, 24, 3)
SUFFIX = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "WEBP": "webp", "PPM": "ppm"}


def encoded(array: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


class Checked:
    """What `check` says of class folders a and b with two plain images each, and these files in a."""

    def __init__(self, tenfold: Any, files: Mapping[str, bytes]) -> None:
        for name in "ab":
            Path("set", name).mkdir(parents=True)
            for index in range(2):
                Image.fromarray(noise_image((name, index), 24, 24, 3)).save(f"set/{name}/plain-{index}.png")
        for name, content in files.items():
            Path("set/a", name).write_bytes(content)
        status, self.text, _ = tenfold("check", "set")
        assert status == 0
        status, out, self.stderr = tenfold("check", "set", "--json")
        assert status == 0
        self.found = json.loads(out)
        self.reasons = {entry["source"].removeprefix("a/"): entry["reason"] for entry in self.found["set_aside"]}

    def warned(self, words: str) -> int:
        """How many images a warning with these words counts."""
        return sum(int(warning.split()[0]) for warning in self.found["warnings"] if words in warning)


def png_header(side: int, depth: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, depth, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff_header(side: int, bits: int, compression: int) -> bytes:
    tags = {256: side, 257: side, 258: bits, 259: compression, 262: 1, 273: 200, 277: 1, 278: side, 279: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(300)


def patched(content: bytes, mark: bytes, offset: int, form: str, side: int) -> bytes:
    """The file with its sides, `offset` bytes behind a mark, set to others."""
    place = content.index(mark) + offset
    sides = struct.pack(form, side, side)
    return content[:place] + sides + content[place + len(sides) :]


def nifti_header(*sides: int) -> bytes:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(sides), *sides, *[1] * (7 - len(sides)))
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<f", header, 108, 352.0)
    header[344:348] = b"n+1\0"
    return bytes(header)
