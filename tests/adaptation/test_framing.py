"""How images are framed, what is said of it, and that mending makes two sets alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.adaptation.framing import FILLED, Frame, Images, frame_like, frame_of, framing, mends, shared_frame
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset


def blobs(count: int, side: int, shown: int, *, ink: int = 230, ground: int = 10, channels: int = 1) -> Images:
    """A textured square of `shown` pixels somewhere on an even ground, not touching the border."""
    random = Key(f"tests/blobs/{side}/{shown}/{ink}").numpy_generator()
    images = np.full((count, channels, side, side), ground, np.uint8)
    for image in images:
        top, left = random.integers(1, side - shown, 2)
        image[:, top : top + shown, left : left + shown] = ink - random.integers(0, 40, (shown, shown))
    return images


def a_set(images: Images, name: str = "made up") -> ImageDataset:
    n = len(images)
    return ImageDataset(
        name, images, np.zeros(n, np.int64), ("one",), np.arange(n), tuple(map(str, range(n))), np.full(n, "train")
    )


def test_what_is_measured_is_what_was_drawn() -> None:
    measured = framing(a_set(blobs(40, 24, 12)))
    assert measured.plain == 1
    assert measured.light == 0
    assert measured.filled == pytest.approx(0.5)
    assert measured.contrast > 0.6
    assert (measured.side, measured.channels) == (24, 1)
    assert framing(a_set(blobs(40, 24, 12, ink=90, ground=240))).light == 1
    noise = Key("tests/noise").numpy_generator().integers(0, 256, (20, 1, 24, 24), dtype=np.uint8)
    assert framing(a_set(noise)).plain < 0.5


def test_sets_that_are_alike_need_no_mending() -> None:
    one, other = (framing(a_set(blobs(40, 24, 12, ink=ink))) for ink in (230, 240))
    assert mends([one], other) == ()
    frame = shared_frame([one], other, (), None)
    images = blobs(5, 24, 12)
    assert np.array_equal(frame.of(images), images)


def test_each_difference_is_told_and_mended() -> None:
    dark, light = a_set(blobs(40, 20, 18)), a_set(blobs(40, 28, 12, ink=120, ground=200, channels=3))
    source, target = framing(dark), framing(light)
    proposed = mends([source], target)
    assert [mend.kind for mend in proposed] == ["ground", "fill", "contrast", "grey"]
    assert "0% of the source's images lie on a ground lighter than what they show, of the target's 100%" in str(
        proposed
    )
    assert "fills 90% of the side in the source and 43% in the target" in str(proposed)
    frame = shared_frame([source], target, proposed, None)
    assert (frame.side, frame.channels) == (28, 1)
    one, other = (framing(frame.on(data)) for data in (dark, light))
    assert mends([one], other) == ()
    for mended in (one, other):
        assert mended.light == 0
        assert mended.filled == pytest.approx(FILLED, abs=0.08)


def test_one_set_can_be_made_like_another_that_stays() -> None:
    mine, theirs = a_set(blobs(40, 28, 14, ink=90, ground=240)), a_set(blobs(40, 20, 18))
    shown = framing(mine)
    made = framing(frame_like(framing(theirs), shown).on(theirs))
    assert made.light == 1
    assert made.filled == pytest.approx(shown.filled, abs=0.08)
    assert (made.side, made.channels) == (28, 1)


def test_several_sources_are_all_looked_at() -> None:
    target = framing(a_set(blobs(40, 24, 12)))
    light = framing(a_set(blobs(40, 24, 12, ink=90, ground=240)))
    assert [mend.kind for mend in mends([target, light, light], target)] == ["ground"]


@settings(max_examples=25)
@given(
    side=st.integers(4, 40),
    new=st.integers(4, 40),
    channels=st.sampled_from([1, 3]),
    to=st.sampled_from([1, 3]),
    ground=st.sampled_from(["any", "dark", "light"]),
    fill=st.sampled_from([0.0, 0.4, FILLED, 1.0]),
    contrast=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_any_image_comes_out_as_a_image(
    side: int, new: int, channels: int, to: int, ground: str, fill: float, contrast: float, seed: int
) -> None:
    random = Key(f"tests/any/{seed}").numpy_generator()
    images = random.integers(0, 256, (3, channels, side, side), dtype=np.uint8)
    images[0] = 77  # one colour throughout
    frame = Frame(new, to, side, ground, fill, contrast)  # type: ignore[arg-type]
    framed = frame.of(images)
    assert framed.shape == (3, to, new, new)
    assert framed.dtype == np.uint8
    assert np.array_equal(frame.of(images[1:2])[0], framed[1]), "an image's frame does not depend on the others"
    assert frame_of(frame.to_json()) == frame


@pytest.mark.parametrize("forged", [[], "x", {}, {"side": "x"}, {"nothing": 1}])
def test_a_forged_frame_is_refused(forged: Any) -> None:
    with pytest.raises(InputError):
        frame_of(forged)


def test_no_images_and_no_frame_are_taken_too() -> None:
    assert Frame(8, 1, 8).of(np.empty((0, 3, 5, 5), np.uint8)).shape == (0, 1, 8, 8)
    assert frame_of(None) is None
    data = replace(a_set(blobs(3, 12, 5)), name="kept")
    assert Frame(8, 1, 12).on(data).name == "kept"
