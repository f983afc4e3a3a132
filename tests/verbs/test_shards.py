"""Grown sets in shards: the same bytes whichever is made where and when, and the same images as in class folders."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_folders import records, write_folders
from PIL import Image

from made_up_clusters import ray_of_two
from made_up_sets import QUICK_CGAN as CGAN
from tenfold.core.errors import InputError
from tenfold.core.files import parse_json, read_json
from tenfold.data.audit import audit
from tenfold.data.load import load
from tenfold.data.readers import webdataset
from tenfold.methods.classical import Config, Method
from tenfold.verbs import shard_maker
from tenfold.verbs.fit import fit
from tenfold.verbs.grow import grow
from tenfold.verbs.sample import sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("real") / "set", [6, 4, 2])


@pytest.fixture(scope="module")
def generator(folder: Path) -> Path:
    out = folder.parent / "generator"
    fit(CGAN, folder, out)
    return out


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("shard-*")}


def samples(directory: Path) -> dict[str, tuple[dict[str, Any], bytes]]:
    """Of each image, by its source, what is said of it, and its file."""
    members: dict[str, bytes] = {}
    for path in sorted(directory.glob("*.tar")):
        with tarfile.open(path) as archive:
            members |= {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    told = {name: parse_json(content, name) for name, content in members.items() if name.endswith(".json")}
    return {line["source"]: (line, members[name.replace(".json", ".png")]) for name, line in told.items()}


def commands(folder: Path, generator: Path) -> dict[str, Callable[..., Any]]:
    return {
        "classical": lambda out, **more: grow(folder, out, method="classical", times=30, shards=3, **more),
        "beside": lambda out, **more: sample(generator, folder, out, times=30, shards=3, **more),
        "unchecked": lambda out, **more: sample(generator, None, out, times=30, shards=3, **more),
    }


def test_shards_are_made_on_a_cluster_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how: dict[str, Any] = {"method": "classical", "times": 30, "shards": 3, "workers": 2}
    with ray_of_two():
        assert grow(folder, tmp_path / "far", **how, on="ray").made == 3
        monkeypatch.setattr("tenfold.verbs.shards.run_all", lambda *_: [])  # as where shards are on other disks
        with pytest.raises(InputError, match="it must be one that all share"):
            grow(folder, tmp_path / "unshared", **how, on="ray")
    monkeypatch.undo()
    grow(folder, tmp_path / "near", **how)
    assert contents(tmp_path / "far") == contents(tmp_path / "near")
    with pytest.raises(InputError, match="--on are for a set in shards"):
        grow(folder, tmp_path / "folders", method="classical", on="ray")


@pytest.mark.parametrize("name", ["classical", "beside", "unchecked"])
def test_a_shard_has_the_same_bytes_in_any_order_and_alone(
    name: str, folder: Path, generator: Path, tmp_path: Path
) -> None:
    make = commands(folder, generator)[name]
    together = make(tmp_path / "together", workers=2 if name == "beside" else 1)
    assert (together.there, together.made) == (3, 3)
    for shard in (2, 0, 1):
        told = make(tmp_path / "apart", shard=shard)
    assert (told.there, told.made) == (3, 1)
    make(tmp_path / "alone", shard=1)
    whole = contents(tmp_path / "together")
    assert len(whole) == 6
    assert contents(tmp_path / "apart") == whole
    assert contents(tmp_path / "alone").items() < whole.items()
    assert told.to_json() | {"directory": "", "made": 3} == together.to_json() | {"directory": ""}
    assert {path.name for path in (tmp_path / "together").iterdir()} == whole.keys() | {"config.json"}


def test_a_generators_images_are_those_of_class_folders(folder: Path, generator: Path, tmp_path: Path) -> None:
    sample(generator, folder, tmp_path / "folders", times=5)
    told = sample(generator, folder, tmp_path / "shards", times=5, shards=4, workers=1)
    in_shards = samples(tmp_path / "shards")
    in_folders = records(tmp_path / "folders")
    assert told.new_images == len(in_shards) == len(in_folders)
    by_seed = {line["seed"]: (line["label"], content) for line, content in in_shards.values()}
    for line in in_folders:
        assert by_seed[line["seed"]] == (line["label"], (tmp_path / "folders" / line["file_name"]).read_bytes())
    assert {line["generator"] for line, _ in in_shards.values()} == {in_folders[0]["generator"]}


def test_every_shard_holds_every_class(folder: Path, generator: Path, tmp_path: Path) -> None:
    sample(generator, None, tmp_path / "out", times=10, shards=5, workers=1)
    for path in (tmp_path / "out").glob("*.tar"):
        assert len(set(webdataset.read_unlabelled(path).sources)) == 24
        with tarfile.open(path) as archive:
            labels = [archive.extractfile(e).read() for e in archive if e.name.endswith("cls")]  # type: ignore[union-attr]
        assert [labels.count(b"%d" % label) for label in range(3)] == [12, 8, 4]


def test_a_set_grown_from_its_own_images_is_read_with_the_roles_of_both(folder: Path, tmp_path: Path) -> None:
    told = grow(folder, tmp_path / "out", method="classical", times=3, shards=2, workers=1)
    assert told.sentence == (
        f"all 2 shards are in {tmp_path / 'out'}, with 36 new images made by classical beside 12 real ones"
    )
    real, both = load(folder), load(tmp_path / "out")
    findings = audit(both)
    assert findings.roles == {"train": 12, "grown": 36}
    originals = both.part("train")
    assert sorted(image.tobytes() for image in originals.images) == sorted(image.tobytes() for image in real.images)
    grown = both.part("grown")
    assert [grown.class_names[label] for label in np.unique(grown.labels)] == ["a", "b", "c"]
    for group in np.unique(grown.groups):
        assert (originals.groups == group).sum() == 1
        assert (grown.groups == group).sum() == 3


def test_a_generators_images_alone_are_no_real_set(generator: Path, tmp_path: Path) -> None:
    sample(generator, None, tmp_path / "out", times=1, shards=2, workers=1)
    with pytest.raises(InputError, match="is a grown set: 12 of its images"):
        load(tmp_path / "out")


def test_a_method_that_learns_does_so_once(folder: Path, tmp_path: Path) -> None:
    def made(out: str, **more: Any) -> Any:
        return grow(folder, tmp_path / out, method=CGAN, times=2, only_new=True, shards=2, **more)

    made("one", shard=1)
    weights = tmp_path / "one" / "generator.safetensors"
    before = weights.stat().st_mtime_ns
    assert made("one", workers=1).there == 2
    assert weights.stat().st_mtime_ns == before
    made("other", workers=1)
    assert contents(tmp_path / "other") == contents(tmp_path / "one")
    grow(folder, tmp_path / "folders", method=CGAN, times=2, only_new=True)
    seeds = {line["seed"] for line, _ in samples(tmp_path / "one").values()}
    assert seeds == {line["seed"] for line in records(tmp_path / "folders")}


def test_what_is_missing_is_made_again_and_another_set_is_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    grow(folder, out, method="classical", shards=3, workers=1)
    before = contents(out)
    (out / "shard-00001-of-00003.json").unlink()
    told = grow(folder, out, method="classical", shards=3, workers=1)
    assert (told.there, told.made) == (3, 1)
    assert "(2 of the shards were there already)" in told.sentence
    assert contents(out) == before
    assert read_json(out / "shard-00001-of-00003.json")["new_images"] == 40
    for changes in ({"shards": 4}, {"shards": 3, "times": 2}, {"shards": 3, "seed": 1}):
        with pytest.raises(InputError, match="holds shards of another set"):
            grow(folder, out, method="classical", workers=1, **changes)


@pytest.mark.parametrize(
    ("changes", "which", "message"),
    [
        ({}, {"shard": 1}, "--shards 1000"),
        ({}, {"workers": 2}, "--shards 1000"),
        ({"shards": 3}, {"shard": 3}, "the last 2"),
        ({"shards": 0}, {}, "at least 1"),
    ],
)
def test_shards_that_there_are_not(
    changes: Any, which: dict[str, int], message: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        grow(folder, tmp_path / "out", method="classical", **which, **changes)
    assert not (tmp_path / "out").exists()


def test_photographs_keep_the_size_of_their_files(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for label, value in (("a", 40), ("b", 200)):
        (root / label).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((90, 70, 3), value + number, np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    grow(root, tmp_path / "out", method="classical", times=1, shards=2, size=16, workers=1)
    grow(root, tmp_path / "again", method="classical", times=1, shards=2, size=16, shard=1)
    assert contents(tmp_path / "again").items() < contents(tmp_path / "out").items()
    files = tmp_path / "photo.png"
    for _, content in samples(tmp_path / "out").values():
        files.write_bytes(content)
        assert Image.open(files).size == (70, 90)


def test_no_more_than_a_block_of_a_shard_is_made_at_a_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[int] = []
    change = Method.changing(Method(Config()), load(folder))

    def noted(images: Any, key: Any) -> Any:
        changed.append(len(images))
        return change(images, key)

    monkeypatch.setattr(Method, "changing", lambda *_: noted)
    monkeypatch.setattr(shard_maker, "AT_ONCE", 7)
    assert grow(folder, tmp_path / "out", method="classical", times=5, shards=1, shard=0).new_images == 60
    assert changed == [7] * 8 + [4]
