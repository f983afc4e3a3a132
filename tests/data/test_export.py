from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_up_images import noise_image
from tenfold.core.errors import InputError
from tenfold.core.types import ImageDataset
from tenfold.data.export import LONGEST_SLUG_BYTES, class_folders, export
from tenfold.data.load import load

NAMES = ("CON", "con", "\u00e9", "e\u0301", "../up", "a/b", "x" * 300, "<script>", "日本", "a\nb", "\udcff", " .")


def odd_set(channels: int = 1) -> ImageDataset:
    count = 2 * len(NAMES)
    return ImageDataset(
        name="odd",
        images=noise_image(channels, count, channels, 8, 8),
        labels=np.arange(count, dtype=np.int64) // 2,
        class_names=NAMES,
        groups=np.arange(count, dtype=np.int64) // 3,
        sources=tuple(f"{NAMES[index // 2]}/{index}.png" for index in range(count)),
        roles=np.where(np.arange(count) % 2 == 0, "train", "test"),
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_an_export_reads_back_the_same(tmp_path: Path, channels: int) -> None:
    dataset = odd_set(channels)
    export(tmp_path / "out", dataset, [{"origin": "real", "parents": []}] * len(dataset))
    again = load(tmp_path / "out")
    assert (again.images == dataset.images).all()
    assert [again.class_names[label] for label in again.labels] == [NAMES[label] for label in dataset.labels]
    assert (again.roles == dataset.roles).all()
    same_group = dataset.groups[:, None] == dataset.groups
    assert ((again.groups[:, None] == again.groups) == same_group).all()


def test_provenance_is_kept_and_generated_images_join_their_parents(tmp_path: Path) -> None:
    dataset = odd_set().take([0, 2, 4, 4])
    provenance: list[dict[str, object]] = [{"origin": "real", "parents": [], "seed": None}] * 2
    made = {"origin": "generated", "parents": [dataset.sources[1]], "seed": np.int64(5), "generator": "g"}
    provenance += [made] * 2
    dataset = replace(dataset, groups=np.arange(4))
    export(tmp_path / "out", dataset, provenance)
    lines = (tmp_path / "out/metadata.jsonl").read_bytes().splitlines()
    last = json.loads(lines[3])
    assert last["seed"] == 5
    assert last["file_name"].endswith("generated-00002.png")
    again = load(tmp_path / "out")
    assert again.groups.tolist() == [0, 1, 1, 1]
    assert again.roles.tolist() == ["train", "train", "grown", "grown"]


def test_nothing_is_overwritten_and_one_entry_an_image_is_demanded(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("keep")
    with pytest.raises(InputError, match="nothing is overwritten"):
        export(tmp_path / "out", odd_set(), [{}] * len(odd_set()))
    assert (tmp_path / "out/mine.txt").read_text() == "keep"
    with pytest.raises(ValueError, match="1 provenance entries"):
        export(tmp_path / "new", odd_set(), [{}])


@given(st.lists(st.text(alphabet=st.characters(), max_size=60), min_size=1, max_size=8))
def test_folder_names_are_safe_and_distinct(names: list[str]) -> None:
    folders = class_folders(names)
    assert len({folder.casefold() for folder in folders}) == len(names)
    for folder in folders:
        assert folder not in ("", ".", "..")
        assert not set(folder) & set('<>:"/\\|?*\n\0')
        assert folder.rstrip(" .") == folder
        assert len(folder.encode()) <= LONGEST_SLUG_BYTES + 4
        assert folder.split(".")[0].lower() not in ("con", "nul", "com1")
