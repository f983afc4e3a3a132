from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from made_up_images import noise_image
from tenfold.data import decoded_images
from tenfold.data.decoded_images import DecodedImages
from tenfold.data.decoding.pixels import DecodedImage


def test_images_stay_what_they_are_wherever_they_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded_images, "BLOCK_BYTES", 500)
    kinds: list[Any] = [np.uint8, np.float32, np.int64, np.uint8]
    made = [DecodedImage(noise_image(i, 5, 3 + i % 4).astype(kinds[i % 4]), (str(i),)) for i in range(40)]
    made += [DecodedImage(noise_image("colour", 7, 7, 3)), DecodedImage(noise_image("turned", 4, 9).T)]
    held = DecodedImages()
    for image in made:
        held.append(image)
    held[3] = made[3] = DecodedImage(noise_image("another", 2, 2))
    for one, other in zip(held, made, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert (one.pixels.dtype, one.notes) == (other.pixels.dtype, other.notes)
    taken = [image.pixels.tolist() for image in held.take_all()]
    assert taken == [image.pixels.tolist() for image in made]
    assert not len(held)


def test_small_arrays_are_given_up_for_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded_images, "BLOCK_BYTES", 500)
    held = DecodedImages()
    for number in range(20):
        held.append(DecodedImage(noise_image(number, 10, 10)))
    bases = {id(image.pixels.base) for image in held[:18]}
    assert len(bases) < 5
