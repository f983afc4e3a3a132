import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.data.splits import make_splits, plan_folds
from tenfold.evaluation import leaks
from tenfold.evaluation.leaks import leak
from tenfold.methods import make_method


def random(name):
    return Key(f"leaks/{name}").numpy_generator()


def random_images(name, n, shape=(1, 8, 8)):
    return random(name).integers(0, 256, (n, *shape)).astype(np.uint8)


def noisy(images, deviation, name="noise"):
    changed = images + random(name).normal(0, deviation, images.shape)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folds():
    study = load("digits").part("train")
    plan = plan_folds(study)
    return [
        tuple(study.take(part) for part in (split.train, split.validation, split.test))
        for repeat in range(2)
        for split in make_splits(study, plan, repeat, Key("leaks"))
    ]


@pytest.mark.parametrize("method", ["placebo", "classical"])
def test_honest_extras_raise_no_alarm(folds, method):
    for train, unseen, test in folds:
        made = make_method(method)
        if method == "placebo":
            extra = made.fit(train, None, Key("extra")).extra.images
        else:
            extra = made.grow(train, 2.0, Key("extra")).images
        assert leak(extra, unseen.images, test.images, train.images) is None


def test_other_real_images_raise_no_alarm(folds):
    reserve = load("digits").part("reserve").images
    for train, unseen, test in folds:
        assert leak(reserve, unseen.images, test.images, train.images) is None


CANARIES = {
    "exact": lambda images: images,
    "noise 5": lambda images: noisy(images, 5),
    "noise 10": lambda images: noisy(images, 10),
    "shifted": lambda images: np.roll(images, (1, -1), (2, 3)),
    "shifted by two": lambda images: np.roll(images, (2, -2), (2, 3)),
    "mirrored": lambda images: images[..., ::-1],
    "turned": lambda images: np.rot90(images, axes=(2, 3)),
    "mirrored, noise 5": lambda images: noisy(images[..., ::-1], 5),
}


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize("honest", [True, False])
def test_canaries_that_copy_all_test_images_are_caught(folds, canary, honest):
    for train, unseen, test in folds:
        extra = CANARIES[canary](test.images)
        if honest:
            extra = np.concatenate([train.images, extra])
        reason = leak(extra, unseen.images, test.images, train.images)
        assert reason is not None
        assert ("are among the" in reason) == (canary in ("exact", "mirrored", "turned"))


def test_a_single_copied_test_image_is_caught_without_any_validation_image():
    train, test = random_images("train", 20), random_images("test", 9)
    extra = np.concatenate([train, test[3:4]])
    reason = leak(extra, train[:0], test, train)
    assert reason == "1 of 9 test images is among the 21 extra images, and no training image resembles them"
    assert leak(extra, train[:0], test, train[:0]) == reason
    assert leak(noisy(extra, 0.5), random_images("unseen", 5), test, train) == reason
    assert leak(noisy(extra, 5), train[:0], test, train) is None


def test_a_test_image_that_is_also_a_training_image_accuses_nobody():
    train, unseen = random_images("train", 20), random_images("unseen", 5)
    test = np.concatenate([random_images("test", 9), noisy(train[:1], 1.5)])
    assert leak(np.concatenate([train, test[9:]]), unseen, test, train) is None


def test_flat_images_that_are_equal_accuse_nobody():
    flat = np.zeros((3, 1, 8, 8), dtype=np.uint8)
    assert leak(flat, random_images("unseen", 5), flat, random_images("train", 5)) is None


def test_without_extra_or_test_images_there_is_no_leak():
    some, none = random_images("some", 9), random_images("none", 0)
    assert leak(none, some, some, some) is None
    assert leak(some, some, none, some) is None


def test_images_of_another_shape_are_refused():
    some, other = random_images("some", 9), random_images("other", 9, (3, 8, 8))
    with pytest.raises(ValueError, match="cannot look for neighbours"):
        leak(other, some, some, some)


def test_alike_images_of_few_patients_are_not_many_witnesses():
    # One patient is by chance near to the extra images, and each image of a patient looks like the next.
    train = random_images("train", 40)
    unseen = noisy(np.repeat(random_images("unseen", 2), 30, axis=0), 3)
    test = noisy(np.repeat(noisy(train[:2], 40), 30, axis=0), 3)
    groups = np.repeat([0, 1], 30)
    assert leak(train, unseen, test, train) is not None
    assert leak(train, unseen, test, train, unseen_groups=groups, test_groups=groups) is None


def test_a_group_counts_once_with_its_smallest_distance():
    distances = np.array([5, 2, 7, 1, 3], dtype=np.float32)
    np.testing.assert_array_equal(leaks._once_a_group(distances, np.array([9, 4, 9, 4, 6])), [1, 3, 5])


def test_the_p_value_is_the_exact_one_where_images_are_few_and_scipys_where_they_are_many():
    assert leaks._p_value(np.arange(5.0), np.arange(5.0, 9)) == pytest.approx(1 / math.comb(9, 5))
    near, far = random("near").normal(0, 1, 200), random("far").normal(0.3, 1, 150)
    expected = mannwhitneyu(near, far, alternative="less", method="asymptotic").pvalue
    assert leaks._p_value(near, far) == pytest.approx(expected)
    assert leaks._p_value(far, near) > 0.9


def test_equal_distances_count_against_an_alarm():
    few, many = np.zeros(20, dtype=np.float32), np.zeros(200, dtype=np.float32)
    assert leaks._p_value(few, few) == leaks._p_value(many, many) == 1
    assert leaks._p_value(few, few + 1) == pytest.approx(1 / math.comb(40, 20))
    assert leaks._p_value(np.array([0.0, 1.0]), np.array([1.0, 2.0])) == pytest.approx(2 / math.comb(4, 2))


def test_chance_alone_gives_uniform_p_values():
    draws = random("uniform").normal(0, 1, (400, 25)).round(1)
    values = np.array([leaks._p_value(row[:15], row[15:]) for row in draws])
    for level in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(values <= level) <= level + 3 * np.sqrt(level * (1 - level) / 400)


def test_few_images_are_enough_for_noisy_copies_and_fewer_are_not():
    train, unseen, test = random_images("train", 20), random_images("unseen", 12), random_images("test", 16)
    assert "lie nearer to the test images" in leak(noisy(test, 10), unseen, test, train)
    assert leak(noisy(test, 10), unseen[:5], test, train) is None


@given(st.integers(1, 8), st.integers(1, 12), st.sampled_from([(1, 4, 5), (3, 6, 6)]))
def test_distances_are_the_smallest_over_nine_shifts(m, n, shape):
    images, extra = random_images(f"a{m}", m, shape), random_images(f"b{n}", n, shape)
    _, height, width = shape
    for image, distance in zip(images, leaks._distances(images, extra), strict=True):
        expected = min(
            np.sqrt(
                np.mean((image[:, d : d + height - 2, a : a + width - 2] - other[:, 1:-1, 1:-1].astype(float)) ** 2)
            )
            for other in extra
            for d in range(3)
            for a in range(3)
        )
        assert distance == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "small"), [((3, 64, 64), (3, 32, 32)), ((1, 65, 40), (1, 21, 13)), ((1, 32, 9), (1, 32, 9))]
)
def test_large_images_are_shrunk_by_block_means(shape, small):
    images = random_images("large", 2, shape)
    shrunk = leaks._shrunk(images)
    assert shrunk.shape == (2, *small)
    block = shape[1] // small[1]
    assert abs(shrunk[1, 0, 3, 2] - images[1, 0, 3 * block : 4 * block, 2 * block : 3 * block].mean()) <= 0.5


def test_two_pixels_are_too_few_to_shift():
    images = random_images("tiny", 5, (1, 2, 3))
    np.testing.assert_array_equal(leaks._distances(images, images), np.zeros(5))
