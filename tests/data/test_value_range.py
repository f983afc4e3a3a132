"""What 8 bits do not hold is scaled by one range for a set, whatever file is looked at, alone or beside others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tenfold.adaptation.sets import read_sets
from tenfold.core.keys import Key
from tenfold.core.options import AdaptOptions
from tenfold.data.audit import audit
from tenfold.data.cache import ImageCache
from tenfold.data.combine import read_related, with_external_test
from tenfold.data.decoding.pixels import DecodedImage, UnreadableError, from_array
from tenfold.data.images import resize_to_squares
from tenfold.data.load import load
from tenfold.data.value_range import OUTSIDE, OWN_RANGE, ranges_from_json, scaling, value_ranges


def deep_folder(root: Path, brightest: int, **classes: int) -> Path:
    """Class folders of 16-bit grey images; the last class is ten times as bright as the others."""
    for place, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for index in range(count):
            random = (Key("deep") / str(root) / name / index).numpy_generator()
            top = brightest if place == len(classes) - 1 else brightest // 10
            Image.fromarray(random.integers(0, top + 1, (8, 8), dtype=np.uint16)).save(root / name / f"{index}.png")
    return root


def test_a_set_tells_its_range_and_every_part_of_it_too(tmp_path: Path) -> None:
    dataset = load(deep_folder(tmp_path / "set", 4000, dim=3, bright=3))
    assert dataset.value_ranges == {"integers": (0, 4095)}
    assert dataset.take([0]).value_ranges == dataset.value_ranges
    told = scaling("integers", (0, 4095))
    assert "0..4,095" in told
    assert f"6 images: {told}" in audit(dataset).actions
    cache = ImageCache(tmp_path / "cache")
    assert cache.open(cache.store(dataset)).value_ranges == dataset.value_ranges


def test_sets_of_eight_bits_have_no_range(tmp_path: Path) -> None:
    Image.fromarray(np.eye(8, dtype=np.uint8) * 90).save(tmp_path / "one.png")
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(np.eye(8, dtype=np.uint8) * 90).save(tmp_path / "set" / name / "one.png")
    assert load(tmp_path / "set").value_ranges == {}


def test_an_external_test_is_scaled_by_the_range_of_the_study(tmp_path: Path) -> None:
    study = load(deep_folder(tmp_path / "study", 4000, dim=3, bright=3))
    dim = np.arange(64, dtype=np.uint16).reshape(8, 8) * 10
    brighter = dim * 100
    (tmp_path / "second/dim").mkdir(parents=True)
    Image.fromarray(dim).save(tmp_path / "second/dim/0.png")
    Image.fromarray(brighter).save(tmp_path / "second/dim/1.png")
    whole = with_external_test(study, tmp_path / "second")
    first, second = whole.part("test").images[:, 0]
    assert (first == np.rint(dim / 4095 * 255)).all(), "alone they would be of 10 bits"
    assert (second == np.rint(np.clip(brighter / 4095, 0, 1) * 255)).all()
    assert whole.conversions[OUTSIDE] == 1
    assert f"1 image: {OUTSIDE}" in audit(whole).warnings


def test_where_the_study_has_no_such_values_they_keep_their_own_range_and_that_is_said(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "study" / name).mkdir(parents=True)
        Image.fromarray(np.full((8, 8), ord(name), np.uint8)).save(tmp_path / "study" / name / "0.png")
    whole = with_external_test(load(tmp_path / "study"), deep_folder(tmp_path / "second", 4000, a=2, b=2))
    assert whole.conversions[OWN_RANGE] == 4
    assert f"4 images: {OWN_RANGE}" in audit(whole).warnings


@pytest.mark.parametrize(("brightest", "expected"), [(900, 4095), (30_000, 65_535)], ids=["within", "beyond"])
def test_a_related_set_keeps_to_the_range_it_serves_where_that_holds_it(
    tmp_path: Path, brightest: int, expected: int
) -> None:
    related = read_related(deep_folder(tmp_path / "there", brightest, a=2, b=2), value_ranges={"integers": (0, 4095)})
    assert related.value_ranges == {"integers": (0, expected)}


signed = st.integers(-3000, 3000)


@given(st.lists(st.tuples(signed, signed), min_size=1, max_size=5), st.sampled_from(["int16", "int64", "float64"]))
def test_a_file_gets_the_same_bytes_alone_as_beside_others(spans: list[tuple[int, int]], kind: str) -> None:
    """Some images of a set hold values below 0 and others none, as those of computed tomography do."""
    decoded = [from_array(np.linspace(*span, 64).astype(kind).reshape(8, 8)) for span in spans]
    ranges = value_ranges(image.pixels for image in decoded)
    together, done = resize_to_squares(decoded, [8] * len(decoded), 8, ranges)
    for index, image in enumerate(decoded):
        alone, _ = resize_to_squares([image], [8], 8, ranges)
        assert (alone[0] == together[index]).all()
    assert OUTSIDE not in done
    values = np.stack([image.pixels for image in decoded]).astype(float)
    order = np.argsort(values, axis=None)
    assert (np.diff(together.reshape(-1)[order].astype(int)) >= 0).all(), "one scale keeps the order of all values"


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8", "uint16", "int32", "uint32", "uint64"])
def test_every_type_of_numbers_has_a_range(kind: str) -> None:
    image = from_array((np.arange(64) % 100).astype(kind).reshape(8, 8))
    pixels, _ = resize_to_squares([image], [8], 8)
    assert pixels[0, 0].flat[99 % 64] == pixels[0, 0].flat[35]
    assert pixels.max() > pixels.min()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.full((8, 8), 2**63, np.uint64), "63 bits"),
        (np.full((8, 8), 1e300), "infinite"),
        (np.full((8, 8), 1j), "not numbers"),
    ],
)
def test_values_without_a_meaning_as_light_are_set_aside(values: np.ndarray, told: str) -> None:
    with pytest.raises(UnreadableError, match=told):
        from_array(values)


@pytest.mark.parametrize(
    "ranges",
    [
        {"integers": [0]},
        {"bits": [0, 1]},
        {"reals": [1, 0]},
        {"reals": [0, float("nan")]},
        [3],
        {"integers": [0, 10**400]},
    ],
)
def test_a_forged_range_is_refused(ranges: object) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        ranges_from_json({"value_ranges": ranges})


def test_values_beyond_a_given_range_are_cut_off_and_counted() -> None:
    decoded = [DecodedImage(np.full((8, 8), value, np.int32)) for value in (0, 4095, 5000)]
    images, done = resize_to_squares(decoded, [8] * 3, 8, {"integers": (0, 4095)})
    assert images[:, 0, 0, 0].tolist() == [0, 255, 255]
    assert done[OUTSIDE] == 1


def test_adapt_reads_its_sets_alike_and_tells_where_it_cannot(tmp_path: Path) -> None:
    target = deep_folder(tmp_path / "target", 4000, a=3, b=3)
    within, beyond = (
        deep_folder(tmp_path / "within", 900, a=3, b=3),
        deep_folder(tmp_path / "beyond", 30_000, a=3, b=3),
    )
    options = AdaptOptions(reframe="off")
    sets = read_sets([within, beyond], target, None, options)
    assert all(part.value_ranges == {"integers": (0, 4095)} for part in (*sets.train, sets.target))
    assert max(part.images.max() for part in sets.train if part.name == "within") < 255 * 1000 / 4095
    assert [warning for warning in sets.warnings if OWN_RANGE in warning] == [f"beyond: 6 images {OWN_RANGE}"]
