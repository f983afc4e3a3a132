from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch

from made_up_sets import easy_set
from tenfold.core.keys import Key
from tenfold.networks.backbone_classifier import BackboneNet, ClassifierBackbone
from tenfold.networks.blocks import build
from tenfold.networks.convnet import SmallConvNet
from tenfold.networks.pretrained import available
from tenfold.training import feature_cache as module
from tenfold.training.feature_cache import (
    CHUNK,
    backbone_features,
    cache_file,
    cached,
    frozen_features,
    imagenet_features,
)

needs_weights = pytest.mark.skipif(not available(), reason="the extra `weights` is not installed")

IMAGES = easy_set([5, 5], (1, 8, 8)).images


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / module.FILE


class Reader:
    """Three sums of each image, and how many images it was asked for."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.read.append(len(images))
        sums = images.reshape(len(images), -1).astype(np.float32)
        return np.stack([sums.sum(1), sums.max(1), sums[:, 0]], axis=1)


def test_a_image_is_read_once(cache: Path) -> None:
    reader = Reader()
    first = cached(IMAGES[:6], "net", reader, 3)
    again = cached(IMAGES[::-1], "net", reader, 3)
    assert reader.read == [6, 4]
    assert np.array_equal(first, Reader()(IMAGES[:6]))
    assert np.array_equal(again, Reader()(IMAGES[::-1]))
    assert cache_file() == cache
    assert cache.exists()


def test_what_was_read_before_a_kill_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_AT_ONCE", 4)
    reader = Reader()

    def killed(images: np.ndarray) -> np.ndarray:
        if len(reader.read) == 2:
            raise KeyboardInterrupt
        return reader(images)

    with pytest.raises(KeyboardInterrupt):
        cached(IMAGES, "net", killed, 3)
    assert np.array_equal(cached(IMAGES, "net", reader, 3), Reader()(IMAGES))
    assert reader.read == [4, 4, 2]


def test_other_weights_and_other_shapes_are_other_entries() -> None:
    reader = Reader()
    cached(IMAGES, "net", reader, 3)
    cached(IMAGES, "other net", reader, 3)
    cached(IMAGES.reshape(10, 1, 4, 16), "net", reader, 3)
    assert reader.read == [10, 10, 10]


def test_none_and_twice_the_same() -> None:
    reader = Reader()
    assert cached(IMAGES[:0], "net", reader, 3).shape == (0, 3)
    twice = cached(IMAGES[[0, 0]], "net", reader, 3)
    assert np.array_equal(twice[0], twice[1])


def test_the_cache_may_be_deleted_damaged_or_locked_away(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Reader()(IMAGES)
    cached(IMAGES, "net", Reader(), 3)
    cache.unlink()
    assert np.array_equal(cached(IMAGES, "net", Reader(), 3), expected)
    cache.write_bytes(b"no database at all, but long enough to look like one " * 50)
    assert np.array_equal(cached(IMAGES, "net", Reader(), 3), expected)
    reader = Reader()
    assert np.array_equal(cached(IMAGES, "net", reader, 3), expected), "the next call begins anew"
    assert np.array_equal(cached(IMAGES, "net", reader, 3), expected)
    assert reader.read == [10]
    monkeypatch.setenv("TENFOLD_CACHE", os.devnull)
    assert np.array_equal(cached(IMAGES, "net", Reader(), 3), expected)


def test_an_entry_of_another_length_is_not_taken(cache: Path) -> None:
    cached(IMAGES, "net", Reader(), 3)
    with sqlite3.connect(cache) as database:
        database.execute("UPDATE features SET row = x'00'")
    assert np.array_equal(cached(IMAGES, "net", Reader(), 3), Reader()(IMAGES))


def test_it_does_not_grow_without_end(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 12 * 20)
    images = Key("many").numpy_generator().integers(0, 256, (60, 1, 4, 4)).astype(np.uint8)
    for start in range(0, 60, 5):
        cached(images[start : start + 5], "net", Reader(), 3)
    with sqlite3.connect(cache) as database:
        (count,) = database.execute("SELECT count(*) FROM features").fetchone()
    assert 10 <= count <= 20
    reader = Reader()
    cached(images[-5:], "net", reader, 3)
    assert reader.read == [], "the newest stay"


def test_features_do_not_depend_on_what_is_read_beside_them() -> None:
    backbone = ClassifierBackbone(
        build(lambda: SmallConvNet((1, 8, 8), 2, 4), Key("net").torch_generator()), (1, 8, 8)
    )
    images = Key("many").numpy_generator().integers(0, 256, (CHUNK + 5, 1, 8, 8)).astype(np.uint8)
    together = backbone_features(backbone, images)
    assert np.array_equal(backbone_features(backbone, images[::-1])[::-1], together)
    assert np.array_equal(backbone_features(backbone, images[3:4])[0], together[3])
    network = BackboneNet(backbone, 2, frozen=True).eval()
    network.scale.fit(torch.from_numpy(together))
    with torch.inference_mode():
        direct = network.features(torch.tensor(images).float() / 127.5 - 1)
    torch.testing.assert_close(frozen_features(network, images), direct, atol=1e-4, rtol=1e-3)


@needs_weights
def test_features_have_their_stored_values():
    ramp = np.broadcast_to(np.arange(0, 256, 8, dtype=np.uint8), (1, 1, 32, 32))
    (features,) = imagenet_features(ramp)
    assert features.shape == (1280,)
    assert features.dtype == np.float32
    np.testing.assert_allclose(
        features[[872, 755, 468, 2, 0]], [3.63755, 3.42390, 3.39533, 3.25318, 0], rtol=1e-3, atol=1e-4
    )


@needs_weights
def test_features_depend_on_the_image_alone():
    images = Key("backbones").numpy_generator().integers(0, 256, (67, 1, 8, 8)).astype(np.uint8)
    assert len(images) > module.BATCH
    module._imagenet.cache_clear()
    features = imagenet_features(images)
    np.testing.assert_allclose(imagenet_features(images[64:]), features[64:], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(imagenet_features(images[:1].repeat(3, axis=1)), features[:1], rtol=1e-3, atol=1e-4)
    assert imagenet_features(images[:0]).shape == (0, 1280)
    assert features.std(axis=0).mean() > 0.01
