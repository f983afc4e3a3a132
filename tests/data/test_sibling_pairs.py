from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.data.siblings import mask_pairs, sibling_pairs


def by_name(*sources: str) -> tuple[int, int]:
    """How many pairs of these are joined, and asked about, among others of their class."""
    others = ("kappa", "lambda", "my", "ny", "xi", "omikron", "pi", "rho", "sigma")
    names = [*sources, *(f"{word}.png" for word in others)]
    images = Key("tests/siblings").numpy_generator().integers(0, 255, (len(names), 1, 8, 8)).astype(np.uint8)
    joined, asked = sibling_pairs(images, names, np.zeros(len(names), np.int64), np.arange(len(names)))
    return len(joined), len(asked)


@pytest.mark.parametrize(
    "names",
    [("x.png", "x_aug_3.png"), ("x_aug_1.png", "x_aug_2.png"), ("x.png", "x_rotated_15.png"), ("x.png", "x-flip.png"),
     ("x_jpg.rf.0123456789abcdef.jpg", "x_jpg.rf.fedcba9876543210.jpg"), ("x.png", "x - Copy.png")],
)  # fmt: skip
def test_names_that_say_what_was_done_join(names: tuple[str, str]) -> None:
    assert by_name(*names) == (1, 0)


@pytest.mark.parametrize("names", [("x.png", "x (1).png"), ("x_0_123.png", "x_0_4567.png"), ("x(1).png", "x(2).png")])
def test_names_that_may_mean_it_are_asked_about(names: tuple[str, str]) -> None:
    assert by_name(*names) == (0, 1)


def test_names_of_a_whole_class_say_nothing() -> None:
    assert by_name(*(f"cat ({number}).png" for number in range(500))) == (0, 0)
    assert by_name(*(f"cat_{number}.png" for number in range(50))) == (0, 0)
    assert by_name("a_01_002.png", "b_01_003.png") == (0, 0)


@pytest.mark.parametrize(
    ("image", "mask"),
    [("x.jpg", "x.png"), ("x.png", "x_mask.png"), ("x.png", "x_seg.gif"), ("images/x.png", "masks/x.png"),
     ("p1/images/x.png", "p1/masks/x_mask.png")],
)  # fmt: skip
def test_masks(image: str, mask: str) -> None:
    names = [mask, "y.png", image]
    assert mask_pairs(names, np.zeros(3, np.int64)).tolist() == [[2, 0]]
    assert not len(mask_pairs(names, np.array([0, 0, 1])))


def test_no_masks() -> None:
    names = ["p1/x.png", "p2/x.png", "mask.png", "y_mask.png", "z.png", "z.bmp"]
    assert not len(mask_pairs(names, np.zeros(6, np.int64)))


def made_of(image: np.ndarray) -> list[np.ndarray]:  # type: ignore[type-arg]
    one = Image.fromarray(image)
    side = one.size[0]
    return [
        (image * 0.7).astype(np.uint8),
        np.asarray(one.rotate(15, Image.Resampling.BILINEAR)),
        np.asarray(one.transform(one.size, Image.Transform.AFFINE, (1, 0, 2, 0, 1, -2))),
        np.asarray(one.resize((side + 4, side + 4), Image.Resampling.BILINEAR).crop((2, 2, side + 2, side + 2))),
    ]


def test_what_was_made_of_one_image_is_joined_by_its_pixels(data_directory: object) -> None:
    real = load("mnist", per_class=6).part("train")
    ones = real.images[::6, 0]
    images = np.stack([*(image[0] for image in real.images), *(new for one in ones for new in made_of(one))])[:, None]
    labels = np.concatenate([real.labels, np.repeat(real.labels[::6], 4)])
    joined, _ = sibling_pairs(images, [f"{number}x" for number in range(len(images))], labels, np.arange(len(images)))
    family = np.concatenate([np.arange(len(real)), np.repeat(np.arange(0, len(real), 6), 4)])
    assert (family[joined[:, 0]] == family[joined[:, 1]]).all()
    assert len(np.unique(joined)) >= 45, "of 50 that belong to a family"


@pytest.mark.parametrize("name", ["mnist", "emnist_letters", "cifar10", "svhn", "faces"])
def test_strangers_of_real_sets_stay_apart(name: str, data_directory: object) -> None:
    real = load(name, per_class=10).part("train")
    joined, asked = sibling_pairs(real.images, real.sources, real.labels, np.arange(len(real)))
    assert not len(joined)
    assert not len(asked)
