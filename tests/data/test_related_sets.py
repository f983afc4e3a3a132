"""Sets that are learned from together: classes by name, what is held out, copies; and pictures without labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_up_sets import easy_set, easy_vectors
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.data.combine import all_classes, copies_of, hold_out, in_classes, missing_classes, read_related
from tenfold.data.load import load, load_unlabelled


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
    assert np.array_equal(out.counts(), [2, 4, 0]), "three pictures are too few to spare one"
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


def test_pictures_anywhere_in_a_folder_are_read_without_labels(
    tmp_path: Path, class_folders: Callable[..., Path]
) -> None:
    root = class_folders({"a": 2, "deep/er": 3})
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(root / "stray.png")
    (root / "broken.png").write_bytes(b"")
    (root / "notes.txt").write_text("no picture")
    found = load_unlabelled(root)
    assert found.class_names == ("unlabelled",)
    assert set(found.sources) == {"a/000.png", "a/001.png", *(f"deep/er/{n:03d}.png" for n in range(3)), "stray.png"}
    assert [entry.source for entry in found.set_aside] == ["broken.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        load_unlabelled(tmp_path / "empty")


def test_the_labels_of_a_labelled_set_do_not_come_along(tmp_path: Path, class_folders: Callable[..., Path]) -> None:
    parts = class_folders({"train/a": 3, "train/b": 2, "test/a": 2})
    found = load_unlabelled(parts)
    assert set(found.labels) == {0}
    assert all(source.startswith("train/") for source in found.sources), "the test part stays sealed"
    images = easy_set([4, 4]).images[:, 0]
    np.savez(tmp_path / "bare.npz", images=images)
    np.savez(tmp_path / "full.npz", images=images, labels=np.repeat([0, 1], 4))
    bare, full = (load_unlabelled(tmp_path / f"{name}.npz") for name in ("bare", "full"))
    assert np.array_equal(bare.images, full.images)
    assert set(full.labels) == {0}
    assert len(load_unlabelled("digits", images=30)) == 30
    assert len(load("digits", per_class=3).part("train")) == 30
