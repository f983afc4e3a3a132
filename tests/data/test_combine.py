"""Sets that are learned from together: classes by name, what is held out, copies; and images without labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_up_images import noise_image
from made_up_sets import easy_set, easy_vectors
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.data.audit import audit, cleaned
from tenfold.data.combine import (
    COLOUR_AS_GREY,
    GROUPS_UNKNOWN,
    all_classes,
    copies_of,
    group_names,
    hold_out,
    in_classes,
    missing_classes,
    read_related,
    with_external_test,
)
from tenfold.data.export import export
from tenfold.data.images import GREY_AS_RGB, RESIZED, with_channels
from tenfold.data.load import load, load_unlabelled

Folders = Callable[..., Path]


@pytest.fixture
def folder(class_folders: Folders, tmp_path: Path) -> Path:
    return class_folders({"cat": 4, "dog": 3, "owl": 2}, tmp_path / "study")


def write(path: Path, name: object, *shape: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise_image(name, *shape)).save(path)


def with_table(root: Path, rows: Sequence[tuple[str, str, str]], column: str = "patient") -> Path:
    """root/metadata.csv and an image of its own for each (file name, label, group)."""
    for file_name, _, _ in rows:
        write(root / file_name, (str(root), file_name))
    lines = [f"file_name,label,{column}", *(",".join(row) for row in rows)]
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


def test_all_of_the_second_set_is_sealed_under_names_of_its_own(
    folder: Path, class_folders: Folders, tmp_path: Path
) -> None:
    study = load(folder)
    # The same file names as in the study, and parts that are named otherwise.
    class_folders({"cat": 2, "dog": 1, "owl": 1}, tmp_path / "second/train")
    class_folders({"cat": 1, "owl": 2}, tmp_path / "second/test")
    whole = with_external_test(study, tmp_path / "second")
    assert whole.roles.tolist() == ["train"] * 9 + ["test"] * 7
    assert whole.sources[:9] == study.sources
    assert len(set(whole.sources)) == 16
    assert whole.sources[9] == "test/test/cat/000.png"
    sealed = whole.part("test")
    assert [whole.class_names[label] for label in sealed.labels] == [
        source.split("/")[2] for source in sealed.sources
    ]
    assert len(set(whole.groups)) == 16
    assert whole.conversions == {"of second, sealed as the external test": 7}
    assert whole.part("train").fingerprint() == study.fingerprint()
    assert whole.name == study.name


def test_the_second_set_takes_the_studys_size(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "second/dog/1.png", "small", 5, 5)
    write(tmp_path / "second/dog/2.png", "large", 90, 70)
    write(tmp_path / "second/cat/3.png", "as studied", 16, 16)
    whole = with_external_test(load(folder, size=16), tmp_path / "second")
    assert whole.image_shape == (1, 16, 16)
    assert whole.conversions[RESIZED] == 9 + 2, "the images of both sets are counted"
    assert np.array_equal(whole.part("test").images[0, 0], noise_image("as studied", 16, 16))


def test_colour_becomes_grey_where_grey_is_studied(folder: Path, tmp_path: Path) -> None:
    colour, grey = noise_image("colour", 8, 8, 3), noise_image("grey", 8, 8)
    write(tmp_path / "second/cat/1.png", "colour", 8, 8, 3)
    write(tmp_path / "second/cat/2.png", "grey", 8, 8)
    whole = with_external_test(load(folder), tmp_path / "second")
    luminance = colour.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert np.abs(whole.part("test").images[0, 0] - luminance).max() <= 1
    assert np.array_equal(whole.part("test").images[1, 0], grey)
    assert whole.conversions[COLOUR_AS_GREY] == 1
    assert GREY_AS_RGB not in whole.conversions


def test_grey_becomes_colour_where_colour_is_studied(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        write(tmp_path / "study" / label / "1.png", label, 8, 8, 3)
    write(tmp_path / "second/dog/1.png", "grey", 8, 8)
    whole = with_external_test(load(tmp_path / "study"), tmp_path / "second")
    assert np.array_equal(whole.part("test").images[0], np.stack([noise_image("grey", 8, 8)] * 3))
    assert whole.conversions[GREY_AS_RGB] == 1


def test_colours_turn_into_the_grey_that_pillow_makes_of_them_and_grey_there_and_back_is_the_same() -> None:
    images = noise_image("colours", 20, 3, 8, 8)
    grey = with_channels(images, 1)
    assert np.array_equal(
        grey[:, 0], [np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L")) for image in images]
    )
    assert np.array_equal(with_channels(with_channels(grey, 3), 1), grey)


def test_classes_are_matched_by_name_and_one_may_be_missing(folder: Path, tmp_path: Path) -> None:
    np.savez(
        tmp_path / "second.npz",
        images=np.stack([noise_image(name, 8, 8) for name in "xyz"]),
        labels=np.array([1, 0, 1]),
        class_names=np.array(["owl", "cat"]),
    )
    whole = with_external_test(load(folder), tmp_path / "second.npz")
    assert whole.class_names == ("cat", "dog", "owl")
    assert whole.part("test").labels.tolist() == [0, 2, 0]
    assert whole.sources[-1] == "test/second[2]"
    missing = "of class 'dog' in the external test, which says nothing about it"
    assert whole.conversions[missing] == 0
    assert f"0 images: {missing}" in audit(whole).actions


@pytest.mark.parametrize(("name", "hint"), [("dgo", "Did you mean 'dog'?"), ("zebra", "Rename or remove it")])
def test_a_class_that_is_not_studied_is_refused_with_both_lists(
    folder: Path, class_folders: Folders, tmp_path: Path, name: str, hint: str
) -> None:
    second = class_folders({"cat": 1, name: 1}, tmp_path / "second")
    with pytest.raises(InputError) as refusal:
        with_external_test(load(folder), second)
    message = str(refusal.value)
    assert f"second has a class '{name}' that study does not have" in message
    assert hint in message
    assert "Classes studied: 'cat', 'dog', 'owl'; in the external test set: 'cat', '" in message
    assert "Known:" not in message
    class_folders({f"kind {number:02d}": 1 for number in range(23)}, second)
    with pytest.raises(InputError, match=r"' and 5 more$"):
        with_external_test(load(folder), second)


def test_an_image_of_both_sets_is_refused_by_both_names(folder: Path, class_folders: Folders, tmp_path: Path) -> None:
    second = class_folders({"cat": 2, "owl": 1}, tmp_path / "second")
    (second / "owl/copy.png").write_bytes((folder / "dog/001.png").read_bytes())
    expected = "dog/001.png of study and owl/copy.png of the external test set second are the same image; remove one"
    with pytest.raises(InputError, match=expected):
        with_external_test(load(folder), second)
    with pytest.raises(InputError, match=r"cat/000.png of the external test set study .* \(and 8 more like these\)"):
        with_external_test(load(folder), folder)
    study = load(folder, per_class=1)
    (second / "owl/copy.png").write_bytes((folder / study.part("reserve").sources[0]).read_bytes())
    with pytest.raises(InputError, match="the same image"):
        with_external_test(study, second)


def test_near_copies_leave_the_external_test_and_not_the_study(tmp_path: Path) -> None:
    study = easy_set([3, 3], noise=60)
    brighter = replace(study, images=study.images.clip(0, 254) + np.uint8(1))
    second = brighter.take([0, 4]).joined(easy_set([1, 1], key="others"))
    export(tmp_path / "second", second, [{}] * 4)
    whole = with_external_test(study, tmp_path / "second")
    assert len(whole.part("test")) == 4
    left = cleaned(whole, audit(whole))
    assert (len(left.part("train")), len(left.part("test"))) == (6, 2)


def test_the_external_set_takes_the_place_of_the_studys_own_test_part(class_folders: Folders, tmp_path: Path) -> None:
    class_folders({"cat": 2, "dog": 2}, tmp_path / "study/train")
    class_folders({"cat": 3, "dog": 3}, tmp_path / "study/test")
    second = class_folders({"cat": 1, "dog": 1}, tmp_path / "second")
    # An image of the part that gives way may be in the external set.
    (second / "cat/again.png").write_bytes((tmp_path / "study/test/cat/000.png").read_bytes())
    whole = with_external_test(load(tmp_path / "study"), second)
    assert [source for source in whole.sources if "again" in source] == ["external-test/cat/again.png"]
    assert (len(whole.part("train")), len(whole.part("test"))) == (4, 3)
    assert whole.conversions["of study's own test part, which second takes the place of"] == 6


def test_sources_stay_unique_where_the_study_has_a_folder_test(tmp_path: Path) -> None:
    study = with_table(tmp_path / "study", [("test/a.png", "a", "1"), ("test/b.png", "b", "2")])
    second = with_table(tmp_path / "second", [("a.png", "a", "3"), ("b.png", "b", "4")])
    whole = with_external_test(load(study), second)
    assert whole.sources == ("test/a.png", "test/b.png", "external-test/a.png", "external-test/b.png")


def test_a_patient_of_both_sets_is_one_group_and_is_reported(tmp_path: Path) -> None:
    ann, bob, eve = ("1.png", "a", "ann"), ("3.png", "b", "bob"), ("4.png", "b", "eve")
    study = with_table(tmp_path / "study", [ann, ("2.png", "a", "ann"), bob, eve])
    new, bob = ("1.png", "a", "new"), ("2.png", "b", "bob")
    second = with_table(tmp_path / "second", [new, bob, ("3.png", "a", " bob"), ("4.png", "a", "new")])
    loaded = load(study)
    whole = with_external_test(loaded, second, study)
    assert whole.groups[:4].tolist() == loaded.groups.tolist()
    assert whole.groups[5] == whole.groups[6] == whole.groups[2]
    assert whole.groups[4] == whole.groups[7]
    assert whole.groups[4] not in whole.groups[:4]
    assert "1 groups have images both in the study and outside it" in audit(whole).warnings


def test_groups_that_cannot_be_looked_up_are_told(tmp_path: Path) -> None:
    study = with_table(tmp_path / "study", [("1.png", "a", "ann"), ("2.png", "a", "ann"), ("3.png", "b", "bob")])
    second = with_table(tmp_path / "second", [("1.png", "a", "ann"), ("2.png", "b", "eve")])
    whole = with_external_test(load(study), second)
    assert whole.conversions[GROUPS_UNKNOWN] == 2
    assert len(set(whole.groups)) == 4
    assert GROUPS_UNKNOWN not in with_external_test(load(study), second, study).conversions


def test_group_names_come_from_wherever_they_are_written(tmp_path: Path, folder: Path) -> None:
    rows = [{"file_name": "1.png", "label": "a", "group": 7}, {"file_name": "2.png", "label": "b", "group": "x"}]
    for row in rows:
        write(tmp_path / str(row["file_name"]), str(row), 8, 8)
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert group_names(tmp_path) == {"1.png": "7", "2.png": "x"}
    np.savez(tmp_path / "set.npz", images=np.zeros((2, 8, 8)), labels=np.arange(2), groups=np.array([[7], [8]]))
    assert group_names(tmp_path / "set.npz") == {"set[0]": "7", "set[1]": "8"}
    assert group_names(folder) == group_names("digits") == group_names(load(folder)) == group_names(None) == {}


def test_what_cannot_be_read_is_listed_or_refused_as_the_external_set(
    folder: Path, class_folders: Folders, tmp_path: Path
) -> None:
    second = class_folders({"cat": 2}, tmp_path / "second")
    (second / "cat/broken.png").write_bytes(b"")
    whole = with_external_test(load(folder), second)
    assert [(entry.source, entry.reason) for entry in whole.set_aside] == [
        ("test/cat/broken.png", "empty file (0 bytes)")
    ]
    with pytest.raises(InputError, match=r"external test set: .*nowhere: no such file"):
        with_external_test(load(folder), tmp_path / "nowhere")
    with pytest.raises(InputError, match="need"):
        with_external_test(easy_set([2, 2], (1, 8, 12)), second)


def test_a_known_set_is_sealed_whole_and_nothing_is_said_of_studying_it(tmp_path: Path) -> None:
    study = replace(easy_set([2] * 10), class_names=tuple("0123456789"))
    whole = with_external_test(study, "digits")
    assert len(whole.part("test")) == 1797
    assert whole.conversions == {"of digits, sealed as the external test": 1797}


def test_no_file_is_touched(folder: Path, class_folders: Folders, tmp_path: Path) -> None:
    second = class_folders({"cat": 2, "dog": 1}, tmp_path / "second")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    study = load(folder)
    kept = study.images.copy()
    with_external_test(study, second)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert np.array_equal(study.images, kept)


def test_classes_are_matched_by_name_whatever_their_order() -> None:
    data = easy_set([2, 3, 4])
    moved = in_classes(data, ("class 2", "other", "class 0"))
    assert moved.class_names == ("class 2", "other", "class 0")
    assert np.array_equal(moved.counts(), [4, 0, 2])
    assert np.array_equal(moved.images[moved.labels == 0], data.images[data.labels == 2])
    assert missing_classes(moved, moved.class_names) == ["other"]
    assert all_classes([moved, easy_set([1, 1])]) == ("class 0", "class 1", "class 2")


def test_held_out_is_a_share_of_every_class_by_whole_groups() -> None:
    data = easy_set([20, 40, 3], groups=[*np.repeat(np.arange(10), 2), *range(20, 60), 70, 71, 72])
    train, out = hold_out(data, 0.1, Key("one"))
    assert np.array_equal(out.counts(), [2, 4, 0]), "three images are too few to spare one"
    assert not set(train.groups) & set(out.groups)
    assert len(train) + len(out) == len(data)


def test_a_group_of_two_classes_takes_no_class_away() -> None:
    data = easy_set([6, 1], groups=[0, 1, 2, 3, 4, 5, 5])
    for seed in range(8):
        train, _ = hold_out(data, 0.2, Key(f"seed-{seed}"))
        assert (train.counts() > 0).all()


def test_copies_are_found_equal_or_nearly_so() -> None:
    data = easy_set([6, 6], (1, 16, 16))
    nearly = data.images[2].astype(int)
    nearly[0, 0, 0] = (nearly[0, 0, 0] + 5) % 256
    mine = np.concatenate(
        [easy_set([2], (1, 16, 16), key="new").images, data.images[[7]], nearly[None].astype(np.uint8)]
    )
    assert copies_of(mine, data.images).tolist() == [[2, 7], [3, 2]]


def test_vectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vectors"):
        read_related(easy_vectors([3, 3]))
    np.savez(tmp_path / "rows.npz", features=np.zeros((4, 2)), labels=[0, 0, 1, 1])
    with pytest.raises(InputError, match="vectors"):
        load_unlabelled(tmp_path / "rows.npz")


def test_images_anywhere_in_a_folder_are_read_without_labels(
    tmp_path: Path, class_folders: Callable[..., Path]
) -> None:
    root = class_folders({"a": 2, "deep/er": 3})
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(root / "stray.png")
    (root / "broken.png").write_bytes(b"")
    (root / "notes.txt").write_text("no image")
    dataset = load_unlabelled(root)
    assert dataset.class_names == ("unlabelled",)
    assert set(dataset.sources) == {
        "a/000.png",
        "a/001.png",
        *(f"deep/er/{n:03d}.png" for n in range(3)),
        "stray.png",
    }
    assert [entry.source for entry in dataset.set_aside] == ["broken.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        load_unlabelled(tmp_path / "empty")


def test_the_labels_of_a_labelled_set_do_not_come_along(tmp_path: Path, class_folders: Callable[..., Path]) -> None:
    parts = class_folders({"train/a": 3, "train/b": 2, "test/a": 2})
    dataset = load_unlabelled(parts)
    assert set(dataset.labels) == {0}
    assert all(source.startswith("train/") for source in dataset.sources), "the test part stays sealed"
    images = easy_set([4, 4]).images[:, 0]
    np.savez(tmp_path / "bare.npz", images=images)
    np.savez(tmp_path / "full.npz", images=images, labels=np.repeat([0, 1], 4))
    bare, full = (load_unlabelled(tmp_path / f"{name}.npz") for name in ("bare", "full"))
    assert np.array_equal(bare.images, full.images)
    assert set(full.labels) == {0}
    assert len(load_unlabelled("digits", images=30)) == 30
    assert len(load("digits", per_class=3).part("train")) == 30
