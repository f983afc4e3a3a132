"""Image files of unusual kinds through the program, a row of the bad-input table a test."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from made_up_images import noise_image
from made_up_scans import dicom
from made_up_sets import QUICK_CGAN, SHORT, easy_set
from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.data.readers.patients import BY_PATIENT
from tenfold.training.classifier import train_classifier
from tenfold.training.classifier_io import save_classifier
from tenfold.training.recipe import Recipe

CAMERA = 4095
"""The brightest value of a camera of 12 bits."""


def write_bands(root: Path, kind: str) -> Path:
    """A set whose classes are told by how bright they are: what a scale of each file's own would wipe out."""
    made = easy_set([12, 12], noise=8)
    for index, (image, label) in enumerate(zip(made.images[:, 0], made.labels, strict=True)):
        values = (image / 255 * CAMERA * (0.1 + 0.9 * label)).round()
        folder = root / f"class {label}"
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "float":
            Image.fromarray((values / CAMERA).astype(np.float32)).save(folder / f"{index}.tif")
        else:
            Image.fromarray(values.astype(np.uint16)).save(folder / f"{index}.png")
    return root


@pytest.mark.parametrize("kind", ["float", "12 bits in 16"])
def test_row_59_the_value_range_is_part_of_the_model(tenfold: Any, tmp_path: Path, kind: str) -> None:
    data = load(write_bands(tmp_path / "set", kind))
    classifier = train_classifier(data, None, Recipe(), Key("range"), SHORT)
    save_classifier(tmp_path / "model/classifier.safetensors", classifier, {})
    kept = json.loads((tmp_path / "model/classifier.json").read_text())["value_ranges"]
    assert kept == ({"reals": [0, 1]} if kind == "float" else {"integers": [0, CAMERA]})
    rows = classifier.probabilities(data.images)
    for given in (["set"], ["set/class 0"], ["set/" + data.sources[0]], ["set/" + data.sources[-1]]):
        status, out, err = tenfold("predict", "model", *given)
        assert (status, err) == (0, "")
        for row in csv.DictReader(io.StringIO(out)):
            place = data.sources.index(row["file"].removeprefix("set/"))
            assert float(row["probability of class 1"]) == pytest.approx(rows[place, 1], abs=1e-4)


def test_row_59_a_file_outside_the_range_is_told_and_counted(tenfold: Any, tmp_path: Path) -> None:
    data = load(write_bands(tmp_path / "set", "12 bits in 16"))
    save_classifier(
        tmp_path / "model/classifier.safetensors", train_classifier(data, None, Recipe(), Key("range"), SHORT), {}
    )
    for name, values in {"within": np.full((8, 8), 100), "beyond": np.full((8, 8), 60_000)}.items():
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / f"{name}.png")
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "other.tif")
    status, out, err = tenfold("predict", "model", "within.png", "beyond.png", "other.tif")
    assert (status, out.count("\n")) == (0, 4)
    assert "1 of 3 images: values outside of the range" in " ".join(err.split())
    assert "1 of 3 images: values scaled by their own range" in " ".join(err.split())


def test_row_59_a_grown_set_and_its_generator_keep_the_range_of_the_originals(tenfold: Any, tmp_path: Path) -> None:
    data = load(write_bands(tmp_path / "set", "12 bits in 16"))
    wanted = {"integers": [0, CAMERA]}
    assert tenfold("grow", "set", "drawn by", "--with", QUICK_CGAN, "--times", "1", "--keep-copies")[0] == 0
    assert json.loads((tmp_path / "drawn by/generator.json").read_text())["value_ranges"] == wanted
    assert tenfold("sample", "drawn by", "drawn", "--times", "1")[0] == 0
    assert json.loads((tmp_path / "drawn/value_ranges.json").read_text()) == wanted
    assert tenfold("grow", "set", "grown", "--with", "classical", "--times", "1")[0] == 0
    grown = load(tmp_path / "grown")
    assert grown.value_ranges == {"integers": (0, CAMERA)}
    classifier = train_classifier(grown, None, Recipe(), Key("range"), SHORT)
    save_classifier(tmp_path / "model/classifier.safetensors", classifier, {})
    status, out, err = tenfold("predict", "model", "set/class 0")
    assert (status, err) == (0, "")
    rows = classifier.probabilities(data.images)
    for row in csv.DictReader(io.StringIO(out)):
        place = data.sources.index(row["file"].removeprefix("set/"))
        assert float(row["probability of class 1"]) == pytest.approx(rows[place, 1], abs=1e-4)
    (tmp_path / "grown/value_ranges.json").write_text('{"integers": [5, 1]}')
    status, _, err = tenfold("check", "grown")
    assert status == 2
    assert "value_ranges.json" in err


def write_set(root: Path, **files: bytes) -> Path:
    """Class folders a and b with two plain images each; the files given lie in a, an underscore for the dot."""
    for name in "ab":
        (root / name).mkdir(parents=True)
        for index in range(2):
            Image.fromarray(noise_image((name, index), 8, 8, 3)).save(root / name / f"plain-{index}.png")
    for name, content in files.items():
        (root / "a" / name.replace("_", ".")).write_bytes(content)
    return root


def checked(tenfold: Any, data: Path) -> dict[str, Any]:
    status, out, _ = tenfold("check", str(data), "--json")
    assert status == 0
    found: dict[str, Any] = json.loads(out)
    return found


def encoded(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


COLOURS = noise_image("colours", 8, 8, 3)


def told(found: dict[str, Any], words: str) -> int:
    """How many images a warning with these words counts."""
    counts = [int(warning.split()[0]) for warning in found["warnings"] if words in warning]
    return sum(counts)


BROKEN_EXIF = b"Exif\0\0II*\0\xff\xff\xff\x7f"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_row_6_and_61_broken_exif_and_colour_profiles_are_told_of_every_format(
    tenfold: Any, tmp_path: Path, kind: str
) -> None:
    files = {
        f"exif_{kind.lower()}": encoded(COLOURS, kind, exif=BROKEN_EXIF),
        f"profile_{kind.lower()}": encoded(COLOURS, kind, icc_profile=b"no profile" * 20),
    }
    found = checked(tenfold, write_set(tmp_path / "set", **files))
    assert found["images"] == 6
    assert told(found, "broken EXIF") == 1
    assert told(found, "broken colour profile") == 1


def test_row_61_a_broken_profile_of_a_tiff_is_told_and_whole_ones_are_not(tenfold: Any, tmp_path: Path) -> None:
    whole = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "a camera's maker"
    files = {
        "broken_tif": encoded(COLOURS, "TIFF", icc_profile=b"no profile" * 20),
        "deep_tif": deep_tiff(COLOURS.astype(np.uint16) << 8, iccprofile=b"no profile" * 20),
        "whole_tif": encoded(COLOURS, "TIFF", icc_profile=whole),
        "whole_jpg": encoded(COLOURS, "JPEG", icc_profile=whole, exif=exif),
    }
    found = checked(tenfold, write_set(tmp_path / "set", **files))
    assert told(found, "broken colour profile") == 2
    assert not told(found, "broken EXIF")


def deep_tiff(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, photometric="rgb" if array.shape[-1] == 3 else "minisblack", **options)
    return buffer.getvalue()


def test_row_10_12_13_and_18_unusual_values_are_converted_or_set_aside_and_told(tenfold: Any, tmp_path: Path) -> None:
    deep = noise_image("deep", 8, 8).astype(np.uint16) * 16
    clear = np.dstack([COLOURS, COLOURS[..., 0]])
    films = [Image.fromarray(noise_image(("film", index), 8, 8)) for index in range(3)]
    film = io.BytesIO()
    films[0].save(film, "GIF", save_all=True, append_images=films[1:])
    found = checked(
        tenfold,
        write_set(
            tmp_path / "set",
            clear_png=encoded(clear),
            deep_png=encoded(deep),
            real_tif=deep_tiff(deep.astype(np.float32) / 4095),
            film_gif=film.getvalue(),
            pages_tif=deep_tiff(np.stack([deep, deep[::-1]])),
            hole_tif=deep_tiff(np.full((8, 8), np.nan, np.float32)),
        ),
    )
    assert [entry["source"] for entry in found["set_aside"]] == ["a/hole.tif"]
    assert "NaN" in found["set_aside"][0]["reason"]
    assert told(found, "first frame of several") == 2
    done = found["conversions"]
    assert done["transparency flattened on white"] == 1
    assert done["values of more than 8 bits scaled to 0..255, from 0..4,095"] == 2
    assert done["real values scaled to 0..255, from 0..1"] == 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_row_60_colours_of_12_bits_in_16_span_the_whole_range(tenfold: Any, tmp_path: Path, suffix: str) -> None:
    written = {}
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(2):
            random = (Key("12 bits") / name / index).numpy_generator()
            values = random.integers(0, CAMERA + 1, (16, 16, 3)).astype(np.uint16)
            content = imagecodecs.png_encode(values) if suffix == "png" else deep_tiff(values)
            written[f"{name}/{index}.{suffix}"] = values
            (tmp_path / "set" / f"{name}/{index}.{suffix}").write_bytes(content)
    status, _, _ = tenfold("grow", "set", "out", "--with", "classical", "--times", "0.5")
    assert status == 0
    records = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").read_text().splitlines()]
    real = {record["source"]: record["file_name"] for record in records if record["origin"] == "real"}
    assert real.keys() == written.keys()
    for source, file in real.items():
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / file)), np.rint(written[source] / 4095 * 255))


@pytest.mark.parametrize("package", ["pydicom", "nibabel", "pillow_heif"])
def test_row_19_a_missing_extra_sets_files_aside_and_is_named(
    tenfold: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    kinds = {
        "pydicom": ("scan_dcm", bytes(128) + b"DICM" + bytes(64), "tenfold[dicom]"),
        "nibabel": ("scan_nii_gz", gzip.compress(bytes(344) + b"n+1\0" + bytes(64)), "tenfold[nifti]"),
        "pillow_heif": ("photo_heic", b"\0\0\0\x18ftypheic" + bytes(32), "tenfold[heic]"),
    }
    name, content, extra = kinds[package]
    monkeypatch.setitem(sys.modules, package, None)
    found = checked(tenfold, write_set(tmp_path / "set", **{name: content}))
    assert [entry["source"] for entry in found["set_aside"]] == ["a/" + name.replace("_", ".")]
    assert extra in found["set_aside"][0]["reason"]


def write_scans(root: Path, patients: dict[str, list[str]]) -> None:
    for label, names in patients.items():
        (root / label).mkdir(parents=True)
        for index, patient in enumerate(names):
            scan = noise_image((label, index), 16, 16).astype(np.uint16) * 16
            tags = {"PatientID": patient, "RescaleSlope": 1, "RescaleIntercept": -1024}
            (root / label / f"{index}.dcm").write_bytes(dicom(scan, **tags))


def test_a_hospitals_folder_is_read_and_its_patients_are_the_groups(tenfold: Any, tmp_path: Path) -> None:
    write_scans(tmp_path / "set", {"ill": ["P1", "P1", "P2"], "well": ["P3", "P4", ""]})
    found = checked(tenfold, tmp_path / "set")
    assert (found["images"], found["set_aside"]) == (6, [])
    assert any("values of more than 8 bits scaled to 0..255, from -1,0" in what for what in found["conversions"])
    assert found["conversions"][BY_PATIENT] == 5
    assert told(found, "in no file that names a patient") == 1
    groups = load(tmp_path / "set").groups
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == 5


def test_scans_that_all_name_one_patient_are_taken_apart_with_a_warning(tenfold: Any, tmp_path: Path) -> None:
    write_scans(tmp_path / "set", {"ill": ["anonymous"] * 3, "well": ["anonymous"] * 3})
    found = checked(tenfold, tmp_path / "set")
    assert told(found, "all name one patient") == 6
    assert len(set(load(tmp_path / "set").groups.tolist())) == 6


@pytest.mark.parametrize(("sharp", "size", "is_told"), [(True, 32, True), (False, 32, False), (True, 128, False)])
def test_row_62_shrinking_that_loses_detail_is_told(
    tenfold: Any, tmp_path: Path, sharp: bool, size: int, is_told: bool
) -> None:
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(3):
            image = Image.fromarray(noise_image((name, index), *([128, 128] if sharp else [8, 8])))
            image.resize((128, 128), Image.Resampling.BICUBIC).save(tmp_path / "set" / name / f"{index}.png")
    status, out, _ = tenfold("check", "set", "--size", str(size), "--json")
    assert status == 0
    assert told(json.loads(out), "fine detail is lost") == (6 if is_told else 0)
    assert ("--size 64 keeps more" in out) == is_told
