"""What a trained network says of images, and of their mirror images beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from made_up_sets import SHORT, easy_set
from tenfold.core.keys import Key
from tenfold.training.classifier import train_classifier
from tenfold.training.classifier_io import CLASSIFIER, load_classifier, save_classifier
from tenfold.training.inference import network_probabilities
from tenfold.training.recipe import Recipe

KEY = Key("tests/inference")


def test_mirror_images_are_averaged_over_where_validation_images_say_so_and_the_file_keeps_it(tmp_path: Path) -> None:
    train = easy_set([12, 12])
    trained = train_classifier(train, easy_set([8, 8], key="v"), Recipe(), KEY, SHORT)
    images = easy_set([5, 5], key="fresh").images
    one, other = (network_probabilities(trained.network, part) for part in (images, images[..., ::-1].copy()))
    assert not np.allclose(one, other, atol=1e-4)
    both = replace(trained, mirrored=True)
    assert np.allclose(both.probabilities(images), (one + other) / 2, atol=1e-5)
    save_classifier(tmp_path / CLASSIFIER, both, {})
    assert load_classifier(tmp_path / CLASSIFIER).mirrored
    assert np.array_equal(load_classifier(tmp_path).probabilities(images), both.probabilities(images))

    sided = train.images.copy()
    sided[:] = 60
    sided[:12, ..., :4], sided[12:, ..., 4:] = 200, 200
    arrows = train.with_columns(images=sided)
    assert not train_classifier(arrows, arrows, Recipe(), KEY, SHORT).mirrored
