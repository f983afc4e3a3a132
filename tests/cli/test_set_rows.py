"""Sets that are missing, empty, lopsided or doubled, by the rows of the table of bad inputs."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from made_up_images import noise_image
from made_up_sets import QUICK_CGAN, SHORT

Folders = Callable[..., Path]
STUDY = ("--arms", "raw", "--repeats", "1", "--no-learning-curve", "--workers", "1", "--out", "study")


def found(tenfold: Any, *words: str) -> dict[str, Any]:
    status, out, err = tenfold("check", *words, "--json")
    assert status == 0, err
    findings: dict[str, Any] = json.loads(out)
    return findings


def groups_of(tenfold: Any, data: str) -> dict[str, int]:
    """The group of each image, which lies in one fold: what a grown set says of the originals."""
    assert tenfold("grow", data, "grown", "--with", "classical", "--times", "0.2")[0] == 0
    lines = [json.loads(line) for line in Path("grown/metadata.jsonl").read_text().splitlines()]
    return {line["source"]: line["group"] for line in lines if line["origin"] == "real"}


def zipped(root: Path) -> str:
    with zipfile.ZipFile(root.with_suffix(".zip"), "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root.parent))
    return root.with_suffix(".zip").name


EVERY_READER = [
    "check DATA", "prove DATA", "run DATA", "grow DATA out --with classical", f"fit {QUICK_CGAN} DATA out",
    "restyle DATA out", "preview mixup DATA --out x.png", "adapt DATA --to digits", "adapt digits --to DATA",
    "prove digits --test DATA",
]  # fmt: skip


@pytest.mark.parametrize("command", EVERY_READER)
def test_row_20_a_path_that_is_missing(tenfold: Any, tmp_path: Path, command: str) -> None:
    for name in ("nothing", "no/such/place", "no.zip", "no.csv", "no.npz"):
        status, _, err = tenfold(*command.replace("DATA", name).split())
        last = err.splitlines()[-1]
        assert status == 2
        assert f"{name}: no such file, folder or known set." in last
        assert "Known: " in last or "Check the path" in last
        assert not list(tmp_path.iterdir())


def test_row_20_other_things_that_are_missing_name_what_makes_them(tenfold: Any) -> None:
    assert "Did you mean 'digits'?" in tenfold("check", "digitz")[2]
    assert "`tenfold run DATA` makes one" in tenfold("predict", "nothing", "digits")[2]
    assert "`tenfold fit METHOD DATA OUT` makes one" in tenfold("sample", "nothing", "out")[2]


def empty(kind: str) -> str:
    root = Path("set")
    inside = {
        "clutter": ".DS_Store",
        "papers": "a/notes.txt",
        "parts": "train/none",
        "zip of papers": "set/a/notes.txt",
    }
    file = root / inside.get(kind, "x")
    file.parent.mkdir(parents=True)
    if kind in ("clutter", "papers", "zip of papers"):
        file.write_text("x")
    if kind == "table":
        Path("set/metadata.csv").write_text("file_name,label\n")
    if kind == "lines":
        Path("set/metadata.jsonl").write_text("\n")
    if kind == "npz":
        np.savez("set.npz", images=np.zeros((0, 8, 8), np.uint8), labels=np.zeros(0, int))
        return "set.npz"
    return zipped(root) if "zip" in kind else "set"


@pytest.mark.parametrize(
    "kind", ["bare", "clutter", "papers", "parts", "table", "lines", "npz", "zip", "zip of papers"]
)
def test_row_21_an_empty_set(tenfold: Any, kind: str) -> None:
    data = empty(kind)
    for command in ("check DATA", "prove DATA", "grow DATA out --with classical", "adapt digits --to DATA"):
        status, _, err = tenfold(*command.replace("DATA", data).split())
        assert status == 2, (command, err)
        assert any(mend in err for mend in ("put the images", "give a folder", "a line", "add images")), err
        assert not Path("out").exists()


def test_row_22_a_single_class_can_be_grown_and_not_judged(tenfold: Any, class_folders: Folders) -> None:
    class_folders({"only": 8})
    class_folders({"x": 8}, Path("other"))
    for command in ("prove set", "run set", "adapt set --to other", "restyle set out"):
        status, _, err = tenfold(*command.split())
        last = err.splitlines()[-1]
        assert status == 2, err
        assert "add a" in last
    assert any(warning.startswith("a single class") for warning in found(tenfold, "set")["warnings"])
    for command in ("grow set grown --with classical --times 1", f"fit {QUICK_CGAN} set kept"):
        assert tenfold(*command.split())[0] == 0
    assert len(list(Path("grown/only").glob("generated-*.png"))) == 8


@pytest.mark.parametrize("around", [".", "set", "train", "set/train"])
@pytest.mark.parametrize("packed", [False, True])
def test_row_23_an_empty_class(tenfold: Any, class_folders: Folders, around: str, packed: bool) -> None:
    root = class_folders({f"{around}/a": 3, f"{around}/b": 3})
    for nothing in ("c", "c/deeper"):
        (root / around / nothing).mkdir()
        data = zipped(root) if packed else "set"
        for command in ("check", "prove"):
            status, _, err = tenfold(command, data)
            assert status == 2, err
            assert "/c' is empty" in err or "'c' is empty" in err
            assert "add images to it or remove it" in err


def test_row_23_a_class_whose_images_are_all_broken(tenfold: Any, class_folders: Folders) -> None:
    for path in (class_folders({"a": 3, "b": 3}) / "b").iterdir():
        path.write_bytes(b"")
    status, _, err = tenfold("check", "set")
    assert status == 2
    assert "class 'b': none of its images can be read" in err


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)


@pytest.mark.usefixtures("short")
def test_row_24_and_25_a_class_of_one_image_and_one_smaller_than_the_folds(
    tenfold: Any, class_folders: Folders
) -> None:
    class_folders({"a": 6, "b": 3, "single": 1})
    actions = found(tenfold, "set")["actions"]
    assert "class 'single' has a single image: it is trained on and grown, but cannot be evaluated" in actions
    status, _, err = tenfold("prove", "set", *STUDY)
    assert status == 0
    assert "class 'b' has only 3 images (or groups): 3 folds instead of 5" in err
    assert "class 'single' has too few independent images to be tested; it is trained on" in err
    verdict = json.loads(Path("study/verdict.json").read_text())
    assert (verdict["folds"], verdict["images"]) == (3, 9)
    assert tenfold("grow", "set", "grown", "--with", "classical", "--times", "2")[0] == 0
    assert len(list(Path("grown/single").iterdir())) == 3


def test_row_24_single_images_alone_give_no_verdict(tenfold: Any, class_folders: Folders) -> None:
    class_folders({"a": 5, "b": 1, "c": 1})
    for command in ("prove", "run"):
        status, _, err = tenfold(command, "set")
        assert status == 2
        assert "no verdict is possible; add images (growing without a verdict works: tenfold grow)" in err
        assert [path.name for path in Path().iterdir()] == ["set"]


@pytest.mark.parametrize(("many", "few"), [(1000, 1), (60, 3), (30, 3)])
def test_row_26_a_lopsided_set_is_told(tenfold: Any, many: int, few: int) -> None:
    images = np.stack([noise_image(number, 4, 4) for number in range(many + few)])
    np.savez("set.npz", images=images, labels=np.arange(many + few) >= many)
    findings = found(tenfold, "set.npz")
    told = f"the largest class has {many / few:.0f} times the images of the smallest"
    assert (told in findings["warnings"]) == (many >= 20 * few)


def test_row_29_and_32_copies_and_siblings_stay_in_one_fold(tenfold: Any) -> None:
    def scene(key: str) -> Image.Image:
        return ImageOps.autocontrast(Image.fromarray(noise_image(key, 48, 48)).filter(ImageFilter.GaussianBlur(2)))

    for name in "ab":
        Path("set", name).mkdir(parents=True)
        for number in range(20):
            scene(f"{name}{number}").save(f"set/{name}/x{number}.png")
    first = scene("a0")
    made = {
        "copied.png": first,
        "again.tif": first,
        "coloured.bmp": first.convert("RGB"),
        "packed.jpg": first,
        "turned.png": first.rotate(90),
        "mirrored.png": first.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "tilted.png": first.rotate(8, Image.Resampling.BILINEAR, fillcolor=128),
        "brighter.png": ImageEnhance.Brightness(first).enhance(1.15),
        "nearer.png": first.crop((3, 3, 45, 45)).resize((48, 48)),
        "smaller.png": first.resize((40, 40)),
    }
    for name, image in made.items():
        image.save(Path("set/a", name))
    findings = found(tenfold, "set")
    assert [sorted(same) for same in findings["exact_within"]] == [
        ["a/again.tif", "a/coloured.bmp", "a/copied.png", "a/x0.png"]
    ]
    groups = groups_of(tenfold, "set")
    assert [name for name in made if groups[f"a/{name}"] != groups["a/x0.png"]] == []
    assert len(set(groups.values())) == 40, "all others are alone"


def test_row_30_the_same_image_in_two_classes_is_left_out_and_listed(tenfold: Any, class_folders: Folders) -> None:
    root = class_folders({"a": 4, "b": 4, "c": 3})
    shutil.copy(root / "a/000.png", root / "b/same.png")
    Image.open(root / "a/000.png").convert("RGB").save(root / "c/same.bmp")
    status, out, _ = tenfold("check", "set")
    assert status == 0
    assert "a/000.png = b/same.png = c/same.bmp" in out
    _, _, err = tenfold("grow", "set", "out", "--with", "classical", "--times", "1")
    assert "3 of set set aside, such as a/000.png (stands in two classes" in " ".join(err.split())
    assert groups_of(tenfold, "set").keys() == {
        *(f"a/00{number}.png" for number in (1, 2, 3)),
        *(f"b/00{number}.png" for number in range(4)),
        *(f"c/00{number}.png" for number in range(3)),
    }
    (root / "d").mkdir()
    shutil.copy(root / "a/001.png", root / "d/x.png")
    status, _, err = tenfold("prove", "set")
    assert status == 2
    assert "keep each image in one class" in err
