"""Files that cannot be read as the images they claim to be, by the rows of the table of bad inputs."""

from __future__ import annotations

import gzip
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from made_up_files import COLOURS, GREY, SUFFIX, encoded, nifti_header, patched, png_header, tiff, tiff_header
from PIL import Image

from made_up_images import noise_image


def test_row_1_files_of_zero_bytes_are_set_aside(checked: Any) -> None:
    names = ("x_png", "x_jpg", "x_tif", "x_dcm", "x_nii_gz", "x_heic", "x")
    found = checked(**dict.fromkeys(names, b""))
    assert found.reasons == {name.replace("_", "."): "empty file (0 bytes)" for name in names}
    assert found.found["images"] == 4
    assert "a/x.png: empty file (0 bytes)" in found.text


@pytest.mark.parametrize("kind", SUFFIX)
def test_row_2_truncated_files_are_set_aside(checked: Any, kind: str) -> None:
    whole = encoded(COLOURS, kind)
    parts = {f"cut-{share}_{SUFFIX[kind]}": whole[: len(whole) * share // 100] for share in (10, 50, 95)}
    if kind == "TIFF":
        parts |= {f"{how}_tif": tiff(COLOURS, compression=how)[:-900] for how in ("zlib", "lzw", "jpeg")}
        parts["deep_tif"] = tiff(GREY.astype(np.uint16) * 256)[:-400]
    found = checked(**parts)
    assert len(found.reasons) == len(parts), found.found["images"]
    assert "truncated" in found.reasons[f"cut-95.{SUFFIX[kind]}"] or kind == "WEBP"


def test_row_2_nothing_but_tenfold_speaks_of_a_packed_tiff_that_is_truncated(checked: Any) -> None:
    checked(**{f"{how}_tif": tiff(COLOURS, compression=how)[:-900] for how in ("zlib", "lzw")})
    program = [sys.executable, "-c", "from tenfold.cli import main; main()", "check", "set"]
    assert subprocess.run(program, capture_output=True, check=True).stderr == b""


def test_row_3_a_wrong_extension_is_told_and_the_file_is_read(checked: Any) -> None:
    names = {"PNG": "jpg", "JPEG": "png", "GIF": "jpeg", "BMP": "tif", "TIFF": "bmp", "WEBP": "gif"}
    odd = {f"{kind}_{suffix}": encoded(noise_image(kind, 24, 24), kind) for kind, suffix in names.items()}
    odd |= {f"{suffix}_{suffix}": encoded(noise_image(suffix, 24, 24)) for suffix in ("dcm", "nii", "heic")}
    odd["deep_png"] = tiff(GREY.astype(np.uint16) * 256)
    right = {"bare": encoded(COLOURS), "BIG_PNG": encoded(GREY), "x_jfif": encoded(GREY[::-1], "JPEG")}
    found = checked(**odd, **right)
    assert found.reasons == {}
    assert found.warned("wrong extension") == len(odd)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\r\n<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"<!-- served -->\n<!-- twice --><HTML><head>", "a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page"),
        (b"<script>location='/login'</script>", "a web page"),
        (b'{"error": "no such image"}\n', '{"error": "no such image"}'),
        (b"404: Not Found", "404: Not Found"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", "git lfs pull"),
        (bytes(100), "not an image that can be read"),
    ],
)
def test_row_4_what_a_download_left_in_place_of_an_image_is_set_aside(
    checked: Any, content: bytes, reason: str
) -> None:
    found = checked(photo_jpg=content)
    assert reason in found.reasons["photo.jpg"]


def test_row_5_bombs_are_refused_by_their_headers(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Image.Image.load
    monkeypatch.setattr(
        Image.Image, "load", lambda self: load(self) if self.size == (24, 24) else pytest.fail("decoded")
    )
    gif = b"GIF89a%b\xf0\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02L\x01\0;"
    side = 30_000
    bombs = {
        "flat_png": png_header(side, 8),
        "deep_png": png_header(side, 16),
        "just-too-large_png": png_header(9_000, 8),
        "screen_gif": gif % b"\xff\xff\xff\xff",
        "frame_gif": gif % b"\x18\0\x18\0",
        "x_bmp": patched(encoded(COLOURS, "BMP"), b"BM", 18, "<ii", side),
        "x_jpg": patched(encoded(COLOURS, "JPEG"), b"\xff\xc0", 5, ">HH", side),
        "x_jp2": patched(patched(encoded(COLOURS, "JPEG2000"), b"\xff\x51", 6, ">II", side), b"ihdr", 4, ">II", side),
        "x_ppm": b"P6 30000 30000 65535\n" + bytes(100),
        "flat_tif": tiff_header(side, 8, 1),
        "deep_tif": tiff_header(side, 64, 1),
        "packed_tif": tiff_header(2**31 - 1, 16, 8),
        "x_nii": nifti_header(side, side, 5),
        "deep_nii": nifti_header(300, 300, 30_000),
        "packed_nii_gz": gzip.compress(nifti_header(side, side, 5)),
    }  # fmt: skip
    found = checked(**bombs)
    assert found.reasons.keys() == {name.replace("_", ".") for name in bombs}
    assert all("not decoded" in reason for reason in found.reasons.values()), found.reasons
    assert found.stderr == ""
