"""Images in forms that networks do not read, by the rows of the table of bad inputs: the values are checked."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest
from made_up_files import COLOURS, GREY, SUFFIX, encoded, tiff
from PIL import Image

from made_up_images import noise_image
from tenfold.data.load import load


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_row_7_exif_turns_the_image_upright(as_read: Any, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    left = np.zeros((24, 24, 3), np.uint8)
    left[:, :12] = 255
    options = {"tiffinfo": exif} if kind == "TIFF" else {"exif": exif}
    found, pixels = as_read(**{f"lying_{SUFFIX[kind]}": encoded(left, kind, **options)})
    assert found.found["conversions"]["turned upright by EXIF"] == 1
    turned = {3: left[:, ::-1], 6: np.rot90(left, -1), 8: np.rot90(left)}[orientation]
    assert np.abs(pixels[f"lying.{SUFFIX[kind]}"].astype(int) - turned).max() <= 8


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "16 bits"])
def test_row_8_cmyk_becomes_the_colours_that_it_prints(as_read: Any, kind: str) -> None:
    """Whoever takes the inverted inks of Adobe's JPEG for inks gets the negative."""
    inks = np.zeros((24, 24, 4), np.uint8)
    inks[:12, :, 0] = 255  # cyan above, a dark grey below
    inks[12:, :, 3] = 204
    deep = tiff(inks.astype(np.uint16) * 257, photometric="separated")
    content = deep if kind == "16 bits" else encoded(Image.fromarray(inks, "CMYK"), kind)
    found, pixels = as_read(**{"print_jpg" if kind == "JPEG" else "print_tif": content})
    assert found.found["conversions"]["CMYK turned into RGB"] == 1
    image = pixels["print.jpg" if kind == "JPEG" else "print.tif"].astype(int)
    assert np.abs(image[:10] - [0, 255, 255]).max() <= 8
    assert np.abs(image[14:] - [51, 51, 51]).max() <= 8


def test_row_9_palettes_become_colours_and_what_is_clear_becomes_white(as_read: Any) -> None:
    palette = Image.fromarray(np.tile(np.arange(3, dtype=np.uint8), (24, 8)), "P")
    palette.putpalette([200, 0, 0, 0, 100, 0, 0, 0, 50])
    found, pixels = as_read(
        opaque_png=encoded(palette),
        clear_png=encoded(palette, transparency=0),
        half_png=encoded(palette, transparency=bytes([128, 255, 255])),
        clear_gif=encoded(palette, "GIF", transparency=0),
        opaque_bmp=encoded(palette, "BMP"),
        key_png=encoded(np.dstack([COLOURS[..., :2], np.full((24, 24), 7, np.uint8)]), transparency=(1, 2, 7)),
    )
    first = {name: pixels[name][0, 0].tolist() for name in ("opaque.png", "clear.png", "half.png", "clear.gif")}
    white = [255, 255, 255]
    half = [227, 127, 127]
    assert first == {"opaque.png": [200, 0, 0], "clear.png": white, "half.png": half, "clear.gif": white}
    assert all((pixels[name][:, 1::3] == [0, 100, 0]).all() for name in first)
    assert found.found["conversions"]["palette turned into colours"] == 5
    assert found.found["conversions"]["transparency flattened on white"] == 4


def test_row_11_grey_among_colours_is_kept_as_rgb(as_read: Any) -> None:
    mono = Image.fromarray(GREY).convert("1")
    found, pixels = as_read(grey_png=encoded(GREY), mono_png=encoded(mono), three_png=encoded(np.dstack([GREY] * 3)))
    assert found.found["image_shape"] == [3, 24, 24]
    assert found.found["conversions"]["grey image among colour ones, kept as RGB"] == 3
    assert np.array_equal(pixels["grey.png"], np.dstack([GREY] * 3))
    assert np.array_equal(pixels["grey.png"], pixels["three.png"])
    assert set(np.unique(pixels["mono.png"])) == {0, 255}


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(0, 65_535, np.uint16), (0, 4_095, np.uint16), (-32_768, 32_767, np.int16), (-1_000, 3_000, np.int16),
     (0, 1, np.float32), (-1, 1, np.float64), (-7.5, 2.5, np.float32), (0, 1, np.float16), (0, 3e9, np.uint32)],
)  # fmt: skip
def test_row_12_more_than_8_bits_are_scaled_and_not_clipped(
    as_read: Any, low: float, high: float, kind: type[np.generic]
) -> None:
    values = np.linspace(low, high, 24 * 24).reshape(24, 24).astype(kind)
    found, pixels = as_read(deep_tif=tiff(values), half_tif=tiff(np.full_like(values, (low + high) / 2)))
    assert np.abs(pixels["deep.tif"][..., 0] - np.linspace(0, 255, 24 * 24).reshape(24, 24)).max() <= 1
    assert np.abs(pixels["half.tif"].astype(int) - 127).max() <= 1, "one range for all"
    done = [what for what in found.found["conversions"] if "scaled to 0..255" in what]
    assert done[0].endswith(f"{low:,.7g}..{high:,.7g}")


def test_row_13_of_several_frames_the_first_is_used_with_a_warning(as_read: Any) -> None:
    def film(kind: str, **options: Any) -> bytes:
        frames = [Image.fromarray(noise_image((kind, number), 24, 24, 3)) for number in range(3)]
        return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)

    pages = np.stack([GREY, GREY[::-1], GREY.T])
    block = np.stack([noise_image(("block", number), 16, 16) for number in range(16)])
    films = {
        "x_gif": film("GIF"),
        "x_png": film("PNG"),
        "x_webp": film("WEBP", lossless=True),
        "x_tif": film("TIFF"),
        "deep_tif": tiff(pages.astype(np.uint16) * 257, photometric="minisblack"),
        "stack_tif": tiff(pages, imagej=True),
        "block_tif": tiff(block, volumetric=True, tile=(16, 16, 16)),
    }
    found, pixels = as_read(**films, single_gif=encoded(COLOURS, "GIF"))
    assert found.warned("first frame of several") == len(films)
    for name in ("png", "webp", "tif"):
        kind = {"tif": "TIFF"}.get(name, name.upper())
        assert np.array_equal(pixels[f"x.{name}"], noise_image((kind, 0), 24, 24, 3))
    assert np.array_equal(pixels["deep.tif"][..., 0], GREY)
    assert np.array_equal(pixels["stack.tif"][..., 0], GREY)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "deep"])
def test_row_14_and_15_images_too_small_or_too_long_are_set_aside(checked: Any, kind: str) -> None:
    def written(height: int, width: int) -> bytes:
        values = noise_image((height, width), height, width)
        return tiff(values.astype(np.uint16) * 257) if kind == "deep" else encoded(values, kind)

    sides = {"small": [(1, 1), (2, 2), (1, 9)], "elongated": [(10_000, 1), (1, 10_000), (3, 100), (201, 10)]}
    files = {f"{height}x{width}_img": written(height, width) for both in sides.values() for height, width in both}
    found = checked(**files, least_img=written(3, 3), longest_img=written(60, 3))
    assert found.reasons.keys() == {name.replace("_", ".") for name in files}
    assert all("too small" in reason or "too elongated" in reason for reason in found.reasons.values())
    assert "1 x 10000 pixels" in found.reasons["10000x1.img"]


def test_row_16_mixed_sizes_are_fitted_and_padded(as_read: Any) -> None:
    wide, flat = np.zeros((24, 96), np.uint8), np.full((48, 48), 90, np.uint8)
    wide[8:-8, 8:-8] = 200
    small = noise_image("small", 8, 8)
    found, pixels = as_read(wide_png=encoded(wide), large_png=encoded(flat), small_png=encoded(small))
    assert found.found["image_shape"] == [3, 24, 24]
    assert found.found["conversions"]["resized"] == 3
    assert found.found["conversions"]["padded to a square"] == 1
    assert (pixels["large.png"] == 90).all()
    assert pixels["wide.png"].shape == (24, 96), "a grown set keeps the file's own shape"
    data = load("set")
    wide_as_read = next(image for image, source in zip(data.images, data.sources, strict=True) if "wide" in source)
    middle = wide_as_read[0, :, 12]
    assert (middle[:8].max(), middle[-8:].max()) == (0, 0), "not stretched"
    assert middle[11:13].min() > 180


def test_row_17_images_of_one_colour_are_told(checked: Any) -> None:
    plain = np.full((24, 24, 3), (9, 8, 7), np.uint8)
    clear = np.dstack([COLOURS, np.zeros((24, 24), np.uint8)])
    found = checked(
        flat_png=encoded(plain),
        flat_jpg=encoded(plain + 20, "JPEG"),
        wide_png=encoded(np.full((8, 24), 33, np.uint8)),
        clear_png=encoded(clear),
        deep_tif=tiff(np.full((24, 24), 900, np.uint16)),
        real_tif=tiff(np.full((24, 24), 0.25, np.float32)),
        dot_png=encoded(np.pad(np.full((1, 1), 99, np.uint8), (3, 20))),
    )
    assert found.warned("one constant colour") == 6
    assert found.reasons == {}


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_row_18_a_value_that_is_no_number_sets_the_image_aside(checked: Any, tenfold: Any, odd: float) -> None:
    values = noise_image("real", 24, 24).astype(np.float32) / 255
    values[3, 4] = odd
    found = checked(
        x_tif=tiff(values),
        half_tif=tiff(values.astype(np.float16)),
        double_tif=tiff(values.astype(np.float64), compression="zlib"),
        colours_tif=tiff(np.dstack([values] * 3), photometric="rgb"),
        x_pfm=encoded(values, "PPM"),
        whole_tif=tiff(np.nan_to_num(values, posinf=1, neginf=0)),
    )
    assert found.reasons == dict.fromkeys(
        ("x.tif", "half.tif", "double.tif", "colours.tif", "x.pfm"), "holds NaN or infinite values"
    )
    images = np.stack([noise_image(number, 24, 24).astype(np.float32) / 255 for number in range(4)] + [values])
    np.savez("set.npz", images=images, labels=[0, 0, 1, 1, 1])
    status, out, _ = tenfold("check", "set.npz", "--json")
    assert (status, len(json.loads(out)["set_aside"])) == (0, 1)


def test_row_19_drawings_and_cameras_files_name_the_converter(checked: Any) -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    found = checked(
        x_svg=b"<?xml version='1.0'?>\n<!--" + b" " * 3000 + b"-->" + svg,
        x_svgz=gzip.compress(svg),
        x_png=svg,
        x_eps=b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n",
        x_cr3=b"\0\0\0\x18ftypcrx " + bytes(40),
    )
    assert all("convert it to" in reason for reason in found.reasons.values())
    assert found.reasons.keys() == {"x.svg", "x.svgz", "x.png", "x.eps", "x.cr3"}


@pytest.mark.parametrize("depth", [8, 16])
def test_row_60_white_is_zero_is_turned_round_at_any_depth(as_read: Any, depth: int) -> None:
    most = 2**depth - 1
    values = np.linspace(0, most, GREY.size).reshape(GREY.shape).astype(f"uint{depth}")
    written = tiff(values, photometric="miniswhite"), tiff(values, photometric="minisblack")
    _, pixels = as_read(white_tif=written[0], black_tif=written[1])
    expected = np.rint(values / most * 255)
    assert np.abs(pixels["black.tif"][..., 0] - expected).max() <= 1
    assert np.abs(pixels["white.tif"][..., 0] - (255 - expected)).max() <= 1
