"""Related images as an arm: matched by class names, brought into the study's frame, copies left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_up_sets import SHORT, easy_set
from tenfold.adaptation import alignment
from tenfold.adaptation.alignment import reversal
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import MethodFailed, make_method, related
from tenfold.methods.related import WEIGHT
from tenfold.runs.arms import parse_arms
from tenfold.training.classifier import ClassifierStep, ClassifierTask, train_classifier
from tenfold.training.device import Device


def saved(path: Path, data: ImageDataset, names: tuple[str, ...] | None = None) -> str:
    np.savez(
        path,
        images=data.images.transpose(0, 2, 3, 1),
        labels=data.labels,
        class_names=np.array(names or data.class_names),
    )
    return str(path)


def fitted(source: str, train: ImageDataset, **options: Any) -> Any:
    return make_method("related", {"source": source, **options}).fit(train, None, Key("one"))


def test_images_of_the_same_classes_are_taken_and_others_left_out(tmp_path: Path) -> None:
    other = easy_set([4, 6, 5], key="other")
    source = saved(tmp_path / "other.npz", other, ("class 1", "class 0", "elsewhere"))
    train = easy_set([5, 5])
    recipe = fitted(source, train, times=10)
    assert recipe.extra.class_names == train.class_names
    assert np.array_equal(recipe.extra.counts(), [6, 4])
    assert (recipe.details["related_images"], recipe.details["of_other_classes"]) == (10, 5)
    assert not set(recipe.extra.groups) & set(train.groups)


def test_no_more_are_taken_than_asked_for_and_every_class_gets_its_share(tmp_path: Path) -> None:
    source = saved(tmp_path / "other.npz", easy_set([20, 40], key="other"))
    extra = fitted(source, easy_set([5, 5]), times=3).extra
    assert np.array_equal(extra.counts(), [10, 20])


def test_they_are_brought_into_the_frame_of_the_study(tmp_path: Path) -> None:
    rng = Key("tests/frames").numpy_generator()
    dark = np.zeros((12, 1, 16, 16), np.uint8)
    dark[:, :, 5:11, 5:11] = rng.integers(150, 256, (12, 1, 6, 6))
    study = easy_set([6, 6], (1, 16, 16))
    study = ImageDataset("study", dark, study.labels, study.class_names, study.groups, study.sources, study.roles)
    light = np.full((12, 3, 24, 24), 240, np.uint8)
    light[:, :, 1:23, 1:23] = rng.integers(0, 60, (12, 1, 22, 22))
    related = easy_set([6, 6], (3, 24, 24))
    related = ImageDataset("light", light, related.labels, related.class_names, related.groups, related.sources,
                           related.roles)  # fmt: skip
    extra = fitted(saved(tmp_path / "light.npz", related), study).extra
    assert extra.image_shape == (1, 16, 16)
    assert extra.images[:, :, 0].mean() < 40, "a dark ground, as in the study"
    assert extra.images[:, :, 7:9, 7:9].mean() > 150
    filled = (extra.images > 100).any(axis=(1, 2)).sum(1)
    assert 5 <= np.median(filled) <= 8


def test_no_common_class_names_both_and_the_way_out(tmp_path: Path) -> None:
    source = saved(tmp_path / "other.npz", easy_set([4, 4], key="other"), ("cat", "dog"))
    with pytest.raises(
        InputError, match=r"none of the study's classes \(there: cat, dog; here: class 0, class 1\).*transfer"
    ):
        fitted(source, easy_set([5, 5]))


def test_without_a_source_it_says_what_to_write() -> None:
    with pytest.raises(InputError, match=r"related\(source=DIR\)"):
        make_method("related").fit(easy_set([3, 3]), None, Key("one"))
    with pytest.raises(InputError, match=r"related\(source=nowhere/\).*no such file"):
        fitted("nowhere/", easy_set([3, 3]))


def test_a_copy_of_a_training_image_is_left_out_and_an_overlap_refused(tmp_path: Path) -> None:
    train, other = easy_set([30, 30]), easy_set([10, 10], key="other")
    with_one = other.joined(train.take([3]))
    recipe = fitted(saved(tmp_path / "one.npz", with_one), train)
    assert recipe.details["copies_left_out"] == 1
    assert not {image.tobytes() for image in recipe.extra.images} & {train.images[3].tobytes()}
    with pytest.raises(MethodFailed, match="20 of 60 training images are in many too; it overlaps the study"):
        fitted(saved(tmp_path / "many.npz", other.joined(train.take(np.arange(20)))), train)


def test_what_it_reads_is_part_of_what_a_trial_is(tmp_path: Path) -> None:
    one = saved(tmp_path / "one.npz", easy_set([4, 4], key="one"))
    two = saved(tmp_path / "two.npz", easy_set([4, 4], key="two"))
    again = saved(tmp_path / "again.npz", easy_set([4, 4], key="one"))
    hashes = [make_method("related", {"source": source}).external_fingerprint() for source in (one, two, again)]  # type: ignore[attr-defined]
    assert hashes[0] == hashes[2] != hashes[1]


def test_alignment_starts_anew_in_every_training(tmp_path: Path) -> None:
    source = saved(tmp_path / "other.npz", easy_set([8, 8], key="other"))
    train = easy_set([8, 8])
    recipe = fitted(source, train, align=True)
    one, two = (train_classifier(train, None, recipe, Key("one"), SHORT) for _ in range(2))
    assert np.array_equal(one.probabilities(train.images), two.probabilities(train.images))


def test_the_gradient_is_turned_round_over_the_steps_of_the_training_and_the_head_takes_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the usual 400 steps, whatever the training's, the head of a short one was hardly ever listened to."""
    weights: list[float] = []

    def turned(features: torch.Tensor, weight: float) -> torch.Tensor:
        weights.append(weight)
        return alignment.turned(features, weight)

    monkeypatch.setattr(related, "turned", turned)
    train = easy_set([8, 8])
    recipe = fitted(saved(tmp_path / "other.npz", easy_set([8, 8], key="other")), train, align=True)
    step = ClassifierStep(ClassifierTask(train, None, recipe, Key("one"), SHORT), 0, Device("cpu"))
    for number in range(SHORT.steps):
        before = [value.clone() for value in step.networks["head"].parameters()]
        step.step(number)
        assert not all(map(torch.equal, before, step.networks["head"].parameters()))
    assert weights == [WEIGHT * reversal((number + 1) / SHORT.steps) for number in range(SHORT.steps)]
    assert weights[-1] == pytest.approx(WEIGHT, rel=1e-3)


@pytest.mark.parametrize(
    ("beside", "why"), [("probe", "fits a head to labels as they are"), ("manifold", "a loss of their own")]
)
def test_alignment_is_refused_where_it_could_not_be_obeyed(beside: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_arms(f"{beside}+related(source=other,align=true)")
    assert parse_arms(f"{beside}+related(source=other)")
