from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_folders import records, write_folders
from PIL import Image
from torch import nn

from made_up_sets import QUICK_CGAN
from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.methods import Grown, MethodFailed, method_class
from tenfold.training.loop import TrainingLoop
from tenfold.verbs.grow import grow, grow_forecast
from tenfold.verbs.grown_set import GrowResult, OnlyCopied


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "set", [6, 4, 1])


def test_classical_images_name_their_parents(folder: Path, tmp_path: Path) -> None:
    result = grow(folder, tmp_path / "out", method="classical(policy=light)", times=3)
    assert (result.real_images, result.new_images, result.generator_hash) == (11, 33, None)
    lines = records(tmp_path / "out")
    real = {line["source"]: line for line in lines if line["origin"] == "real"}
    new = [line for line in lines if line["origin"] == "generated"]
    assert len(real) == 11
    assert len(new) == 33
    assert not list((tmp_path / "out").glob("generator*"))
    for line in new:
        (parent,) = line["parents"]
        assert line["label"] == real[parent]["label"]
        assert line["group"] == real[parent]["group"]
        assert line["method"] == "classical"
        assert isinstance(line["seed"], int)
        assert line["run_seed"] == 0
    for line in lines:
        assert Image.open(tmp_path / "out" / line["file_name"]).size == (8, 8)
    for source, line in real.items():
        kept, given = (
            np.asarray(Image.open(path)) for path in (tmp_path / "out" / line["file_name"], folder / source)
        )
        assert np.array_equal(kept, given), "real images are kept as they were"


def test_a_generators_images_name_it_and_it_lies_beside_them(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = grow(folder, out, method=QUICK_CGAN, times=2, only_new=True, keep_copies=True, seed=3)
    assert (result.real_images, result.new_images) == (0, 22)
    lines = records(out)
    assert {line["origin"] for line in lines} == {"generated"}
    assert {line["label"] for line in lines} == {"a", "b", "c"}
    assert [line["label"] for line in lines].count("c") == 2, "a class with one image is grown like any other"
    weights = (out / "generator.safetensors").read_bytes()
    assert {line["generator"] for line in lines} == {hashlib.sha256(weights).hexdigest()[:16]}
    assert {line["generator"] for line in lines} == {result.generator_hash}
    assert len({line["seed"] for line in lines}) == 22
    assert all(line["parents"] == [] for line in lines)
    assert len(list(out.glob("*/*.png"))) == 22


def test_what_a_network_has_drawn_is_not_taken_for_real(folder: Path, tmp_path: Path) -> None:
    grow(folder, tmp_path / "out", method=QUICK_CGAN, times=1)
    with pytest.raises(InputError, match="grown set"):
        load(tmp_path / "out")


def test_a_set_grown_from_its_own_images_holds_them_apart(folder: Path, tmp_path: Path) -> None:
    grow(folder, tmp_path / "out", method="classical", times=2)
    again = load(tmp_path / "out")
    assert len(again.part("train")) == 11
    assert len(again.part("grown")) == 22
    assert set(again.part("grown").groups) == set(again.part("train").groups)
    assert grow(tmp_path / "out", tmp_path / "more", method="classical", times=1).new_images == 11
    grow(folder, tmp_path / "new", method="classical", only_new=True)
    with pytest.raises(InputError, match="not here"):
        load(tmp_path / "new")


@pytest.mark.parametrize("names", [{"a": "<script>", "b": "日本 CON"}, {"a": "only one"}])
def test_colour_and_odd_class_names_or_a_single_one(names: dict[str, str], tmp_path: Path) -> None:
    data = write_folders(tmp_path / "set", [3] * len(names), (3, 12, 12), **names)
    assert grow(data, tmp_path / "out", method="classical", times=1).new_images == 3 * len(names)
    lines = records(tmp_path / "out")
    assert {line["label"] for line in lines} == set(names.values())
    assert Image.open(tmp_path / "out" / lines[0]["file_name"]).mode == "RGB"


def test_a_collapsed_generator_writes_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MethodFailed, match="collapsed"):
        grow(folder, tmp_path / "out", method="cgan(steps=2,width=4,least_diversity=50)", times=2)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def copying_generator(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[int]], None]:
    """Makes cgan give 6 images of noise, but at the positions named the first real image, every value up by one."""

    def make_it(copies: Sequence[int]) -> None:
        def remember(self: Any, train: ImageDataset, times: float, key: Key) -> Grown:
            random = (key / "noise").numpy_generator()
            images = random.integers(0, 256, (6, *train.image_shape), dtype=np.uint8)
            images[list(copies)] = train.images[0].clip(0, 254) + np.uint8(1)
            seeds = tuple(range(100, 106))
            generator = self.generator(train)
            generator.network = nn.BatchNorm2d(1)
            marks = np.isin(np.arange(6), list(copies))
            return Grown(images, np.arange(6) % 3, ((),) * 6, seeds, generator, near_copies=marks)

        monkeypatch.setattr(method_class("cgan"), "grow", remember)

    return make_it


def test_near_copies_are_left_out_and_counted(folder: Path, tmp_path: Path, copying_generator: Any) -> None:
    copying_generator([1, 4])
    out = tmp_path / "out"
    result = grow(folder, out, method="cgan")
    assert (result.real_images, result.new_images, result.near_copies, result.kept_copies) == (11, 4, 2, False)
    assert result.sentence == (
        f"4 new images made by cgan beside 11 real ones in {out} "
        "(2 near copies of real images left out; tenfold grow --keep-copies keeps them)"
    )
    assert result.to_json().items() >= {"new_images": 4, "near_copies": 2, "kept_copies": False}.items()
    new = [line for line in records(out) if line["origin"] == "generated"]
    assert [(line["seed"], line["label"]) for line in new] == [(100, "a"), (102, "c"), (103, "a"), (105, "c")]
    assert not any("near_copy" in line for line in new)
    first = np.asarray(Image.open(folder / "a/000.png")).clip(0, 254) + 1
    assert not any(np.array_equal(np.asarray(Image.open(path)), first) for path in out.glob("*/generated*.png"))
    assert len(list(out.glob("*/generated*.png"))) == 4


def test_near_copies_can_be_kept_and_are_marked_and_without_any_nothing_is_said(
    folder: Path, tmp_path: Path, copying_generator: Any
) -> None:
    copying_generator([4])
    out = tmp_path / "out"
    result = grow(folder, out, method="cgan", only_new=True, keep_copies=True)
    assert (result.new_images, result.near_copies, result.kept_copies) == (6, 1, True)
    assert result.sentence.endswith("(with 1 near copy of a real image, marked in metadata.jsonl)")
    assert [line.get("near_copy") for line in records(out)] == [None, None, None, None, True, None]
    copying_generator([])
    result = grow(folder, tmp_path / "none", method="cgan")
    assert (result.new_images, result.near_copies) == (6, 0)
    assert "cop" not in result.sentence.replace(str(tmp_path), "")


def test_a_generator_that_only_copies_writes_nothing(folder: Path, tmp_path: Path, copying_generator: Any) -> None:
    copying_generator(range(6))
    with pytest.raises(OnlyCopied, match="all 6 images that cgan made are near copies of real ones") as refusal:
        grow(folder, tmp_path / "out", method="cgan")
    assert refusal.value.exit_status == 2
    assert not (tmp_path / "out").exists()
    result = grow(folder, tmp_path / "out", method="cgan", keep_copies=True)
    assert (result.new_images, result.near_copies) == (6, 6)


def test_augmented_siblings_are_no_copies(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unchanged(self: Any, train: ImageDataset, times: float, key: Key) -> Grown:
        return Grown(train.images, train.labels, tuple((i,) for i in range(len(train))), tuple(range(len(train))))

    monkeypatch.setattr(method_class("classical"), "grow", unchanged)
    result = grow(folder, tmp_path / "out", method="classical")
    assert (result.new_images, result.near_copies) == (11, 0)


def test_what_the_method_threw_away_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def always_b(real: ImageDataset, key: Key) -> Any:
        return lambda images: np.ones(len(images), np.int64)

    monkeypatch.setattr("tenfold.methods.classifier_of", always_b)
    out = tmp_path / "out"
    result = grow(folder, out, method=QUICK_CGAN.replace("label_filter=no", "label_filter=yes"), times=1)
    # Four b of eleven images are right at once; the other seven are drawn three times more, in vain.
    assert result.filters == {"drawn": 32, "wrong_label": 28, "near_copies": 0, "usable": 4}
    assert result.to_json()["filters"] == result.filters
    assert result.sentence == (
        f"4 new images made by cgan beside 11 real ones in {out} (32 drawn, 28 not recognised as their class)"
    )
    assert read_json(out / "generator.json")["details"]["wrong_label"] == 28


def test_near_copies_drawn_anew_are_told_beside_those_left_out() -> None:
    details = {"drawn": 30, "wrong_label": 1, "near_copies": 5, "usable": 22}
    result = GrowResult(Path("out"), "cgan", 0, 21, "0", details, near_copies=1)
    assert result.sentence == (
        "21 new images made by cgan in out (30 drawn, 1 not recognised as its class, 5 near copies of real images; "
        "1 near copy of a real image left out; tenfold grow --keep-copies keeps it)"
    )


@pytest.mark.parametrize("method", [QUICK_CGAN, "classical"])
def test_only_the_classes_named_are_grown(method: str, folder: Path, tmp_path: Path) -> None:
    result = grow(folder, tmp_path / "out", method=method, times=2, classes=["c", "a"], keep_copies=True)
    assert (result.real_images, result.new_images) == (11, 14)
    new = [line["label"] for line in records(tmp_path / "out") if line["origin"] == "generated"]
    assert (new.count("a"), new.count("b"), new.count("c")) == (12, 0, 2)
    with pytest.raises(InputError, match="there is no class 'd'"):
        grow(folder, tmp_path / "more", method=method, classes=["d"])


def test_only_a_generators_noise_is_bounded(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="--truncation bounds the noise of a generator, and classical draws from none"
    ):
        grow(folder, tmp_path / "out", method="classical", truncation=1.0)
    grow(folder, tmp_path / "out", method=QUICK_CGAN, times=1, truncation=0.7, keep_copies=True)
    assert read_json(tmp_path / "out" / "generator.json")["config"]["truncation"] == 0.7


def test_a_dry_run_says_what_would_be_made_and_writes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingLoop, "seconds_a_step", lambda *_: 2.0)
    prediction = grow_forecast(folder, method=QUICK_CGAN, times=2, classes=["a"])
    assert prediction.sentence == (
        "cgan would make 12 new images of 11 real ones, after a training of 10 steps, about 20 s"
    )
    assert prediction.to_json() == {
        "sentence": prediction.sentence, "method": "cgan", "real_images": 11, "new_images": 12, "steps": 10,
        "seconds": 20.0,
    }  # fmt: skip
    assert grow_forecast(folder, method="classical").sentence == (
        "classical would make 110 new images of 11 real ones"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
