from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up_folders import records, write_folders
from PIL import Image

from made_up_sets import QUICK_CGAN as CGAN
from made_up_sets import easy_set, easy_vectors
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_json
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.generators import Conditions, NoiseGenerator, spherical
from tenfold.methods import load_generator
from tenfold.verbs.fit import fit
from tenfold.verbs.grow import grow
from tenfold.verbs.sample import sample, sample_forecast

DAGAN = CGAN.replace("cgan", "dagan")
DCGAN = "dcgan(batch_size=8,classes=none,label_filter=no,least_diversity=0,steps=5,width=4)"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a generator that has learned classes a (6 images), b (4) and c (2), trained once a method."""
    root = tmp_path_factory.mktemp("fitted")
    data = write_folders(root / "set", [6, 4, 2])

    def directory(method: str) -> Path:
        out = root / method
        if not out.exists():
            fit(method, data, out)
        return out

    return directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "set", [6, 4, 2])


def image(path: Path) -> Any:
    return np.asarray(Image.open(path))


def test_without_images_each_learned_class_is_drawn_unchecked(fitted: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    drawn = sample(fitted(CGAN), None, out, times=2)
    assert dict(drawn.class_counts) == {"a": 12, "b": 8, "c": 4}
    assert drawn.sentence == (
        f"24 new images made by cgan in {out}; no real images were given, so labels and near copies were not checked"
    )
    document = drawn.to_json()
    assert (document["checked"], document["filters"], document["new_images"]) == (False, None, 24)
    lines = records(out)
    assert {line["origin"] for line in lines} == {"generated"}
    assert [line["label"] for line in lines] == ["a"] * 12 + ["b"] * 8 + ["c"] * 4
    assert {line["generator"] for line in lines} == {drawn.grown.generator_hash}
    assert drawn.grown.generator_hash == load_generator(fitted(CGAN)).generator.hash
    assert len({line["seed"] for line in lines}) == 24
    assert {line["method"] for line in lines} == {"cgan"}
    assert {path.name for path in out.iterdir()} == {
        "a", "b", "c", "config.json", "manifest.jsonl", "metadata.jsonl", "sheet.png", "interpolation.png"
    }  # fmt: skip


def test_a_image_drawn_alone_from_its_seed_has_the_same_bytes(fitted: Any, tmp_path: Path) -> None:
    sample(fitted(CGAN), None, tmp_path / "out", times=7, truncation=1.5)
    kept = load_generator(fitted(CGAN))
    learned = kept.generator
    learned.config = replace(learned.config, truncation=1.5)
    lines = records(tmp_path / "out")
    for line in (lines[0], lines[40], lines[63], lines[64], lines[-1]):
        label = Conditions.of_labels(np.array([learned.class_names.index(line["label"])]))
        alone = learned.sample(label, [line["seed"]], learned.image_shape)
        assert np.array_equal(alone[0, 0], image(tmp_path / "out" / line["file_name"]))


def test_a_image_made_from_a_image_is_made_again_from_its_seed(fitted: Any, tmp_path: Path) -> None:
    data = write_folders(tmp_path / "new", [3, 2], key="new", a="x", b="y")
    sample(fitted(DAGAN), data, tmp_path / "out", times=14, keep_copies=True)
    kept, real = load_generator(fitted(DAGAN)), load(data)
    lines = records(tmp_path / "out")
    for line in (lines[0], lines[33], lines[-1]):
        (parent,) = line["parents"]
        source, seed = np.array([real.sources.index(parent)]), np.array([line["seed"]])
        conditions = kept.generator.conditions(real, Key("any"))(source, seed)
        alone = kept.generator.sample(conditions, seed, real.image_shape)
        assert np.array_equal(alone[0, 0], image(tmp_path / "out" / line["file_name"]))


@pytest.mark.parametrize("size", [None, 16])
def test_dagan_makes_images_of_classes_it_never_saw(size: int | None, fitted: Any, tmp_path: Path) -> None:
    data = write_folders(tmp_path / "new", [3, 1], (1, 12, 12), key="new", a="x", b="y")
    drawn = sample(fitted(DAGAN), data, tmp_path / "out", times=2, size=size, keep_copies=True)
    assert dict(drawn.class_counts) == {"x": 6, "y": 2}
    lines = records(tmp_path / "out")
    assert {line["label"] for line in lines} == {"x", "y"}
    for line in lines:
        (parent,) = line["parents"]
        assert parent.startswith(line["label"])
        assert image(tmp_path / "out" / line["file_name"]).shape == ((8, 8) if size is None else (size, size))
    with pytest.raises(InputError, match="makes new images from real ones: name a set"):
        sample(fitted(DAGAN), None, tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_images_given_are_what_is_drawn_beside_whatever_their_order_of_classes(fitted: Any, tmp_path: Path) -> None:
    data = easy_set([3, 3], key="turned")
    turned = ImageDataset(
        data.name, data.images, data.labels, ("c", "a"), data.groups, data.sources, data.roles
    )  # fmt: skip
    drawn = sample(fitted(CGAN), turned, tmp_path / "out", times=2)
    assert (drawn.checked, dict(drawn.class_counts)) == (True, {"a": 6, "c": 6})
    assert drawn.sentence.endswith("(12 drawn, none rejected)")
    line = next(line for line in records(tmp_path / "out") if line["label"] == "c")
    kept = load_generator(fitted(CGAN)).generator
    alone = kept.sample(Conditions.of_labels(np.array([2])), [line["seed"]], (1, 8, 8))
    assert np.array_equal(alone[0, 0], image(tmp_path / "out" / line["file_name"]))
    with pytest.raises(InputError, match=r"class 'bb', which the generator has not learned.* Did you mean 'b'"):
        sample(fitted(CGAN), write_folders(tmp_path / "set", [2, 2], b="bb"), tmp_path / "more")


def test_what_is_thrown_away_is_counted(
    fitted: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_a(real: ImageDataset, key: Any) -> Any:
        return lambda images: np.ones(len(images), np.int64)

    monkeypatch.setattr("tenfold.methods.classifier_of", never_a)
    drawn = sample(fitted(CGAN.replace("label_filter=no", "label_filter=yes")), folder, tmp_path / "out", times=1)
    assert dict(drawn.class_counts) == {"b": 4}
    assert drawn.grown.filters == {"drawn": 36, "wrong_label": 32, "near_copies": 0, "usable": 4}
    assert drawn.sentence.endswith("(36 drawn, 32 not recognised as their class)")
    assert drawn.to_json()["filters"] == drawn.grown.filters


def test_only_the_classes_named_are_drawn(fitted: Any, folder: Path, tmp_path: Path) -> None:
    assert dict(sample(fitted(CGAN), None, tmp_path / "one", times=1, classes=["c", "a", "c"]).class_counts) == {
        "a": 6, "c": 2,
    }  # fmt: skip
    made = sample(fitted(DAGAN), folder, tmp_path / "two", times=1, classes=["b"], keep_copies=True)
    assert dict(made.class_counts) == {"b": 4}
    for data in (None, folder):
        with pytest.raises(InputError, match=r"there is no class 'bb'.* Did you mean 'b'"):
            sample(fitted(CGAN), data, tmp_path / f"not {data is None}", classes=["bb"])


def test_truncation_draws_less_varied_images(fitted: Any, tmp_path: Path) -> None:
    def variety(name: str, truncation: float | None) -> float:
        sample(fitted(CGAN), None, tmp_path / name, times=4, classes=["a"], truncation=truncation)
        images = np.stack([image(path) for path in sorted((tmp_path / name / "a").iterdir())])
        return float(images.std(0).mean())

    assert 0 < variety("tight", 0.1) < 0.5 * variety("free", None)
    with pytest.raises(InputError, match="truncation=0: it must be at least"):
        sample(fitted(CGAN), None, tmp_path / "none", truncation=0)


def test_a_generator_without_classes_draws_unlabelled(fitted: Any, folder: Path, tmp_path: Path) -> None:
    assert dict(sample(fitted(DCGAN), None, tmp_path / "out", times=1).class_counts) == {"unlabelled": 12}


def test_a_grown_sets_generator_can_be_used_and_what_grow_threw_away_is_not_told_again(
    folder: Path, tmp_path: Path
) -> None:
    grow(folder, tmp_path / "grown", method=CGAN, times=1, keep_copies=True, truncation=0.5)
    for index, source in enumerate((tmp_path / "grown", tmp_path / "grown" / "generator.safetensors")):
        assert sample(source, None, tmp_path / str(index), times=1).grown.filters is None
    assert load_generator(tmp_path / "grown").method.config.truncation == 0.5


def test_colour_does_not_fit_grey_and_vectors_fit_nothing(fitted: Any, tmp_path: Path) -> None:
    coloured = write_folders(tmp_path / "set", [3, 3, 3], (3, 8, 8))
    with pytest.raises(InputError, match=r"is colour and the generator in .* was trained on grey images"):
        sample(fitted(CGAN), coloured, tmp_path / "out")
    with pytest.raises(InputError, match="holds vectors"):
        sample(fitted(CGAN), easy_vectors([5, 5]), tmp_path / "more")


def test_files_that_hold_no_generator_are_refused(fitted: Any, tmp_path: Path) -> None:
    def refused(generator: Path, complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            sample(generator, None, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    refused(tmp_path / "nowhere", "no such generator; `tenfold fit METHOD DATA OUT` makes one")
    (tmp_path / "weights.pt").write_bytes(b"cos\nsystem\n")
    refused(tmp_path / "weights.pt", "may run code when read and are refused")
    weights = tmp_path / "generator.safetensors"
    weights.write_bytes((fitted(CGAN) / weights.name).read_bytes())
    refused(weights, "generator.json is missing")
    document = read_json(fitted(CGAN) / "generator.json")
    changes: list[dict[str, Any]] = [
        {"method": "mixup", "config": {}},
        {"method": "nonsense"},
        {"config": {**document["config"], "width": 8}},
        {"config": {"wings": 2}},
        {"image_shape": [1, 8]},
        {"class_names": ["a", "b"]},
        {"class_names": ["a", "b", 3]},
    ]
    for change in changes:
        write_json(tmp_path / "generator.json", document | change)
        refused(weights, "do not hold a generator of this version")
    write_json(tmp_path / "generator.json", document)
    assert load_generator(tmp_path).generator.class_names == ("a", "b", "c")
    weights.write_bytes(weights.read_bytes()[:200])
    refused(weights, "do not hold a generator of this version")


def test_a_dry_run_says_what_would_be_drawn_and_writes_nothing(fitted: Any, folder: Path, tmp_path: Path) -> None:
    prediction = sample_forecast(fitted(CGAN), None, times=2, classes=["a"])
    assert prediction.sentence.startswith("cgan would draw 12 images of 1 class (a: 12), about ")
    assert prediction.sentence.endswith("; no real images are given, so labels and near copies would not be checked")
    prediction = sample_forecast(fitted(DAGAN), folder, times=30)
    assert (prediction.facts["new_images"], prediction.facts["class_counts"]) == (360, {"a": 180, "b": 120, "c": 60})
    assert prediction.sentence.endswith(", and check them against the real ones")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    with pytest.raises(InputError, match="times=0: it must be at least"):
        sample_forecast(fitted(CGAN), None, times=0)


def test_a_walk_between_two_draws_keeps_their_length_and_ends_at_both() -> None:
    one, other = torch.tensor([[3.0, 0, 0], [1, 1, 0]]), torch.tensor([[0, 3.0, 0], [1, 1, 0]])
    assert torch.allclose(spherical(one, other, 0), one, atol=1e-6)
    assert torch.allclose(spherical(one, other, 1), other, atol=1e-6)
    half = spherical(one, other, 0.5)
    assert torch.allclose(half[0], torch.tensor([3 / 2**0.5, 3 / 2**0.5, 0]), atol=1e-6)
    assert torch.allclose(half[1], one[1]), "where both are the same there is no way to go"


@pytest.mark.parametrize("given", [True, False])
def test_a_walk_is_of_each_class_whether_real_images_are_given_or_not(
    given: bool, fitted: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[list[int]] = []
    between = NoiseGenerator.between

    def noted(self: Any, ends: Any, *rest: Any) -> Any:
        walked.extend(end.given[0].tolist() for end in ends)
        return between(self, ends, *rest)

    monkeypatch.setattr(NoiseGenerator, "between", noted)
    sample(fitted(CGAN), folder if given else None, tmp_path / "out", times=1)
    assert walked == [[0, 1, 2], [0, 1, 2]]


def test_what_was_drawn_is_json_and_back(fitted: Any, tmp_path: Path) -> None:
    drawn = sample(fitted(CGAN), None, tmp_path / "out", times=1)
    again = type(drawn).from_json(json.loads(json.dumps(drawn.to_json())))
    assert (again.sentence, again.to_json()) == (drawn.sentence, drawn.to_json())
