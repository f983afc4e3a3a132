from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from made_up_sets import easy_set
from tenfold.augment.tensors import to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.duplicates import copies_among
from tenfold.generators import Conditions, NoiseConfig, NoiseGenerator, filtering, noise_of
from tenfold.generators.filtering import ROUNDS
from tenfold.methods import GeneratorMethod, MethodFailed, spread
from tenfold.training.classifier import ClassifierConfig
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop

KEY = Key("generating")
SHAPE = (1, 8, 8)


class Stamp(nn.Module):
    """The mean image of a class, with noise; where the first number is below a bound, something else is drawn."""

    def __init__(
        self, train: ImageDataset, *, wrong_below: float = -9.0, copied_above: float = 9.0, texture: float = 0.8
    ) -> None:
        super().__init__()
        images, labels = to_float(torch.tensor(train.images)), torch.tensor(train.labels)
        means = [images[labels == label].mean(0) for label in range(train.class_count)]
        self.means = nn.Parameter(torch.stack(means), requires_grad=False)
        self.copies = nn.Parameter(images[[int((labels == k).nonzero()[0]) for k in range(train.class_count)]])
        self.wrong_below, self.copied_above, self.texture = wrong_below, copied_above, texture

    def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        first = noise[:, 0]
        drawn = torch.where(first < self.wrong_below, (labels + 1) % len(self.means), labels)
        texture = noise[:, 1:].repeat(1, 8)[:, :64].reshape(-1, *SHAPE)
        images = self.means[drawn] + self.texture * texture
        copied = (first > self.copied_above)[:, None, None, None]
        return torch.where(copied, self.copies[labels], images).clamp(-1, 1)


class Stamps(NoiseGenerator):
    """A generator that has nothing to learn; `bounds` say where it draws something else."""

    bounds: ClassVar[dict[str, float]] = {}

    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop) -> dict[str, Any]:
        self.network = Stamp(train, **self.bounds)
        return {"generator_steps": 7}

    def start(self, train: ImageDataset, key: Key, device: Device) -> Any:
        raise AssertionError("there is nothing to train")

    def make_network(self) -> nn.Module:
        raise AssertionError("nothing is loaded")


class Stamping(GeneratorMethod):
    Config = NoiseConfig
    generator_class = Stamps


def stamping(bounds: dict[str, float] | None = None, **options: Any) -> Stamping:
    method = Stamping(replace(NoiseConfig(), noise_size=9, **options))
    method.generator_class = type("Bound", (Stamps,), {"bounds": bounds or {}})
    return method


def nearest_mean(train: ImageDataset) -> Any:
    """A judge that is quick, and right of these images."""
    means = np.stack([train.images[train.labels == k].mean(0) for k in range(train.class_count)])

    def judge(images: np.ndarray) -> np.ndarray:
        return ((images[:, None] - means[None]) ** 2).mean((2, 3, 4)).argmin(1)

    return judge


@pytest.fixture
def quick_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.methods.classifier_of", lambda real, key: nearest_mean(real))


@pytest.mark.usefixtures("quick_judge")
@pytest.mark.parametrize(
    "bounds",
    [{}, {"wrong_below": 0.5}, {"copied_above": 0.0}, {"wrong_below": -0.3, "copied_above": 0.3}],
    ids=str,
)
def test_more_is_what_a_loop_over_single_images_gives(bounds: dict[str, float]) -> None:
    train = easy_set([7, 5, 4], SHAPE)
    method = stamping(bounds)
    learned, judge = method.learn(train, KEY), nearest_mean(train)
    chosen = spread(3, len(train))[::-1].copy()
    grown = method.more(learned, train, chosen, KEY)

    chosen = chosen[np.argsort(train.labels[chosen], kind="stable")]
    count = {"drawn": 0, "wrong_label": 0, "near_copies": 0, "usable": 0}
    expected: list[tuple[np.ndarray, int, int, bool]] = []
    for index, label in enumerate(train.labels[chosen]):
        for round_ in range(ROUNDS):
            seed = (KEY / "sample" / round_ / index).seed
            image = learned.sample(Conditions.of_labels(np.array([label])), [seed], SHAPE)
            wrong = judge(image)[0] != label
            copied = bool(copies_among(image, train.images, train.groups)[0][0])
            count["drawn"] += 1
            count["wrong_label"] += wrong
            count["near_copies"] += copied and not wrong
            if not wrong and not copied:
                break
        if not wrong:
            expected.append((image[0], label, seed, copied))
    count["usable"] = sum(not one[3] for one in expected)
    images, labels, seeds, copies = zip(*expected, strict=True)
    assert np.array_equal(grown.images, images)
    assert np.array_equal(grown.labels, labels)
    assert grown.seeds == seeds
    assert np.array_equal(grown.near_copies, copies)
    assert grown.details == {"generator_steps": 7, **count}
    assert grown.parents == ((),) * len(expected)
    assert bool(count["wrong_label"]) == ("wrong_below" in bounds)
    assert bool(count["near_copies"]) == ("copied_above" in bounds)


@pytest.mark.usefixtures("quick_judge")
def test_fit_uses_no_near_copy() -> None:
    train = easy_set([6, 6], SHAPE)
    method = stamping({"copied_above": -1.5}, times=4.0)
    grown = method.grow(train, 4.0, KEY)
    assert 0 < grown.near_copies.sum() < len(grown.images)
    recipe = method.fit(train, None, KEY)
    assert recipe.extra is not None
    assert np.array_equal(recipe.extra.images, grown.images[~grown.near_copies])
    assert np.array_equal(recipe.extra.labels, grown.labels[~grown.near_copies])
    assert recipe.details == grown.details


@pytest.mark.usefixtures("quick_judge")
def test_nothing_usable_fails() -> None:
    train = easy_set([6, 6], SHAPE)
    with pytest.raises(MethodFailed, match=r"agrees with the label of none of 48 images; nothing is used from it"):
        stamping({"wrong_below": 9.0}).grow(train, 1, KEY)
    copying = stamping({"copied_above": -9.0})
    assert copying.grow(train, 1, KEY).near_copies.all(), "told, and kept for whoever wants to look"
    with pytest.raises(MethodFailed, match="all its images are near copies of real ones; nothing is used"):
        copying.fit(train, None, KEY)


def test_the_classifier_of_the_real_images_is_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtering, "FILTER", ClassifierConfig(steps=60, batch_size=16, width=8))
    train, wrong = easy_set([12, 12], SHAPE), {"wrong_below": 9.0, "texture": 0.25}
    grown = stamping({"texture": 0.25}).grow(train, 1, KEY)
    assert len(grown.images) == 24
    assert grown.details["wrong_label"] <= 2
    with pytest.raises(MethodFailed, match="agrees with the label of none"):
        stamping(wrong).grow(train, 1, KEY)
    assert len(stamping(wrong, label_filter=False).grow(train, 1, KEY).images) == 24


def test_one_class_leaves_nothing_to_tell_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("a classifier of one class was trained")

    monkeypatch.setattr(filtering, "train_classifier", never)
    grown = stamping().grow(easy_set([6], SHAPE), 2, KEY)
    assert len(grown.images) == 12
    assert grown.details["wrong_label"] == 0


def drawn(
    seeds: list[int], labels: list[int], shape: tuple[int, int, int] = SHAPE, truncation: float | None = None
) -> np.ndarray:
    stamps = stamping(truncation=truncation).learn(easy_set([3, 3], SHAPE), KEY)
    return stamps.sample(Conditions.of_labels(np.array(labels)), seeds, shape)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 16, 16), (1, 13, 9)], ids=str)
def test_images_of_another_size_are_brought_to_that_of_the_set(shape: tuple[int, int, int]) -> None:
    images, stamp = drawn([4, 5], [0, 1], shape), Stamp(easy_set([3, 3], SHAPE))
    assert images.shape == (2, *shape)
    plain = stamp(noise_of([4, 5], 9), torch.tensor([0, 1]))
    resized = nn.functional.interpolate(plain, shape[1:], mode="bilinear", align_corners=False)
    assert np.abs(images.astype(int) - to_uint8(resized)).max() <= 1


def test_noise_is_standard_normal() -> None:
    noise = noise_of(list(range(400)), 32).numpy()
    assert noise.dtype == np.float32
    assert stats.kstest(noise.ravel(), "norm").pvalue > 0.01
    assert stats.kstest(noise.sum(1) / np.sqrt(32), "norm").pvalue > 0.01, "values of a row hang together"
    assert stats.kstest(noise.sum(0) / 20, "norm").pvalue > 0.01, "rows hang together"
    assert np.isfinite(noise).all()


@pytest.mark.parametrize("truncation", [0.01, 0.5, 1.0, 3.0])
def test_truncated_noise_is_a_normal_cut_at_its_bound(truncation: float) -> None:
    noise = noise_of(list(range(300)), 16, truncation).numpy()
    assert np.abs(noise).max() <= truncation * (1 + 1e-6)
    assert stats.kstest(noise.ravel(), stats.truncnorm(-truncation, truncation).cdf).pvalue > 0.01


def test_a_row_of_noise_is_its_seeds_own() -> None:
    rows = noise_of([5, 6, 5], 8)
    assert torch.equal(rows[0], rows[2])
    assert not torch.equal(rows[0], rows[1])
    assert torch.equal(noise_of(np.array([6]), 8)[0], rows[1])
