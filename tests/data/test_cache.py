from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from made_up_sets import easy_vectors
from tenfold.core.errors import SystemFault
from tenfold.core.types import ImageDataset, SetAside
from tenfold.data.cache import IMAGES, ImageCache


def a_set(count: int = 6, value: int = 0) -> ImageDataset:
    return ImageDataset(
        name="leaves",
        images=np.arange(value, value + count * 12).astype(np.uint8).reshape(count, 3, 2, 2),
        labels=np.arange(count) % 2,
        class_names=("oak", os.fsdecode(b"caf\xe9")),
        groups=np.arange(count),
        sources=tuple(f"{i}.png" for i in range(count)),
        roles=np.array(["train"] * (count - 1) + ["reserve"]),
        set_aside=(SetAside("x.png", "truncated"),),
        conversions={"turned upright by EXIF": 3, "cut to squares": 1},
    )


def same(one: ImageDataset, other: ImageDataset) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(ImageDataset)]
    return all(np.array_equal(a, b) and np.asarray(a).dtype.kind == np.asarray(b).dtype.kind for a, b in pairs)


@pytest.mark.parametrize("data", [a_set(), a_set().take([]), easy_vectors([3, 3])], ids=["images", "none", "vectors"])
def test_a_set_comes_back_as_it_went(tmp_path: Path, data: ImageDataset) -> None:
    cache = ImageCache(tmp_path / "data")
    back = cache.open(cache.store(data))
    assert same(back, data)
    assert list(back.conversions) == list(data.conversions), "in the order in which they are told"
    assert back.fingerprint() == data.fingerprint()


def test_what_is_mapped_cannot_be_written(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    back = cache.open(cache.store(a_set()))
    with pytest.raises(ValueError, match="read-only"):
        back.images[0] = 0
    assert type(back.images) is np.ndarray
    assert isinstance(back.images.base, np.memmap), "no part is read before it is asked for"


def test_a_set_is_written_once_and_other_names_are_another_set(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    path = cache.store(a_set())
    written = (path / IMAGES).stat().st_mtime_ns
    assert ImageCache(tmp_path).store(a_set()) == path
    assert (path / IMAGES).stat().st_mtime_ns == written
    assert cache.store(replace(a_set(), name="trees")) != path
    assert cache.open(path).name == "leaves"


def test_the_longest_unused_of_earlier_runs_gives_way(tmp_path: Path) -> None:
    earlier = ImageCache(tmp_path)
    paths = [earlier.store(a_set(value=value)) for value in range(3)]
    for seconds, path in zip((300, 100, 200), paths, strict=True):
        os.utime(path, (seconds, seconds))
    size = sum(file.stat().st_size for file in paths[0].iterdir())
    later = ImageCache(tmp_path, most_bytes=2 * size + a_set().images.nbytes)
    own = later.store(a_set(value=9))
    assert {path.name for path in tmp_path.iterdir()} == {paths[0].name, paths[2].name, own.name}
    tight = ImageCache(tmp_path, most_bytes=0)
    mine = [tight.store(a_set(value=value)) for value in (20, 21)]
    assert all(path.exists() for path in mine), "what this run uses stays, however large it is"
    assert not own.exists()


def test_a_set_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemFault, match="start the same command again"):
        ImageCache(tmp_path).open(tmp_path / "nothing")
