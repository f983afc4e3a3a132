"""Layouts of folders that people have, by the rows of the table of bad inputs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Folders = Callable[..., Path]


def checked(tenfold: Any, root: Path, *more: str) -> dict[str, Any]:
    status, out, err = tenfold("check", str(root), "--json", *more)
    assert status == 0, err
    findings: dict[str, Any] = json.loads(out)
    return findings


def test_row_27_images_without_labels(tenfold: Any, class_folders: Folders) -> None:
    status, _, err = tenfold("check", str(class_folders({".": 3, "a": 2})))
    assert status == 2
    assert "without a label" in err


def test_row_28_ambiguous_nesting_names_what_mends_it(tenfold: Any, class_folders: Folders) -> None:
    root = class_folders({"day1/a": 2, "day1/b": 2, "day2/a": 2, "day2/b": 2})
    status, _, err = tenfold("check", str(root))
    assert status == 2
    assert "--class-folders" in err
    assert checked(tenfold, root, "--class-folders", "last")["counts"] == {"a": 4, "b": 4}


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Testing"), ("dev", "train", "Test_set")])
def test_row_71_parts_are_no_classes(tenfold: Any, class_folders: Folders, names: tuple[str, ...]) -> None:
    root = class_folders({f"{part}/{name}": 3 for part in names for name in ("cat", "dog")})
    findings = checked(tenfold, root)
    studied = 3 * (len(names) - 1)
    assert findings["counts"] == {"cat": studied, "dog": studied}
    assert findings["roles"] == {"train": 2 * studied, "test": 6}
    assert any("studied together" in action for action in findings["actions"])
    assert any("sealed as the external test" in action for action in findings["actions"])


def test_row_71_parts_inside_of_the_classes(tenfold: Any, class_folders: Folders) -> None:
    root = class_folders({f"{name}/{part}": 3 for part in ("train", "test") for name in ("cat", "dog")})
    assert checked(tenfold, root)["roles"] == {"train": 6, "test": 6}


def test_row_71_a_test_folder_without_classes_is_told(tenfold: Any, class_folders: Folders) -> None:
    findings = checked(tenfold, class_folders({"train/cat": 3, "train/dog": 3, "test": 4}))
    assert findings["roles"] == {"train": 6}
    assert any(warning.startswith("4 images") and "unlabelled" in warning for warning in findings["warnings"])


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_row_71_a_metadata_file_in_each_part(tenfold: Any, class_folders: Folders, kind: str) -> None:
    root = class_folders({"train": 6, "validation": 4, "test": 4})
    for part in root.iterdir():
        rows = [(path.name, "cat" if number % 2 else "dog") for number, path in enumerate(sorted(part.iterdir()))]
        if kind == "csv":
            text = "file_name,label\n" + "\n".join(map(",".join, rows))
        else:
            text = "\n".join(json.dumps(dict(zip(("file_name", "label"), row, strict=True))) for row in rows)
        (part / f"metadata.{kind}").write_text(text)
    findings = checked(tenfold, root)
    assert findings["counts"] == {"cat": 5, "dog": 5}
    assert findings["roles"] == {"train": 10, "test": 4}


@pytest.mark.parametrize("inner", ["Imgs", "p7/series1", "2019/january/left"])
def test_row_72_folders_inside_the_classes(tenfold: Any, class_folders: Folders, inner: str) -> None:
    findings = checked(tenfold, class_folders({f"a/{inner}": 4, f"b/{inner}": 4, "a": 2}))
    assert findings["counts"] == {"a": 6, "b": 4}
    assert any(warning.startswith("8 images") for warning in findings["warnings"])


def test_row_74_papers_and_models_at_the_root(tenfold: Any, class_folders: Folders) -> None:
    root = class_folders({"a": 2, "b": 2})
    (root / "docs").mkdir()
    for name in ("README", "paper.pdf", "model.h5", "clip.mpg", "data.hdf", "old.zip", "docs/notes.txt"):
        (root / name).write_bytes(b"%PDF-1.4")
    findings = checked(tenfold, root)
    assert findings["counts"] == {"a": 2, "b": 2}
    assert any(action.startswith("7 files") and ".pdf" in action for action in findings["actions"])
    assert findings["set_aside"] == [{"source": "docs", "reason": "folder without images"}]


def test_row_76_links_and_pipes(tenfold: Any, class_folders: Folders) -> None:
    root = class_folders({"a": 2, "b": 2})
    (root / "a/loop").symlink_to(root)
    (root / "a/self.png").symlink_to("self.png")
    (root / "self").symlink_to("self")
    os.mkfifo(root / "b/pipe.png")
    findings = checked(tenfold, root)
    assert findings["images"] == 4
    assert len(findings["set_aside"]) == 4


@pytest.mark.parametrize("name", ["pipe", "pipe.csv", "pipe.npz", "pipe.safetensors"])
@pytest.mark.parametrize("verb", ["check DATA", "predict DATA DATA", "sample DATA OUT", "prove --config DATA"])
def test_row_76_a_pipe_given_as_a_file(tenfold: Any, tmp_path: Path, name: str, verb: str) -> None:
    os.mkfifo(tmp_path / name)
    status, _, err = tenfold(
        *verb.replace("DATA", str(tmp_path / name)).replace("OUT", str(tmp_path / "out")).split()
    )
    assert status == 2, err


def test_row_76_devices_and_circles_given_as_data(tenfold: Any, tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    for name in ("/dev/null", "/dev/zero", str(tmp_path / "circle")):
        assert tenfold("check", name)[0] == 2


def test_row_31_the_same_image_in_train_and_test(tenfold: Any, class_folders: Folders) -> None:
    root = class_folders({"training/a": 2, "training/b": 2, "testing/a": 1, "testing/b": 1})
    shutil.copy(root / "training/a/000.png", root / "testing/a/copy.png")
    status, _, err = tenfold("check", str(root))
    assert status == 2
    assert "remove one of them" in err


def test_row_73_masks_are_counted(tenfold: Any, class_folders: Folders) -> None:
    root = class_folders({"a": 3, "b/images": 3, "b/masks": 3})
    for number in range(3):
        (root / f"b/masks/00{number}.png").rename(root / f"a/00{number}_mask.png")
    shutil.copytree(root / "a", root / "b/masks", dirs_exist_ok=True)
    findings = checked(tenfold, root)
    assert any(warning.startswith("9 images that look like masks") for warning in findings["warnings"])


def test_row_77_augmented_siblings_by_their_names(tenfold: Any, class_folders: Folders) -> None:
    root = class_folders({"a": 6, "b": 6})
    (root / "a/001.png").rename(root / "a/000_aug_1.png")
    (root / "b/001.png").rename(root / "b/000_0_1234.png")
    (root / "b/002.png").rename(root / "b/000_0_5678.png")
    findings = checked(tenfold, root)
    assert findings["siblings"] == [["a/000.png", "a/000_aug_1.png"]]
    assert any("may be copies made of one another" in warning for warning in findings["warnings"])
